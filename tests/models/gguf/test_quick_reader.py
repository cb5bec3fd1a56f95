"""The quick reader reads what gguf's own reads, and is the one that everybody gets."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, cast

import gguf
import numpy as np
import pytest
from gguf import GGUFValueType
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig

from qwen_app.models.gguf.quick_reader import QuickReader, use_quick_reader
from tests.examples import examples

LIBRARYS_READER = cast("type[gguf.GGUFReader]", QuickReader.__base__)
ENDIANS = (gguf.GGUFEndian.LITTLE, gguf.GGUFEndian.BIG)
VALUES = {
    GGUFValueType.STRING: st.text(max_size=8),
    GGUFValueType.INT32: st.integers(-(2**31), 2**31 - 1),
    GGUFValueType.UINT64: st.integers(0, 2**64 - 1),
    GGUFValueType.FLOAT32: st.floats(width=32, allow_nan=False),
    GGUFValueType.BOOL: st.booleans(),
    GGUFValueType.UINT8: st.integers(0, 255),
}
Field = tuple[GGUFValueType, list[Any], bool]  # the values' type, the values, whether they are a list
FIELDS: st.SearchStrategy[list[Field]] = st.lists(
    st.sampled_from(list(VALUES)).flatmap(
        lambda kind: st.tuples(st.just(kind), st.lists(VALUES[kind], min_size=1, max_size=5), st.booleans())
    ),
    max_size=5,
)


def write(path: Path, fields: list[Field], endian: gguf.GGUFEndian = gguf.GGUFEndian.LITTLE) -> Path:
    writer = gguf.GGUFWriter(path, "llama", endianess=endian)
    for number, (kind, values, listed) in enumerate(fields):
        if listed:
            writer.add_key_value(f"own.{number}", values, GGUFValueType.ARRAY, kind)
        else:
            writer.add_key_value(f"own.{number}", values[0], kind)
    writer.add_tensor("output_norm.weight", np.arange(5, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_it_reads_what_the_librarys_own_reads(tmp_path: Path) -> None:
    @settings(max_examples=examples(60), deadline=None)
    @given(fields=FIELDS, endian=st.sampled_from(ENDIANS))
    def holds(fields: list[Field], endian: gguf.GGUFEndian) -> None:
        path = write(tmp_path / "any.gguf", fields, endian)
        quick, own = QuickReader(path), LIBRARYS_READER(path)
        assert list(quick.fields) == list(own.fields)
        for name, field in own.fields.items():
            assert quick.fields[name].types == field.types
            assert quick.fields[name].contents() == field.contents()
        assert [(one.name, one.data_offset) for one in quick.tensors] == [
            (one.name, one.data_offset) for one in own.tensors
        ]
        assert np.array_equal(quick.tensors[0].data, own.tensors[0].data)

    holds()


@pytest.mark.parametrize("kind", [GGUFValueType.STRING, GGUFValueType.INT32])
def test_a_list_that_goes_beyond_the_file_is_refused_at_once(tmp_path: Path, kind: GGUFValueType) -> None:
    path = write(tmp_path / "cut.gguf", [(kind, ["a"] if kind == GGUFValueType.STRING else [7], True)])
    whole = path.read_bytes()
    at = whole.index(b"own.0") + len(b"own.0") + 8  # after the list's type and its values'
    path.write_bytes(whole[:at] + struct.pack("<Q", 2**60) + whole[at + 8 :])
    with pytest.raises(ValueError, match="ends within a list"):
        QuickReader(path)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many arrays quick readers have read."""
    read: list[int] = []
    strings = QuickReader._strings

    def counting(reader: QuickReader, start: int, count: int) -> tuple[list[np.ndarray], int]:
        read.append(count)
        return strings(reader, start, count)

    monkeypatch.setattr(QuickReader, "_strings", counting)
    return read


def test_transformers_reads_by_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[int]) -> None:
    monkeypatch.setattr(gguf, "GGUFReader", LIBRARYS_READER)
    use_quick_reader()
    path = write(tmp_path / "any.gguf", [(GGUFValueType.STRING, ["a", "b", "c"], True)])
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    assert config.model_type == "llama"
    assert counted == [3]
