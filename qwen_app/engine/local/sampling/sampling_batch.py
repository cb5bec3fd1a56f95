"""How a batch is sampled: the settings of its rows, as columns on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from qwen_app.engine.local.attention.transfer import to_device
from qwen_app.messages import SamplingParams

COLDEST = 1e-6  # of temperatures: logits over less than this are no float32 any more
SHORTLIST = 256  # the best so many are looked at first; nearly always nothing beyond them could be drawn


@dataclass(frozen=True, slots=True)
class SamplingBatch:
    """Sampling settings of a batch: float32 columns ``[rows, 1]`` on the device.

    ``penalised`` are the slots of rows with penalties. ``greedy``, ``plain`` (nothing is cut) and ``cut`` are bool
    ``[rows]`` and tell how a row is drawn; each is None where it is True of no row. ``longest_top_k``, of the cut rows,
    is 0 where one of them has none. ``with_logprobs``: how many alternatives a row asks for at most, None without.
    """

    key: tuple[tuple[int, SamplingParams, bool], ...]
    slots: torch.Tensor
    greedy: torch.Tensor | None
    plain: torch.Tensor | None
    cut: torch.Tensor | None
    counted: bool
    longest_top_k: int
    with_logprobs: int | None
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
        def column(values: Sequence[float]) -> torch.Tensor:
            return to_device(values, torch.float32, device).unsqueeze(1)

        every = [params for _, params, _ in key]
        top_k = [params.top_k for params in every if _cut(params)]
        # A repetition penalty would push a constrained row against quotes and braces.
        repetition = [1.0 if constrained else params.repetition_penalty for _, params, constrained in key]
        return cls(
            key=key,
            slots=to_device([slot for slot, _, _ in key], torch.int64, device),
            greedy=_flags([_greedy(params) for params in every], device),
            plain=_flags([not _greedy(params) and not _cut(params) for params in every], device),
            cut=_flags([_cut(params) for params in every], device),
            counted=any(params.presence_penalty or params.frequency_penalty for params in every),
            longest_top_k=max(top_k, default=0) if all(0 < k <= SHORTLIST for k in top_k) else 0,
            with_logprobs=max((params.top_logprobs for params in every if params.logprobs), default=None),
            penalised=frozenset(slot for slot, params, _ in key if penalised(params)),
            repetition=column(repetition),
            presence=column([params.presence_penalty for params in every]),
            frequency=column([params.frequency_penalty for params in every]),
            temperature=column([max(params.temperature or 1.0, COLDEST) for params in every]),
            top_k=column([params.top_k or torch.inf for params in every]),
            top_p=column([params.top_p for params in every]),
            min_p=column([params.min_p for params in every]),
        )


def penalised(params: SamplingParams) -> bool:
    return params.repetition_penalty != 1.0 or params.presence_penalty != 0.0 or params.frequency_penalty != 0.0


def _greedy(params: SamplingParams) -> bool:
    return params.temperature == 0


def _cut(params: SamplingParams) -> bool:
    return not _greedy(params) and (params.top_k > 0 or params.top_p < 1 or params.min_p > 0)


def _flags(values: Sequence[bool], device: torch.device) -> torch.Tensor | None:
    return to_device(values, torch.bool, device) if any(values) else None
