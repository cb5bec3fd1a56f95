"""The contract between the service and an engine. Local, remote and scripted engines pass one contract test suite."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from qwen_app.messages import PLAIN_TEMPLATE, Event, GenerationRequest, Message, SamplingParams, TemplateOptions, Tool

HealthState = Literal["loading", "ready", "draining", "stalled", "stopped"]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine runs, for people and for ``/v1/models``.

    ``context_tokens`` is what one conversation may hold, prompt and answer together. ``sampling`` are the model's own
    defaults. ``exact_counts`` is False where ``count_tokens`` only estimates. Memory is in bytes, 0 where unknown.
    ``aliases`` are other names that it answers to. ``continues`` says that it goes on with an answer that was begun,
    ``logprobs`` that it tells how likely tokens were. ``gpu_uuids`` name the cards it computes on, as NVML does.
    """

    model: str
    revision: str
    precision: str
    device: str
    context_tokens: int
    slots: int
    sampling: SamplingParams
    weights_bytes: int = 0
    cache_bytes: int = 0
    exact_counts: bool = True
    notice: str = ""
    aliases: tuple[str, ...] = ()
    continues: bool = True
    logprobs: bool = True
    gpu_uuids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """``reason`` says why an engine is not ready, or what makes a ready one slow.

    ``heartbeat_age_s`` is how long ago its worker last moved.
    """

    state: HealthState
    reason: str = ""
    running: int = 0
    queued: int = 0
    heartbeat_age_s: float = 0.0

    @property
    def ready(self) -> bool:
        return self.state == "ready"


class Engine(Protocol):
    """What the service needs of an engine."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """Answer ``request``.

        The first event is ``Queued`` when the request was admitted, or ``Failed`` when it was refused (bad request,
        queue full, draining): nothing has run by then, so that a caller can still choose its status line. Exactly one
        terminal event ends every stream; no exception leaves the iterator. ``aclose()`` cancels.
        """
        ...

    async def count_tokens(
        self,
        prompts: Sequence[Sequence[Message]],
        tools: Sequence[Tool] = (),
        template: TemplateOptions = PLAIN_TEMPLATE,
    ) -> list[int]:
        """Prompt tokens of each conversation, template included, as ``generate`` would count them.

        Servers that are asked count the beginning of an answer, whatever ``template`` says of it.
        Several at once, because a call may cost a thread's turn or a request to another server.
        """
        ...

    async def tokenize(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        """Token ids of ``text``, in which control tokens are control tokens unless ``parse_special`` is False.

        With ``add_special_tokens`` they begin as a prompt of text does for ``generate``: with BOS, if the model has it.
        Raises RequestError where the engine cannot.
        """
        ...

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """Text of token ids. Raises RequestError for ids outside the vocabulary, or where the engine cannot."""
        ...

    def info(self) -> EngineInfo: ...

    def health(self) -> Health: ...

    async def drain(self, timeout_s: float) -> None:
        """Refuse new requests, let running ones finish for ``timeout_s``, cancel the rest, stop. Safe to call twice."""
        ...
