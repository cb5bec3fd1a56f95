"""What a step computes of each sequence: a chunk of its prompt, the token drawn last, or that and a draft behind it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.engine.local.steps.sequence import SequenceState

Schedule = list[tuple[SequenceState, ScheduledChunk]]  # of one step, decoding sequences first
SCORED_TOKENS = 128  # of all prompts in a step, each a row of logits as wide as the vocabulary


def chunk_of(sequence: SequenceState, limit_tokens: int) -> ScheduledChunk:
    """What is pending of ``sequence``, up to ``limit_tokens``."""
    span = QuerySpan(sequence.slot, sequence.num_computed_tokens, min(sequence.pending_tokens, limit_tokens))
    token_ids = sequence.token_ids[span.start : span.end]
    return ScheduledChunk(span, token_ids, wants_logits=span.end == len(sequence.token_ids), scores=sequence.scores)


def drafted_chunk_of(sequence: SequenceState, longest_rows: int) -> ScheduledChunk:
    """What is pending and, behind it, what prompt lookup guesses: ``longest_rows`` at most, where it guesses any."""
    pending = sequence.token_ids[sequence.num_computed_tokens :]
    limit_tokens = sequence.remaining_tokens - 1
    draft = sequence.lookup.draft(sequence.token_ids, limit_tokens, before=len(pending), longest_rows=longest_rows)
    token_ids = [*pending, *draft]
    span = QuerySpan(sequence.slot, sequence.num_computed_tokens, len(token_ids))
    return ScheduledChunk(span, token_ids, wants_logits=True, drafted=len(draft))


def awaited_chunk_of(sequence: SequenceState) -> ScheduledChunk:
    """The token after the pending one. The device has drawn it by then; the host does not know it yet."""
    span = QuerySpan(sequence.slot, sequence.num_computed_tokens + sequence.pending_tokens, 1)
    return ScheduledChunk(span, sequence.token_ids[-1:], wants_logits=True)


def rows_of(scheduled: Schedule, logits: torch.Tensor) -> Iterator[tuple[SequenceState, ScheduledChunk, torch.Tensor]]:
    """Each chunk with its rows of ``logits``, which come in the chunks' order."""
    end = 0
    for sequence, chunk in scheduled:
        start, end = end, end + chunk.rows
        yield sequence, chunk, logits[start:end]


def rows_to_draw_from(scheduled: Schedule, logits: torch.Tensor) -> torch.Tensor:
    """Of every chunk that wants logits the row after its last token that is no guess."""
    if all(chunk.rows == int(chunk.wants_logits) for _, chunk in scheduled):
        return logits
    rows = [rows[-1 - chunk.drafted] for _, chunk, rows in rows_of(scheduled, logits) if chunk.wants_logits]
    return torch.stack(rows) if rows else logits[:0]
