"""Sampling: the next token of every row, chosen the way transformers' ``generate`` does it.

Order: penalties, biases, grammar mask, temperature, top-k, top-p, min-p. All rows are drawn together, and ids and
log-probabilities come back in one transfer, the only time a step waits for the device.

Each request draws one number a token from its own generator, and every token a time from that number and its own id.
The token whose time, at the pace of its weight, comes first is drawn (the exponential race, another form of the
Gumbel-max trick). So a seed gives the same answer alone or in company, and nearly always where rounding differs: a
token's time does not depend on what others weigh, as its place in a cumulative sum would.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from qwen_app.engine.local.attention.transfer import HostCopy, to_device
from qwen_app.engine.local.sampling.allowed_tokens import allowed_tokens
from qwen_app.engine.local.sampling.sampling_batch import SHORTLIST, SamplingBatch, penalised
from qwen_app.messages import SamplingParams

TOKEN, SETTLED, LOGPROB, TOP = range(4)  # the columns that the host reads of a row
NO_TOKEN = -1  # drawn where no token can be: the logits are NaN or infinite, or the grammar allows nothing
BITS = 2**32 - 1
SPREAD = 0x9E3779B1  # odd, so that different numbers stay different
CUDA_SHORTLIST = 1024  # costs a card no more, and spares it the sort of the whole vocabulary more often


@dataclass(frozen=True, slots=True)
class SamplingRow:
    """A row to sample. ``slot`` is where the request's token counts are kept. ``constrained`` rows obey a grammar.
    ``biases`` are added to the logits of token ids."""

    slot: int
    params: SamplingParams
    generator: random.Random
    constrained: bool = False
    biases: tuple[tuple[int, float], ...] = ()

    @property
    def likeliest_alone(self) -> bool:
        """It takes the likeliest token, without counts and log-probabilities."""
        return self.params.temperature == 0 and not penalised(self.params) and not self.params.logprobs


@dataclass(frozen=True, slots=True)
class SampledToken:
    """A drawn token, or NO_TOKEN; natural log-probabilities, of the unchanged distribution, where asked for."""

    token_id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class PendingSample:
    """Tokens that are drawn and not read: ``chosen``, int64 ``[rows]``, on the device; NO_TOKEN where there is none."""

    chosen: torch.Tensor
    _packed: HostCopy
    _rows: Sequence[SamplingRow]
    _batch: SamplingBatch

    def read(self) -> list[SampledToken]:
        """Waits until they are here, and for nothing that was launched later."""
        return _sampled_tokens(self._packed.tolist(), self._rows, self._batch)


class Sampler:
    """Draws ids below ``text_vocab_size``: logits may be wider, and what lies beyond has no text.

    Of requests with penalties it keeps, on the device, the tokens so far (``_token_history``,
    ``[slots, context_tokens + 1]``) and how often each was generated (``_token_counts``, ``[slots, text_vocab_size]``).
    """

    def __init__(self, *, text_vocab_size: int, context_tokens: int, slots: int, device: torch.device) -> None:
        self.text_vocab_size = text_vocab_size
        self._device = device
        self._shortlist = min(text_vocab_size, CUDA_SHORTLIST if device.type == "cuda" else SHORTLIST)
        self._token_history = torch.zeros(slots, context_tokens + 1, dtype=torch.int64, device=device)
        self._history_lengths = [0] * slots
        self._token_counts = torch.zeros(slots, text_vocab_size, dtype=torch.int32, device=device)
        self._hashed_ids = _hashed(torch.arange(text_vocab_size, device=device) + 1)
        self._batch: SamplingBatch | None = None

    def begin(self, slot: int, prompt_ids: Sequence[int], generated_ids: Sequence[int], params: SamplingParams) -> None:
        """Start counting for a request's penalties, if it has any. ``prompt_ids`` is not empty."""
        if not penalised(params):
            return
        history = to_device([*prompt_ids, *generated_ids], torch.int64, self._device)
        self._token_history[slot] = history[0]  # padding: a token that is in it anyhow
        self._token_history[slot, : len(history)] = history
        self._history_lengths[slot] = len(history)
        self._token_counts[slot].zero_()
        if generated_ids:
            generated = to_device(list(generated_ids), torch.int64, self._device)
            self._token_counts[slot] += torch.bincount(generated, minlength=self.text_vocab_size).int()

    def sample(
        self, logits: torch.Tensor, rows: Sequence[SamplingRow], masks: np.ndarray | None = None
    ) -> list[SampledToken]:
        """Draw one token a row.

        ``logits``: ``[rows, at least text_vocab_size]``, any float dtype. ``masks``: int32 ``[rows, words]``, bit ``i``
        set where token ``i`` is allowed, or None where no row is held to anything.
        """
        batch = self._batch_of(rows)
        unchanged, logits = self._adjusted(logits, rows, batch)
        logits = self._masked(logits, masks)
        numbers = self._random_numbers(rows, batch)
        chosen, settled = self._draw(logits, batch, numbers, self._shortlist)
        packed: list[list[float]] = self._packed(unchanged, chosen, settled, batch).tolist()
        if settled is not None and not all(line[SETTLED] for line in packed):
            chosen, _ = self._draw(logits, batch, numbers, self.text_vocab_size)
            packed = self._packed(unchanged, chosen, settled, batch).tolist()
        self._count(chosen, batch)
        return _sampled_tokens(packed, rows, batch)

    def likeliest(
        self, logits: torch.Tensor, rows: Sequence[SamplingRow], masks: np.ndarray | None = None
    ) -> list[SampledToken]:
        """What ``sample`` draws of rows that are all ``likeliest_alone``.

        A token that is drawn without a mask, and that the row's grammar allows, is also what is drawn with one, which
        takes longer to make.
        """
        logits = self._masked(self._biased(logits[:, : self.text_vocab_size].float(), rows), masks)
        return [SampledToken(token_id) for token_id in _argmax(logits).tolist()]

    def draws_at_once(self, rows: Sequence[SamplingRow]) -> bool:
        """Whether no row may need a second look, at more than the shortlist: its token is settled before it is read."""
        batch = self._batch_of(rows)
        return batch.cut is None or bool(batch.longest_top_k) or self._shortlist == self.text_vocab_size

    def launch(self, logits: torch.Tensor, rows: Sequence[SamplingRow]) -> PendingSample:
        """As ``sample``, for rows that ``draws_at_once`` and no grammar holds, without waiting for the device."""
        batch = self._batch_of(rows)
        unchanged, logits = self._adjusted(logits, rows, batch)
        chosen, settled = self._draw(logits, batch, self._random_numbers(rows, batch), self._shortlist)
        packed = HostCopy(self._packed(unchanged, chosen, settled, batch))
        self._count(chosen, batch)
        return PendingSample(chosen, packed, rows, batch)

    def _packed(
        self, unchanged: torch.Tensor, chosen: torch.Tensor, settled: torch.Tensor | None, batch: SamplingBatch
    ) -> torch.Tensor:
        """What the host reads of each row: the token id and, where needed, SETTLED and the columns after it. All in one
        transfer, as float32, which holds every id exactly."""
        if settled is None and batch.with_logprobs is None:
            return chosen.unsqueeze(1)
        settled = torch.ones_like(chosen) if settled is None else settled
        columns = [chosen.float().unsqueeze(1), settled.float().unsqueeze(1)]
        if batch.with_logprobs is not None:
            # Rows that did not ask get them too, with nobody to read it: to leave them out costs more than it saves.
            logprobs = torch.log_softmax(unchanged, -1)
            best, ids = torch.topk(logprobs, batch.with_logprobs)
            columns += [logprobs.gather(1, chosen.clamp(min=0).unsqueeze(1)), ids.float(), best]
        return torch.cat(columns, 1)

    def score(self, logits: torch.Tensor, token_ids: Sequence[int], top_logprobs: int) -> list[SampledToken]:
        """How likely ``token_ids`` were, given the logits ``[tokens, at least text_vocab_size]`` before each."""
        if not token_ids:
            return []
        logprobs = torch.log_softmax(logits[:, : self.text_vocab_size].float(), -1)
        chosen = logprobs.gather(1, to_device(list(token_ids), torch.int64, self._device).unsqueeze(1)).squeeze(1)
        best, ids = torch.topk(logprobs, top_logprobs)
        tops = [tuple(zip(row_ids, row, strict=True)) for row_ids, row in zip(ids.tolist(), best.tolist(), strict=True)]
        return [SampledToken(*one) for one in zip(token_ids, chosen.tolist(), tops, strict=True)]

    def _batch_of(self, rows: Sequence[SamplingRow]) -> SamplingBatch:
        """The rows' settings on the device; made anew only when the company changes."""
        key = tuple((row.slot, row.params, row.constrained) for row in rows)
        if self._batch is None or self._batch.key != key:
            self._batch = SamplingBatch.of(key, self._device)
        return self._batch

    def _adjusted(
        self, logits: torch.Tensor, rows: Sequence[SamplingRow], batch: SamplingBatch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The text vocabulary's logits in float32: as they came, and with the rows' penalties and biases."""
        unchanged = logits[:, : self.text_vocab_size].float()
        return unchanged, self._biased(self._penalised(unchanged, batch), rows)

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

    def _biased(self, logits: torch.Tensor, rows: Sequence[SamplingRow]) -> torch.Tensor:
        """``logits`` with the rows' biases; ids beyond the vocabulary have none."""
        every = [[(token_id, bias) for token_id, bias in row.biases if token_id < self.text_vocab_size] for row in rows]
        longest = max(map(len, every))
        if not longest:
            return logits
        padded = [[*biases, *[(0, 0.0)] * (longest - len(biases))] for biases in every]
        places = to_device([[token_id for token_id, _ in biases] for biases in padded], torch.int64, self._device)
        biases = to_device([[bias for _, bias in biases] for biases in padded], torch.float32, self._device)
        return logits.scatter_add(1, places, biases)  # index_put would wait for the device, to check the places

    def _masked(self, logits: torch.Tensor, masks: np.ndarray | None) -> torch.Tensor:
        if masks is None:
            return logits
        return torch.where(allowed_tokens(masks, self.text_vocab_size, self._device), logits, -torch.inf)

    def _count(self, chosen: torch.Tensor, batch: SamplingBatch) -> None:
        if batch.penalised:
            # Rows without penalties are counted too: nobody reads it, and all rows at once is less work than some.
            tokens = chosen.clamp(min=0)
            slots = [slot for slot, _, _ in batch.key]
            places = [self._history_lengths[slot] if slot in batch.penalised else 0 for slot in slots]
            self._token_history[batch.slots, to_device(places, torch.int64, self._device)] = tokens
            self._token_counts[batch.slots, tokens] += 1
            for slot in batch.penalised:
                self._history_lengths[slot] += 1

    def _random_numbers(self, rows: Sequence[SamplingRow], batch: SamplingBatch) -> torch.Tensor | None:
        """A number of 32 bits a row, int64 ``[rows, 1]``; None where all are greedy."""
        if batch.plain is None and batch.cut is None:
            return None
        numbers = [0 if row.params.temperature == 0 else int(row.generator.random() * 2**32) for row in rows]
        return to_device(numbers, torch.int64, self._device).unsqueeze(1)

    def _draw(
        self, logits: torch.Tensor, batch: SamplingBatch, numbers: torch.Tensor | None, shortlist: int
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Each row in its own way, whatever its company asks for: a seed gives the same answer alone.

        Returns the ids; and bool ``[rows]``, where a longer list than ``shortlist`` would give the same, or None where
        no row needs one.
        """
        if numbers is None:
            return _argmax(logits), None
        drawn, settled = torch.full_like(numbers, NO_TOKEN).squeeze(1), None
        if batch.plain is not None:
            drawn = _race_winners(torch.softmax(logits / batch.temperature, -1), self._hashed_ids, numbers)
        if batch.cut is not None:
            best, ids, settled = self._best(logits, batch, shortlist)
            picked = _race_winners(_truncated(best, batch), self._hashed_ids[ids], numbers)
            known = ids.gather(1, picked.clamp(min=0).unsqueeze(1)).squeeze(1)
            drawn = torch.where(batch.cut, torch.where(picked >= 0, known, NO_TOKEN), drawn)
        return (drawn if batch.greedy is None else torch.where(batch.greedy, _argmax(logits), drawn)), settled

    def _best(
        self, logits: torch.Tensor, batch: SamplingBatch, shortlist: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Weights of the best tokens, best first, and their ids; and where nothing beyond them could be drawn."""
        if batch.longest_top_k:
            best, ids = torch.topk(logits, min(batch.longest_top_k, self.text_vocab_size))
            return torch.softmax(best / batch.temperature, -1), ids, None
        probabilities = torch.softmax(logits / batch.temperature, -1)
        if shortlist >= self.text_vocab_size:
            best, ids = probabilities.sort(descending=True)
            return best, ids, None
        best, ids = torch.topk(probabilities, shortlist)
        return best, ids, _settled(best, batch)


def _settled(best: torch.Tensor, batch: SamplingBatch) -> torch.Tensor:
    """bool ``[rows]``: nothing beyond the ``best`` tokens could be drawn. True of NaN, which no longer list mends."""
    assert batch.cut is not None
    mass, first, last = best.sum(-1), best[:, 0], best[:, -1]
    unbounded = batch.top_k.squeeze(1).isinf()
    inside = (mass > batch.top_p.squeeze(1)) | (last < batch.min_p.squeeze(1) * first)
    short = batch.top_k.squeeze(1) <= best.shape[1]
    return ~batch.cut | short | (unbounded & inside) | mass.isnan()


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
    if logits.device.type == "cpu":
        return _argmax_by_numpy(logits.numpy())
    best_logit, best_id = logits.max(-1)
    return torch.where(best_logit.isfinite(), best_id, NO_TOKEN)


def _argmax_by_numpy(logits: np.ndarray) -> torch.Tensor:
    """The same in a tenth of the time on a CPU."""
    best_ids = logits.argmax(1)
    best_ids[~np.isfinite(logits[np.arange(len(logits)), best_ids])] = NO_TOKEN
    return torch.from_numpy(best_ids)


def _race_winners(weights: torch.Tensor, hashed_ids: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Of each row the place that wins the exponential race (see above): each as likely as its weight.

    NO_TOKEN where there are NaN or infinite weights.
    """
    uniform = (_hashed(hashed_ids + numbers * SPREAD).double() + 0.5) / 2**32
    place = (weights / -uniform.log().float()).argmax(-1)
    return torch.where(weights.sum(-1).isfinite(), place, NO_TOKEN)


def _hashed(numbers: torch.Tensor) -> torch.Tensor:
    """The lower 32 bits of int64 ``numbers``, mixed: C. Wellons' lowbias32 (nullprogram.com/blog/2018/07/31)."""
    mixed = numbers & BITS
    mixed = ((mixed ^ (mixed >> 16)) * 0x7FEB352D) & BITS
    mixed = ((mixed ^ (mixed >> 15)) * 0x846CA68B) & BITS
    return mixed ^ (mixed >> 16)


def _sampled_tokens(
    packed: Sequence[Sequence[float]], rows: Sequence[SamplingRow], batch: SamplingBatch
) -> list[SampledToken]:
    alternatives = batch.with_logprobs or 0
    sampled = []
    for line, row in zip(packed, rows, strict=True):
        token_id = int(line[TOKEN])
        if not row.params.logprobs or token_id == NO_TOKEN:
            sampled.append(SampledToken(token_id))
            continue
        ids, best = line[TOP : TOP + alternatives], line[TOP + alternatives :]
        top = tuple((int(other), logprob) for other, logprob in zip(ids, best, strict=True))
        sampled.append(SampledToken(token_id, line[LOGPROB], top[: row.params.top_logprobs]))
    return sampled
