"""Token masks: which tokens each sequence may draw next, as bits, for the sampler."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qwen_app.engine.local.steps.sequence import SequenceState
from qwen_app.structured.grammars.grammar import fill_masks


def masks_of(drawing: Sequence[SequenceState], words: int) -> np.ndarray | None:
    """int32 ``[rows, words]``, all bits set in rows without a grammar; None where no row is held to anything."""
    held = [index for index, sequence in enumerate(drawing) if sequence.constraint or sequence.banned_ids]
    if not held:
        return None
    masks = np.full((len(drawing), words), -1, np.int32)
    states = [(index, drawing[index].constraint) for index in held if drawing[index].constraint]
    if states:
        rows = np.zeros((len(states), words), np.int32)
        fill_masks([constraint.state for _, constraint in states if constraint], rows)
        masks[[index for index, _ in states]] = rows
    for index in held:
        if (forced := drawing[index].forced_token) is not None:
            masks[index] = 0
            masks.view(np.uint32)[index, forced // 32] = np.uint32(1 << forced % 32)
    for index in held:
        for token_id in drawing[index].banned_ids:
            masks.view(np.uint32)[index, token_id // 32] &= np.uint32(0xFFFFFFFF ^ 1 << token_id % 32)
    return masks
