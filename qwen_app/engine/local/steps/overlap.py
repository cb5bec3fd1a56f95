"""Overlapping steps: the next is launched before the tokens of the last are read.

A GPU would stand still while the host reads what was drawn, makes text of it and prepares the next step. So a decode
step takes its tokens where the sampler left them, on the device, and the host works on those of the step before while
it runs (vLLM calls it async scheduling, SGLang the overlap scheduler). An answer that turns out to be over by then was
moved on once in vain: what was drawn for it is thrown away, and the cell of its slot written over.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from qwen_app.engine.local.attention.transfer import to_device
from qwen_app.engine.local.sampling.sampler import PendingSample, SampledToken
from qwen_app.engine.local.steps.sequence import SequenceState


class LaunchedStep:
    """A step that moves ``sequences`` on by a token each, and was not read yet. ``started_s``: the caller's clock."""

    def __init__(self, sequences: Sequence[SequenceState], sample: PendingSample, started_s: float) -> None:
        self.started_s = started_s
        self.launched_rows = len(sequences)
        self._rows = {sequence.id: row for row, sequence in enumerate(sequences)}
        self._sequences = list(sequences)
        self._sample = sample

    def forget(self, sequence: SequenceState) -> bool:
        """What was drawn for ``sequence`` is not wanted. False when nothing was."""
        return self._rows.pop(sequence.id, None) is not None

    @property
    def wanted(self) -> bool:
        """Whether anybody is left whom it moves on."""
        return bool(self._rows)

    def moves(self, sequences: Sequence[SequenceState]) -> bool:
        """Whether each of ``sequences`` is among those that it moves on."""
        return all(sequence.id in self._rows for sequence in sequences)

    def drawn(self, sequences: Sequence[SequenceState]) -> torch.Tensor:
        """The tokens of ``sequences``, in their order, int64 on the device. What is no token (NO_TOKEN) becomes one,
        for a step that is thrown away."""
        chosen, rows = self._sample.chosen, [self._rows[sequence.id] for sequence in sequences]
        if rows != list(range(len(chosen))):
            chosen = chosen[to_device(rows, torch.int64, chosen.device)]
        return chosen.clamp(min=0)

    def read(self) -> list[tuple[SequenceState, SampledToken]]:
        """Wait for the tokens of those that still want them."""
        sampled = self._sample.read()
        return [(one, sampled[self._rows[one.id]]) for one in self._sequences if one.id in self._rows]
