"""KV cache: the keys and values of every conversation on the device, allocated once."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig

from qwen_app.engine.local.attention.slot_copies import SlotCopies


@dataclass(frozen=True, slots=True)
class KVShape:
    """Per layer and token: ``heads`` x ``head_dim`` keys and as many values of ``dtype``."""

    layers: int
    heads: int
    head_dim: int
    dtype: torch.dtype

    @classmethod
    def of(cls, config: PretrainedConfig, dtype: torch.dtype) -> KVShape:
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        return cls(config.num_hidden_layers, heads, head_dim, dtype)

    @property
    def token_bytes(self) -> int:
        return 2 * self.layers * self.heads * self.head_dim * self.dtype.itemsize


class KVCache:
    """Slot ``s`` owns cells ``s * length`` to ``(s + 1) * length`` of every layer, one cell a position.

    ``keys[l]`` and ``values[l]`` are ``[slots * length + scratch cells, heads, head_dim]`` on layer ``l``'s device;
    ``slot_keys[l]`` and ``slot_values[l]`` show the same memory as ``[slots, heads, length, head_dim]``. Rows of a
    captured step that belong to nobody write to the scratch cells, one each: ``scratch_rows`` of them at most.

    With ``overlap``, one card copies from and to the host's memory beside what else it does: who launches a step calls
    ``wait_for_copies`` of its slots first, and leaves out, for now, those that are ``copying``.
    """

    def __init__(
        self, shape: KVShape, *, slots: int, length: int, devices: Sequence[torch.device], overlap: bool = False
    ) -> None:
        self.shape = shape
        self.slots = slots
        self.length = length
        self.scratch_rows = -(-slots // 8) * 8
        cells = slots * length + self.scratch_rows
        size = (cells, shape.heads, shape.head_dim)
        self.keys = [_zeros(size, shape.dtype, device) for device in devices]
        self.values = [_zeros(size, shape.dtype, device) for device in devices]
        self.slot_keys = [self._by_slot(tensor) for tensor in self.keys]
        self.slot_values = [self._by_slot(tensor) for tensor in self.values]
        self.devices = frozenset(tensor.device for tensor in self.keys)
        one_card = self.on_card and len(self.devices) == 1
        self._copies = SlotCopies(self.keys[0].device) if overlap and one_card else None

    @property
    def size_bytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values))

    def _by_slot(self, cells: torch.Tensor) -> torch.Tensor:
        """The same memory as ``[slots, heads, length, head_dim]``."""
        shape = (self.slots, self.length, self.shape.heads, self.shape.head_dim)
        return cells[: self.slots * self.length].view(shape).transpose(1, 2)

    def cell(self, slot: int, position: int) -> int:
        return slot * self.length + position

    def scratch(self, rows: int) -> range:
        """Cells for so many rows of nobody's."""
        return range(self.slots * self.length, self.slots * self.length + rows)

    def store(self, layer: int, slot_mapping: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Put ``keys`` and ``values``, ``[tokens, heads, head_dim]``, into the cells of ``slot_mapping``."""
        self.keys[layer].index_copy_(0, slot_mapping, keys)
        self.values[layer].index_copy_(0, slot_mapping, values)

    def copy_prefix(self, source: int, target: int, tokens: int) -> None:
        """Give ``target`` the first ``tokens`` positions of ``source``."""
        self.wait_for_copies(source, target)
        start, end = self.cell(target, 0), self.cell(target, tokens)
        first = self.cell(source, 0)
        for tensor in (*self.keys, *self.values):
            tensor[start:end].copy_(tensor[first : first + tokens])

    def clear(self, slot: int) -> None:
        """Put zeros into ``slot``, which may hold NaN: even masked, that would spoil the slot's next answer."""
        self.wait_for_copies(slot)
        start, end = self.cell(slot, 0), self.cell(slot, self.length)
        for tensor in (*self.keys, *self.values):
            tensor[start:end].zero_()

    def read(self, slot: int, tokens: int, memory: torch.Tensor) -> None:
        """Copy the first ``tokens`` positions of ``slot`` into ``memory``, uint8 ``[tokens * shape.token_bytes]``.

        With one card the host does not wait; with ``overlap`` neither does what is launched next.
        """
        first = self.cell(slot, 0)
        with self._copying(slot):
            for tensor, part in zip((*self.keys, *self.values), self._parts(memory), strict=True):
                part.copy_(tensor[first : first + tokens], non_blocking=True)
        self._wait_for_several()

    def write(self, slot: int, tokens: int, memory: torch.Tensor) -> None:
        """Put back the first ``tokens`` positions of what ``read`` put into ``memory``."""
        first = self.cell(slot, 0)
        with self._copying(slot):
            for tensor, part in zip((*self.keys, *self.values), self._parts(memory), strict=True):
                tensor[first : first + tokens].copy_(part[:tokens], non_blocking=True)
        self._wait_for_several()

    def copying(self, slot: int) -> bool:
        """Whether a card still copies from or to the slot: a step with it would wait."""
        return self._copies is not None and self._copies.under_way(slot)

    def wait_for_copies(self, *slots: int) -> None:
        """What is launched from now on comes after what ``read`` and ``write`` did to these slots."""
        if self._copies is not None:
            for slot in slots:
                self._copies.wait_for(slot)

    def _copying(self, slot: int) -> AbstractContextManager[None]:
        return nullcontext() if self._copies is None else self._copies.of(slot)

    def _parts(self, memory: torch.Tensor) -> torch.Tensor:
        """``[2 * layers, tokens, heads, head_dim]``: all layers' keys, then all layers' values."""
        shape = self.shape
        return memory.view(shape.dtype).view(2 * shape.layers, -1, shape.heads, shape.head_dim)

    @property
    def on_card(self) -> bool:
        return self.keys[0].is_cuda

    def wait(self) -> None:
        """Until all that was launched is done."""
        for device in self.devices:
            if device.type == "cuda":
                torch.cuda.synchronize(device)

    def _wait_for_several(self) -> None:
        """Several cards know nothing of each other's copies; on one they are in order, or ``wait_for_copies``."""
        if len(self.devices) > 1:
            self.wait()


def _zeros(size: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """On a CPU, of memory that is taken page by page when it is first written to: most chats fill little of a slot."""
    if device.type != "cpu":
        return torch.zeros(size, dtype=dtype, device=device)
    pages = mmap.mmap(-1, math.prod(size) * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return torch.frombuffer(pages, dtype=dtype).view(size)
