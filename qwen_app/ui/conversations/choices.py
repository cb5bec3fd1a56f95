"""What the visitor set beside the chat, as values."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.messages import JsonObject, Message, SamplingParams
from qwen_app.service import Service
from qwen_app.ui.scores.scored_token import ALTERNATIVES


@dataclass(frozen=True, slots=True)
class Choices:
    """What the visitor set. ``max_tokens`` bounds the answer, ``context_tokens`` prompt and answer together.

    The answer begins with ``start``, and the model goes on from there. ``left_out`` names the places of the prompt's
    turns that are not sent; None leaves that to the window. ``problem`` names the text that says what is wrong with the
    settings, if anything is. ``scores`` asks how likely each token was.
    """

    system: str
    temperature: float
    top_p: float
    max_tokens: int
    context_tokens: int
    seed: int | None
    json_mode: bool
    start: str = ""
    left_out: frozenset[int] | None = None
    scores: bool = False
    problem: str = ""

    def system_messages(self) -> list[Message]:
        return [Message("system", self.system)] if self.system.strip() else []

    def reserve_tokens(self) -> int:
        """Context kept free for the answer; never so much that no question fits."""
        return min(self.max_tokens, self.context_tokens // 4)

    def sampling(self, service: Service) -> SamplingParams:
        return service.sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=self.seed,
            logprobs=self.scores,
            top_logprobs=ALTERNATIVES if self.scores else 0,
        )

    def grammar(self) -> JsonObject | None:
        return JsonObject() if self.json_mode else None
