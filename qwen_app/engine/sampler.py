"""The next token of every row, chosen the way transformers' ``generate`` does it.

Order: penalties, grammar mask, temperature, top-k, top-p, min-p. All rows are drawn together and the ids come back in
one transfer. Each request draws one number a token from its own generator, so a seed gives the same answer alone or in
company.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from qwen_app.messages import SamplingParams

IMPOSSIBLE = -1  # drawn where no token can be: the logits are not numbers, or the grammar allows nothing
SHORTLIST = 256  # the best so many are looked at first; nearly always nothing beyond them could be drawn


@dataclass(frozen=True, slots=True)
class Row:
    """A row to sample. ``slot`` is where the request's token counts are kept. ``constrained`` rows obey a grammar."""

    slot: int
    params: SamplingParams
    generator: random.Random
    constrained: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A drawn token, or IMPOSSIBLE; natural log-probabilities, of the unchanged distribution, where asked for."""

    token_id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """``vocab_size`` is the width of the logits; ids from ``text_vocab_size`` up have no text and are never drawn."""

    def __init__(self, *, vocab_size: int, text_vocab_size: int, slots: int, device: torch.device) -> None:
        self._text_vocab_size = min(text_vocab_size, vocab_size)
        self._device = device
        self._seen = torch.zeros(slots, vocab_size, dtype=torch.bool, device=device)
        self._counts = torch.zeros(slots, vocab_size, dtype=torch.int16, device=device)

    def begin(self, slot: int, prompt_ids: Sequence[int], generated_ids: Sequence[int], params: SamplingParams) -> None:
        """Start counting for a request's penalties; nothing is done for a request without any."""
        if not _penalised(params):
            return
        self._seen[slot].zero_()
        self._counts[slot].zero_()
        self._seen[slot, self._ids([*prompt_ids, *generated_ids])] = True
        if generated_ids:
            generated = self._ids(generated_ids)
            self._counts[slot].index_put_((generated,), torch.ones_like(generated, dtype=torch.int16), accumulate=True)

    def sample(self, logits: torch.Tensor, rows: Sequence[Row], masks: np.ndarray | None = None) -> list[Choice]:
        """Draw one token a row.

        ``logits``: ``[rows, vocab_size]``, any float dtype. ``masks``: int32 ``[rows, ceil(vocab_size / 32)]``, bit
        ``i`` set where token ``i`` is allowed, or None where no row has a grammar.
        """
        logits = logits.float()
        unchanged = logits
        logits = self._penalise(logits, rows)
        if self._text_vocab_size < logits.shape[1]:
            logits = logits.index_fill(1, self._padding(logits.shape[1]), -torch.inf)
        if masks is not None:
            logits = logits.masked_fill(~self._unpacked(masks, logits.shape[1]), -torch.inf)
        chosen = self._draw(logits, rows)
        self._count(chosen, rows)
        token_ids = chosen.tolist()  # the one wait for the device
        return self._choices(unchanged, token_ids, rows)

    def _ids(self, ids: Sequence[int]) -> torch.Tensor:
        return torch.tensor(list(ids), dtype=torch.int64, device=self._device)

    def _padding(self, vocab_size: int) -> torch.Tensor:
        return torch.arange(self._text_vocab_size, vocab_size, device=self._device)

    def _unpacked(self, masks: np.ndarray, vocab_size: int) -> torch.Tensor:
        packed = torch.from_numpy(masks.view(np.uint8)).to(self._device, non_blocking=True)
        bits = torch.arange(8, dtype=torch.uint8, device=self._device)
        return ((packed.unsqueeze(-1) >> bits) & 1).bool().flatten(1)[:, :vocab_size]

    def _penalise(self, logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        """Repetition penalty as in CTRL (over prompt and answer), presence and frequency as OpenAI's (answer alone).

        Constrained rows keep their repetition penalty off: it would push against quotes and braces.
        """
        if not any(_penalised(row.params) for row in rows):
            return logits
        slots = self._ids([row.slot for row in rows])
        repetition = [1.0 if row.constrained else row.params.repetition_penalty for row in rows]
        factor = self._column(repetition)
        seen = self._seen[slots] & self._flags([_penalised(row.params) for row in rows])
        logits = torch.where(seen, torch.where(logits > 0, logits / factor, logits * factor), logits)
        if any(row.params.presence_penalty or row.params.frequency_penalty for row in rows):
            counts = self._counts[slots]
            logits = logits - counts * self._column([row.params.frequency_penalty for row in rows])
            logits = logits - (counts > 0) * self._column([row.params.presence_penalty for row in rows])
        return logits

    def _count(self, chosen: torch.Tensor, rows: Sequence[Row]) -> None:
        counted = [index for index, row in enumerate(rows) if _penalised(row.params)]
        if not counted:
            return
        slots = self._ids([rows[index].slot for index in counted])
        tokens = (chosen if len(counted) == len(rows) else chosen[self._ids(counted)]).clamp(min=0)
        self._seen[slots, tokens] = True
        self._counts[slots, tokens] += 1

    def _column(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device).unsqueeze(1)

    def _flags(self, values: Sequence[bool]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.bool, device=self._device).unsqueeze(1)

    def _draw(self, logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        if all(row.params.temperature == 0 for row in rows):
            best_logit, best_id = logits.max(-1)
            return torch.where(best_logit.isfinite(), best_id, IMPOSSIBLE)
        if all(_plain(row.params) for row in rows):
            return _pick(self._probabilities(logits, rows), self._uniform(rows))
        best, ids = self._shortlist(logits, rows)
        probabilities = self._truncate(best, rows)
        picked = _pick(probabilities, self._uniform(rows))
        return torch.where(picked >= 0, ids.gather(1, picked.clamp(min=0).unsqueeze(1)).squeeze(1), IMPOSSIBLE)

    def _probabilities(self, logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        return torch.softmax(logits / self._column([row.params.temperature or 1.0 for row in rows]), -1)

    def _shortlist(self, logits: torch.Tensor, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities of the best tokens, best first, and their ids: as many as any row can need."""
        probabilities = self._probabilities(logits, rows)
        count = min(SHORTLIST, logits.shape[1])
        top_k = [1 if row.params.temperature == 0 else row.params.top_k for row in rows]
        if all(0 < k <= count for k in top_k):
            count = max(top_k)
        elif self._device.type != "cpu" or not self._enough(probabilities, count, rows):
            count = logits.shape[1]  # to ask a GPU whether fewer would do costs more than the sort
        best, ids = torch.topk(probabilities, count) if count < logits.shape[1] else probabilities.sort(descending=True)
        return best, ids

    def _enough(self, probabilities: torch.Tensor, count: int, rows: Sequence[Row]) -> bool:
        best = torch.topk(probabilities, count).values
        mass, last, first = best.sum(-1).tolist(), best[:, -1].tolist(), best[:, 0].tolist()
        return all(
            _greedy(row.params)
            or 0 < row.params.top_k <= count
            or mass[index] > row.params.top_p
            or last[index] < row.params.min_p * first[index]
            for index, row in enumerate(rows)
        )

    def _truncate(self, best: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        """Zero what top-k, then top-p, then min-p cut. ``best`` is sorted, best first."""
        top_k = self._column([1 if _greedy(row.params) else row.params.top_k or best.shape[1] for row in rows])
        best = best * (torch.arange(best.shape[1], device=self._device) < top_k)
        best = best / best.sum(-1, keepdim=True)
        before = best.cumsum(-1) - best
        kept = before < self._column([row.params.top_p for row in rows])
        kept[:, 0] = True
        kept &= best >= self._column([row.params.min_p for row in rows]) * best[:, :1]
        return best * kept

    def _uniform(self, rows: Sequence[Row]) -> torch.Tensor:
        return self._column([0.0 if _greedy(row.params) else row.generator.random() for row in rows])

    def _choices(self, logits: torch.Tensor, token_ids: Sequence[int], rows: Sequence[Row]) -> list[Choice]:
        if not any(row.params.logprobs for row in rows):
            return [Choice(token_id) for token_id in token_ids]
        return [
            self._with_logprobs(logits[index], token_id, row.params) if row.params.logprobs else Choice(token_id)
            for index, (token_id, row) in enumerate(zip(token_ids, rows, strict=True))
        ]

    def _with_logprobs(self, logits: torch.Tensor, token_id: int, params: SamplingParams) -> Choice:
        logprobs = torch.log_softmax(logits[: self._text_vocab_size], -1)
        best, ids = torch.topk(logprobs, params.top_logprobs)
        return Choice(token_id, float(logprobs[token_id]), tuple(zip(ids.tolist(), best.tolist(), strict=True)))


def _penalised(params: SamplingParams) -> bool:
    return params.repetition_penalty != 1.0 or params.presence_penalty != 0.0 or params.frequency_penalty != 0.0


def _greedy(params: SamplingParams) -> bool:
    return params.temperature == 0


def _plain(params: SamplingParams) -> bool:
    return not _greedy(params) and params.top_k == 0 and params.top_p >= 1.0 and params.min_p == 0.0


def _pick(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Inverse transform sampling: the first index whose cumulative weight passes ``uniform`` of the whole.

    IMPOSSIBLE where the weights are not numbers.
    """
    cumulative = weights.cumsum(-1)
    index = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True).squeeze(1)
    last = (weights > 0).int().cumsum(-1).argmax(-1)  # rounding must not step past what may be drawn
    return torch.where(cumulative[:, -1].isfinite(), torch.minimum(index, last), IMPOSSIBLE)
