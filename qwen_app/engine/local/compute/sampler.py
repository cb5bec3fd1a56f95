"""Sampling: the next token of every row, chosen the way transformers' ``generate`` does it.

Order: penalties, grammar mask, temperature, top-k, top-p, min-p. All rows are drawn together and the ids come back in
one transfer, the only time a step waits for the device. Each request draws one number a token from its own generator,
so a seed gives the same answer alone or in company.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from qwen_app.messages import SamplingParams

NO_TOKEN = -1  # drawn where no token can be: the logits are not numbers, or the grammar allows nothing
SHORTLIST = 256  # the best so many are looked at first; nearly always nothing beyond them could be drawn


@dataclass(frozen=True, slots=True)
class SamplingRow:
    """A row to sample. ``slot`` is where the request's token counts are kept. ``constrained`` rows obey a grammar."""

    slot: int
    params: SamplingParams
    generator: random.Random
    constrained: bool = False


@dataclass(frozen=True, slots=True)
class SampledToken:
    """A drawn token, or NO_TOKEN; natural log-probabilities, of the unchanged distribution, where asked for."""

    token_id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Draws ids below ``text_vocab_size``: logits may be wider, and what lies beyond has no text.

    Of requests with penalties it keeps, on the device, the tokens so far (``_token_history``,
    ``[slots, context_tokens + 1]``) and how often each was generated (``_token_counts``, ``[slots, text_vocab_size]``).
    """

    def __init__(self, *, text_vocab_size: int, context_tokens: int, slots: int, device: torch.device) -> None:
        self._vocab_size = text_vocab_size
        self._device = device
        self._token_history = torch.zeros(slots, context_tokens + 1, dtype=torch.int64, device=device)
        self._history_lengths = [0] * slots
        self._token_counts = torch.zeros(slots, text_vocab_size, dtype=torch.int32, device=device)
        self._batch: SamplingBatch | None = None

    def begin(self, slot: int, prompt_ids: Sequence[int], generated_ids: Sequence[int], params: SamplingParams) -> None:
        """Start counting for a request's penalties, if it has any. ``prompt_ids`` is not empty."""
        if not _penalised(params):
            return
        history = _tensor([*prompt_ids, *generated_ids], torch.int64, self._device)
        self._token_history[slot] = history[0]  # padding: a token that is in it anyhow
        self._token_history[slot, : len(history)] = history
        self._history_lengths[slot] = len(history)
        self._token_counts[slot].zero_()
        if generated_ids:
            generated = _tensor(list(generated_ids), torch.int64, self._device)
            self._token_counts[slot] += torch.bincount(generated, minlength=self._vocab_size).int()

    def sample(
        self, logits: torch.Tensor, rows: Sequence[SamplingRow], masks: np.ndarray | None = None
    ) -> list[SampledToken]:
        """Draw one token a row.

        ``logits``: ``[rows, at least text_vocab_size]``, any float dtype. ``masks``: int32 ``[rows, words]``, bit ``i``
        set where token ``i`` is allowed, or None where no row is held to anything.
        """
        batch = self._batch_of(rows)
        unchanged = logits[:, : self._vocab_size].float()
        logits = self._penalised(unchanged, batch)
        if masks is not None:
            logits = logits.masked_fill(~self._unpacked(masks), -torch.inf)
        chosen = self._draw(logits, batch, rows)
        self._count(chosen, batch)
        token_ids = chosen.tolist()
        return _sampled_tokens(unchanged, token_ids, rows)

    def _batch_of(self, rows: Sequence[SamplingRow]) -> SamplingBatch:
        """The rows' settings on the device; made anew only when the company changes."""
        key = tuple((row.slot, row.params, row.constrained) for row in rows)
        if self._batch is None or self._batch.key != key:
            self._batch = SamplingBatch.of(key, self._device)
        return self._batch

    def _penalised(self, logits: torch.Tensor, batch: SamplingBatch) -> torch.Tensor:
        """Repetition penalty as in CTRL (over prompt and answer), presence and frequency as OpenAI's (answer alone)."""
        if batch.penalised:
            longest = max(self._history_lengths[slot] for slot in batch.penalised)
            history = self._token_history[batch.slots, :longest]
            scores = logits.gather(1, history)
            scores = torch.where(scores > 0, scores / batch.repetition, scores * batch.repetition)
            logits = logits.scatter(1, history, scores)
        if batch.counted:
            counts = self._token_counts[batch.slots]
            logits = logits - counts * batch.frequency - (counts > 0) * batch.presence
        return logits

    def _count(self, chosen: torch.Tensor, batch: SamplingBatch) -> None:
        if batch.penalised:
            # Rows without penalties are counted too: nobody reads it, and all rows at once is less work than some.
            tokens = chosen.clamp(min=0)
            slots = [slot for slot, _, _ in batch.key]
            places = [self._history_lengths[slot] if slot in batch.penalised else 0 for slot in slots]
            self._token_history[batch.slots, _tensor(places, torch.int64, self._device)] = tokens
            self._token_counts[batch.slots, tokens] += 1
            for slot in batch.penalised:
                self._history_lengths[slot] += 1

    def _unpacked(self, masks: np.ndarray) -> torch.Tensor:
        packed = torch.from_numpy(masks.view(np.uint8))
        packed = packed.pin_memory() if self._device.type == "cuda" else packed
        bits = torch.arange(8, dtype=torch.uint8, device=self._device)
        unpacked = (packed.to(self._device, non_blocking=True).unsqueeze(-1) >> bits) & 1
        return unpacked.flatten(1)[:, : self._vocab_size].bool()

    def _draw(self, logits: torch.Tensor, batch: SamplingBatch, rows: Sequence[SamplingRow]) -> torch.Tensor:
        """Each row in its own way, whatever its company asks for: a seed gives the same answer alone."""
        if batch.plain is None and batch.cut is None:
            return _argmax(logits)
        numbers = [0.0 if row.params.temperature == 0 else row.generator.random() for row in rows]
        uniform = _tensor(numbers, torch.float32, self._device).unsqueeze(1)
        drawn = uniform.new_full((len(rows),), NO_TOKEN, dtype=torch.int64)
        if batch.plain is not None:
            drawn = _inverse_cdf(torch.softmax(logits / batch.temperature, -1), uniform)
        if batch.cut is not None:
            best, ids = self._best(logits, batch, rows)
            picked = _inverse_cdf(_truncated(best, batch), uniform)
            known = ids.gather(1, picked.clamp(min=0).unsqueeze(1)).squeeze(1)
            drawn = torch.where(batch.cut, torch.where(picked >= 0, known, NO_TOKEN), drawn)
        return drawn if batch.greedy is None else torch.where(batch.greedy, _argmax(logits), drawn)

    def _best(
        self, logits: torch.Tensor, batch: SamplingBatch, rows: Sequence[SamplingRow]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of the best tokens, best first, and their ids: as many as any row can need."""
        if batch.longest_top_k:
            best, ids = torch.topk(logits, min(batch.longest_top_k, self._vocab_size))
            return torch.softmax(best / batch.temperature, -1), ids
        probabilities = torch.softmax(logits / batch.temperature, -1)
        best, ids = torch.topk(probabilities, min(SHORTLIST, self._vocab_size))
        # To ask a GPU whether the shortlist will do costs more than the sort it may save.
        if self._device.type == "cuda" or not _enough(best, rows):
            best, ids = probabilities.sort(descending=True)
        return best, ids


@dataclass(frozen=True, slots=True)
class SamplingBatch:
    """Sampling settings of a batch: float32 columns ``[rows, 1]`` on the device.

    ``penalised`` are the slots of rows with penalties. ``greedy``, ``plain`` (nothing is cut) and ``cut`` are bool
    ``[rows]`` and tell how a row is drawn; each is None where it is True of no row. ``longest_top_k``, of the cut rows,
    is 0 where one of them has none.
    """

    key: tuple[tuple[int, SamplingParams, bool], ...]
    slots: torch.Tensor
    greedy: torch.Tensor | None
    plain: torch.Tensor | None
    cut: torch.Tensor | None
    counted: bool
    longest_top_k: int
    penalised: frozenset[int]
    repetition: torch.Tensor
    presence: torch.Tensor
    frequency: torch.Tensor
    temperature: torch.Tensor
    top_k: torch.Tensor
    top_p: torch.Tensor
    min_p: torch.Tensor

    @classmethod
    def of(cls, key: tuple[tuple[int, SamplingParams, bool], ...], device: torch.device) -> SamplingBatch:
        def column(values: Sequence[float], dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return _tensor(values, dtype, device).unsqueeze(1)

        every = [params for _, params, _ in key]
        top_k = [params.top_k for params in every if _cut(params)]
        # A repetition penalty would push a constrained row against quotes and braces.
        repetition = [1.0 if constrained else params.repetition_penalty for _, params, constrained in key]
        return cls(
            key=key,
            slots=_tensor([slot for slot, _, _ in key], torch.int64, device),
            greedy=_flags([_greedy(params) for params in every], device),
            plain=_flags([not _greedy(params) and not _cut(params) for params in every], device),
            cut=_flags([_cut(params) for params in every], device),
            counted=any(params.presence_penalty or params.frequency_penalty for params in every),
            longest_top_k=max(top_k, default=0) if all(0 < k <= SHORTLIST for k in top_k) else 0,
            penalised=frozenset(slot for slot, params, _ in key if _penalised(params)),
            repetition=column(repetition),
            presence=column([params.presence_penalty for params in every]),
            frequency=column([params.frequency_penalty for params in every]),
            temperature=column([params.temperature or 1.0 for params in every]),
            top_k=column([params.top_k or torch.inf for params in every]),
            top_p=column([params.top_p for params in every]),
            min_p=column([params.min_p for params in every]),
        )


def _penalised(params: SamplingParams) -> bool:
    return params.repetition_penalty != 1.0 or params.presence_penalty != 0.0 or params.frequency_penalty != 0.0


def _greedy(params: SamplingParams) -> bool:
    return params.temperature == 0


def _cut(params: SamplingParams) -> bool:
    return not _greedy(params) and (params.top_k > 0 or params.top_p < 1 or params.min_p > 0)


def _flags(values: Sequence[bool], device: torch.device) -> torch.Tensor | None:
    return _tensor(values, torch.bool, device) if any(values) else None


def _tensor(values: Sequence[float], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """``values`` on the device, without waiting for it."""
    on_gpu = device.type == "cuda"
    return torch.tensor(values, dtype=dtype, pin_memory=on_gpu).to(device, non_blocking=on_gpu)


def _enough(best: torch.Tensor, rows: Sequence[SamplingRow]) -> bool:
    """Whether nothing beyond the ``best`` tokens could be drawn in any row."""
    mass, first, last = best.sum(-1).tolist(), best[:, 0].tolist(), best[:, -1].tolist()
    return all(
        not _cut(row.params)
        or 0 < row.params.top_k <= best.shape[1]
        or (row.params.top_k == 0 and mass[index] > row.params.top_p)
        or (row.params.top_k == 0 and last[index] < row.params.min_p * first[index])
        for index, row in enumerate(rows)
    )


def _truncated(best: torch.Tensor, batch: SamplingBatch) -> torch.Tensor:
    """Zero what top-k, then top-p, then min-p cut. ``best`` is sorted, best first.

    Top-p is a share of what top-k left, and of the whole vocabulary where there is no top-k.
    """
    best = best * (torch.arange(best.shape[1], device=best.device) < batch.top_k)
    best = best / torch.where(batch.top_k.isfinite(), best.sum(-1, keepdim=True), 1.0)
    kept = best.cumsum(-1) - best < batch.top_p
    kept[:, 0] = True
    kept &= best >= batch.min_p * best[:, :1]
    return best * kept


def _argmax(logits: torch.Tensor) -> torch.Tensor:
    best_logit, best_id = logits.max(-1)
    return torch.where(best_logit.isfinite(), best_id, NO_TOKEN)


def _inverse_cdf(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Inverse transform sampling: the first index whose cumulative weight passes ``uniform`` of the whole.

    NO_TOKEN where the weights are not numbers.
    """
    cumulative = weights.cumsum(-1)
    index = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True).squeeze(1)
    last = (weights > 0).int().cumsum(-1).argmax(-1)  # rounding must not step past what may be drawn
    return torch.where(cumulative[:, -1].isfinite(), torch.minimum(index, last), NO_TOKEN)


def _sampled_tokens(logits: torch.Tensor, token_ids: Sequence[int], rows: Sequence[SamplingRow]) -> list[SampledToken]:
    return [
        _with_logprobs(logits[index], token_id, row.params)
        if row.params.logprobs and token_id != NO_TOKEN
        else SampledToken(token_id)
        for index, (token_id, row) in enumerate(zip(token_ids, rows, strict=True))
    ]


def _with_logprobs(logits: torch.Tensor, token_id: int, params: SamplingParams) -> SampledToken:
    logprobs = torch.log_softmax(logits, -1)
    best, ids = torch.topk(logprobs, params.top_logprobs)
    return SampledToken(token_id, float(logprobs[token_id]), tuple(zip(ids.tolist(), best.tolist(), strict=True)))
