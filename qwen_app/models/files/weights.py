"""The safetensors files of a model's folder."""

from __future__ import annotations

import json
from pathlib import Path

from qwen_app.errors import ModelFilesError
from qwen_app.models.files.disk import reading
from qwen_app.models.files.json_file import MISSHAPEN, read_json
from qwen_app.models.files.names import is_plain_name
from qwen_app.models.files.refetch import refetch

_HEADER_LIMIT_BYTES = 100_000_000  # safetensors' own limit


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold the weights: as in transformers, shards where there is no single file. Raises
    ModelFilesError when one is missing."""
    index, whole = folder / "model.safetensors.index.json", "model.safetensors"
    names = _shard_names(index) if index.is_file() and not (folder / whole).is_file() else [whole]
    strange = next((name for name in names if not is_plain_name(name)), None)
    if strange is not None:
        raise ModelFilesError(f"{index} names {strange[:100]!r}, which is no file of this folder. {refetch(folder)}")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        raise ModelFilesError(f"{folder} lacks {', '.join(missing) or 'its weights'}. {refetch(folder)}")
    return [folder / name for name in names]


def check_safetensors(path: Path) -> None:
    """Raise ModelFilesError unless the file is as long as its own header says."""
    try:
        with reading(path), path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            if not 2 <= header_bytes <= _HEADER_LIMIT_BYTES:
                raise ValueError("no header")
            header = json.loads(file.read(header_bytes))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        whole = path.stat().st_size == 8 + header_bytes + max(ends, default=0)
    except MISSHAPEN as broken:
        raise ModelFilesError(f"{path} is not a readable safetensors file. {refetch(path.parent)}") from broken
    if not whole:
        raise ModelFilesError(f"{path} is cut short or too long. {refetch(path.parent)}")


def _shard_names(index: Path) -> list[str]:
    weight_map = read_json(index).get("weight_map")
    return sorted({str(name) for name in weight_map.values()}) if isinstance(weight_map, dict) else []
