"""Drawing: the next tokens of sequences, within what their grammars allow, and how likely tokens were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from qwen_app.engine.local.compute.recovery import where_there_is_memory
from qwen_app.engine.local.sampling.sampler import SampledToken, Sampler, SamplingRow
from qwen_app.engine.local.steps.chunks import Schedule, rows_of, rows_to_draw_from
from qwen_app.engine.local.steps.sequence import SequenceState
from qwen_app.engine.local.steps.spelling import Spelling
from qwen_app.engine.local.steps.token_masks import masks_of
from qwen_app.messages import TokenLogprob


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of a step's logits: the next tokens, each beside its sequence, and by a sequence's id how likely the
    tokens of its prompt were."""

    sampled: list[tuple[SequenceState, SampledToken]]
    scored: dict[str, tuple[TokenLogprob, ...]]


class Drawing:
    """Asks ``sampler`` for sequences. Logits have ``vocab_size`` columns."""

    def __init__(self, sampler: Sampler, spelling: Spelling, *, vocab_size: int) -> None:
        self._sampler = sampler
        self._spelling = spelling
        self._mask_words = (vocab_size + 31) // 32

    def drawn(self, scheduled: Schedule, logits: torch.Tensor) -> Drawn | None:
        """What comes of the ``logits`` of a step; None where there was no memory for it, as in ``draw``."""
        scored = where_there_is_memory(lambda: self._scored(scheduled, logits))
        if scored is None:
            return None
        drawing = [sequence for sequence, chunk in scheduled if chunk.wants_logits]
        sampled = self.draw(drawing, rows_to_draw_from(scheduled, logits))
        return None if sampled is None else Drawn(list(zip(drawing, sampled, strict=True)), scored)

    def draw(self, drawing: Sequence[SequenceState], logits: torch.Tensor) -> list[SampledToken] | None:
        """The next token of each; None where there was no memory for it, and the step has to be made again."""
        if not drawing:
            return []
        drawn = where_there_is_memory(lambda: self._drawn(drawing, logits))
        if drawn is None:
            for sequence in drawing:
                sequence.rewind_generator()
        return drawn

    def _drawn(self, drawing: Sequence[SequenceState], logits: torch.Tensor) -> list[SampledToken]:
        rows = [sequence.row() for sequence in drawing]
        if logits.device.type == "cpu" and all(row.likeliest_alone for row in rows):
            return self._likeliest(drawing, rows, logits)
        masks = masks_of(drawing, self._mask_words)  # beside the forward pass: a GPU is still at work on it
        return self._sampler.sample(logits, rows, masks)

    def _likeliest(
        self, drawing: Sequence[SequenceState], rows: Sequence[SamplingRow], logits: torch.Tensor
    ) -> list[SampledToken]:
        """Masks are made only where a grammar refuses what is likeliest of all."""
        drawn = self._sampler.likeliest(logits, rows)
        refused = [index for index, one in enumerate(drawing) if not one.allows(drawn[index].token_id)]
        if refused:
            masks = masks_of([drawing[index] for index in refused], self._mask_words)
            again = self._sampler.likeliest(logits[refused], [rows[index] for index in refused], masks)
            for index, sampled in zip(refused, again, strict=True):
                drawn[index] = sampled
        return drawn

    def _scored(self, scheduled: Schedule, logits: torch.Tensor) -> dict[str, tuple[TokenLogprob, ...]]:
        """Log-probabilities of the prompts' tokens, by sequence."""
        scored = {}
        for sequence, chunk, rows in rows_of(scheduled, logits):
            if chunk.scores:
                following = sequence.token_ids[chunk.span.start + 1 : chunk.span.end + 1]
                found = self._sampler.score(rows[: len(following)], following, sequence.params.top_logprobs)
                tokens = tuple(token for one in found for token in self.logprobs(one, (one.token_id,)))
                at_first = chunk.span.start == 0
                first = (self._logprob(sequence.token_ids[0], math.nan, begins=True),) if at_first else ()
                scored[sequence.id] = sequence.not_told((*first, *tokens), chunk.span.end)
        return scored

    def logprobs(
        self, sampled: SampledToken, token_ids: Sequence[int], *, begins: bool = False
    ) -> tuple[TokenLogprob, ...]:
        """The log-probabilities of ``sampled``, where they were asked for and ``token_ids``, which were accepted, are
        just this token. ``begins``: it is the first of a text."""
        if sampled.logprob is None or token_ids != (sampled.token_id,):  # the closer may have put another in its place
            return ()
        top = tuple(self._logprob(token_id, logprob, begins=begins) for token_id, logprob in sampled.top)
        return (self._logprob(sampled.token_id, sampled.logprob, top, begins=begins),)

    def _logprob(
        self, token_id: int, logprob: float, top: tuple[TokenLogprob, ...] = (), *, begins: bool
    ) -> TokenLogprob:
        spelled = self._spelling.bytes_of(token_id, begins=begins)
        return TokenLogprob(token_id, spelled.decode(errors="replace"), spelled, logprob, top)
