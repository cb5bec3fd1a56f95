"""What becomes of a step's result: sequences move on by what was computed and drawn, and tell it in events."""

from __future__ import annotations

import logging

import numpy as np
import torch

from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.engine.local.compute.parts import ComputeParts
from qwen_app.engine.local.compute.prefix_cache import common_prefix
from qwen_app.engine.local.sampling.sampler import NO_TOKEN, SampledToken
from qwen_app.engine.local.steps.chunks import Schedule, rows_of
from qwen_app.engine.local.steps.drawing import Drawing, Drawn
from qwen_app.engine.local.steps.sequence import SequenceState
from qwen_app.engine.local.steps.step_output import StepOutput
from qwen_app.errors import AppError, EngineError
from qwen_app.messages import Delta, Prefill, TokenLogprob

log = logging.getLogger(__name__)

REQUEST_FAILED = "The engine failed on this request. Try it once more."


class Acceptance:
    """Writes what was computed with ``parts`` into sequences, and draws on from rows of drafts by ``drawing``."""

    def __init__(self, parts: ComputeParts, drawing: Drawing) -> None:
        self._parts = parts
        self._drawing = drawing

    def take(self, scheduled: Schedule, logits: torch.Tensor, drawn: Drawn, now: float, output: StepOutput) -> int:
        """Move the sequences on by what was computed and ``drawn``, and by their drafts; how many tokens are new."""
        for sequence, chunk in scheduled:
            self._note_computed(sequence, chunk, output, drawn.scored.get(sequence.id, ()))
        known_tokens = sum(len(sequence.token_ids) for sequence, _ in drawn.sampled)
        for sequence, sampled in drawn.sampled:
            self.accept(sequence, sampled, now, output)
        for sequence, chunk, rows in rows_of(scheduled, logits):
            if chunk.drafted:
                self._check_draft(sequence, chunk, rows[-chunk.drafted :], now, output)
        return sum(len(sequence.token_ids) for sequence, _ in drawn.sampled) - known_tokens

    def accept(self, sequence: SequenceState, sampled: SampledToken, now: float, output: StepOutput) -> None:
        if sampled.token_id == NO_TOKEN:
            self.distrust(sequence)
            output.failed.append((sequence, EngineError("The model gave no token that could be used here.")))
            return
        before = len(sequence.token_ids)
        try:
            text = sequence.accept(sampled, now)
        except AppError as error:
            output.failed.append((sequence, error))
            return
        except Exception:  # what is wrong with one request's text or grammar must not end the others
            log.exception("token %d could not be taken", sampled.token_id)
            output.failed.append((sequence, EngineError(REQUEST_FAILED)))
            return
        token_ids = tuple(sequence.token_ids[before:])
        if len(token_ids) > 1:  # beside what was drawn, for the penalties
            prompt_ids = sequence.token_ids[: sequence.prompt_tokens]
            self._parts.sampler.begin(sequence.slot, prompt_ids, sequence.generated_ids, sequence.params)
        told = self._drawing.logprobs(sampled, token_ids, begins=sequence.answer.last_begins)
        logprobs = sequence.answer.logprobs(*told)
        if text or token_ids or logprobs:
            output.events.append((sequence, Delta(text, token_ids, logprobs)))

    def distrust(self, sequence: SequenceState) -> None:
        """Nothing that was computed for it may be used again."""
        sequence.num_computed_tokens = 0
        self._parts.kv_cache.clear(sequence.slot)

    def _note_computed(
        self, sequence: SequenceState, chunk: ScheduledChunk, output: StepOutput, scored: tuple[TokenLogprob, ...]
    ) -> None:
        sequence.num_computed_tokens += chunk.span.length - chunk.drafted
        if chunk.span.start < sequence.prompt_tokens:
            self._parts.prefix_cache.mark_cached(sequence.slot, sequence.token_ids[: sequence.num_computed_tokens])
        if sequence.num_computed_tokens <= sequence.prompt_tokens and (scored or not sequence.begun_before):
            read = Prefill(sequence.num_computed_tokens, sequence.prompt_tokens, sequence.num_cached_tokens, scored)
            output.events.append((sequence, read))
            sequence.note_told(scored)

    def _check_draft(
        self, sequence: SequenceState, chunk: ScheduledChunk, rows: torch.Tensor, now: float, output: StepOutput
    ) -> None:
        """Draw on, from the row after each token of the draft, for as long as what is drawn is what was guessed.

        ``rows`` are the draft's, ``[drafted, vocab]``. The keys of what did not come true are written over.
        """
        draft, start = chunk.token_ids[-chunk.drafted :], chunk.span.end - chunk.drafted
        while sequence.reason is None and not output.has_failed(sequence):
            taken = len(sequence.token_ids) - start
            if taken > len(draft) or sequence.token_ids[start:] != draft[:taken]:
                break
            drawn = self._drawing.draw([sequence], rows[taken - 1 : taken])
            if drawn is None:
                break
            self.accept(sequence, drawn[0], now, output)
        if output.has_failed(sequence):
            return  # what was computed for it may not be trusted
        accepted = common_prefix(np.asarray(draft), np.asarray(sequence.token_ids[start:]))
        if sequence.reason is None:  # a row may not have been drawn from: the last token is computed again
            accepted = min(accepted, len(sequence.token_ids) - start - 1)
        sequence.num_computed_tokens += accepted
        sequence.lookup.checked(len(draft), accepted)
