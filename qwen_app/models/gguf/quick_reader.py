"""GGUF's reader, quick with the long lists of a tokenizer: the library's takes seconds for a vocabulary of 150,000.

Whoever wants a part of a file opens it, transformers for the configuration and the tokenizer, we for the weights. So
all of them get this reader.
"""

from __future__ import annotations

from typing import Any, Literal

import gguf
import numpy as np
from gguf import GGUFValueType

Parts = tuple[int, list[np.ndarray], list[int], list[GGUFValueType]]  # bytes, values, which of them are told, types
COUNT_AT, VALUES_AT = 4, 12  # bytes after an array's beginning, which is the type of its values


def use_quick_reader() -> None:
    """Let ``gguf.GGUFReader`` be ``QuickReader``, here and in every library that reads by it."""
    gguf.GGUFReader = QuickReader  # type: ignore[misc]  # on purpose


class QuickReader(gguf.GGUFReader):
    """Reads as its base does. That makes a memory map of every value of an array, and another of its length; here they
    are cut from one."""

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Parts:
        if raw_type != GGUFValueType.ARRAY:
            whole: Parts = super()._get_field_parts(orig_offs, raw_type)
            return whole
        kind = GGUFValueType(int(self._get(orig_offs, np.uint32)[0]))
        count = int(self._get(orig_offs + COUNT_AT, np.uint64)[0])
        start = orig_offs + VALUES_AT
        if kind in self.gguf_scalar_to_np:
            values, end = self._scalars(start, count, self.gguf_scalar_to_np[kind])
        elif kind == GGUFValueType.STRING:
            values, end = self._strings(start, count)
        else:
            raise ValueError(f"An array of {kind.name} is not read.")
        return end - orig_offs, values, list(range(count)), [GGUFValueType.ARRAY, *[kind][:count]]

    def _scalars(self, start: int, count: int, dtype: Any) -> tuple[list[np.ndarray], int]:
        end = start + count * np.dtype(dtype).itemsize
        self._refuse_beyond(end)
        every = np.asarray(self._get(start, dtype, count))
        return [every[at : at + 1] for at in range(count)], end

    def _strings(self, start: int, count: int) -> tuple[list[np.ndarray], int]:
        every = np.asarray(self.data)
        raw, at = memoryview(every), start  # type: ignore[arg-type]  # an array of bytes is a buffer
        order: Literal["big", "little"] = "big" if self.byte_order == "S" else "little"
        values = []
        for _ in range(count):
            length = int.from_bytes(raw[at : at + 8], order)
            at += 8 + length
            self._refuse_beyond(at)
            values.append(every[at - length : at])
        return values, at

    def _refuse_beyond(self, end: int) -> None:
        if end > len(self.data):
            raise ValueError("The file ends within a list.")
