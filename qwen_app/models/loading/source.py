"""What transformers is to read of a checkpoint, and as what."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qwen_app.errors import ModelFilesError
from qwen_app.models.device import on_a_card
from qwen_app.models.files.checkpoint import Checkpoint
from qwen_app.models.memory_plan import INT4, NUMBER_BYTES

if TYPE_CHECKING:
    import torch
    from transformers import BitsAndBytesConfig, GgufConfig

# What reads each kind of checkpoint that comes quantised: method -> (module, package to install).
QUANTISED_READERS = {
    "awq": ("gptqmodel", "gptqmodel"),
    "gptq": ("gptqmodel", "gptqmodel"),
    "bitsandbytes": ("bitsandbytes", "bitsandbytes"),
    "gguf": ("gguf", "gguf"),
    "compressed-tensors": ("compressed_tensors", "compressed-tensors"),
    "fbgemm_fp8": ("fbgemm_gpu", "fbgemm-gpu"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where transformers reads from, and as what. ``gguf_file`` is empty for a folder of safetensors."""

    folder: Path
    precision: str
    dtype: torch.dtype | Literal["auto"]
    unpacking: GgufConfig | BitsAndBytesConfig | None = None
    gguf_file: str | None = None
    four_bits: bool = False
    cards: int = 1

    @property
    def path(self) -> Path:
        return self.folder / self.gguf_file if self.gguf_file else self.folder


def source_of(checkpoint: Checkpoint, precision: str) -> Source:
    """What to tell transformers, and the precision that comes out of it. Raises ModelFilesError."""
    from transformers import GgufConfig

    path = checkpoint.path
    if checkpoint.is_gguf:
        _need_reader("gguf", path)
        if precision in ("8bit", "4bit"):
            raise ModelFilesError(
                f"{path} is unpacked while it is loaded and cannot run in {precision}. Use --precision fp16 or int4."
            )
        dense, int4 = _dense(precision), precision == INT4
        unpacking = GgufConfig(dequantize=True)
        return Source(path.parent, INT4 if int4 else dense, _dtype(dense), unpacking, path.name, four_bits=int4)
    if checkpoint.stays_in_four_bits:
        return Source(path, checkpoint.quantisation, "auto", four_bits=True)
    if checkpoint.quantisation:
        _need_reader(checkpoint.quantisation, path)
        return Source(path, checkpoint.quantisation, "auto")
    if precision in ("8bit", "4bit"):
        return Source(path, precision, _half_on_a_card(), _bitsandbytes(precision))
    if precision == INT4:
        return Source(path, INT4, "auto", four_bits=True)
    dense = _dense(precision)
    return Source(path, dense, _dtype(dense))


def _bitsandbytes(precision: str) -> BitsAndBytesConfig:
    from transformers import BitsAndBytesConfig

    if precision == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=_half_on_a_card(),
    )


def _half_on_a_card() -> torch.dtype:
    import torch

    return torch.float16 if on_a_card() else torch.float32


def _dtype(precision: str) -> torch.dtype:
    import torch

    return {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}[precision]


def _dense(precision: str) -> str:
    if precision in NUMBER_BYTES:
        return precision
    return "fp16" if on_a_card() else "fp32"


def _need_reader(method: str, path: Path) -> None:
    if method not in QUANTISED_READERS:  # never a name to look up: the checkpoint's maker chose it
        raise ModelFilesError(
            f"{path} comes quantised as {method[:50]!r}, which is not read here. Use the model in floats, AWQ or GPTQ."
        )
    module, package = QUANTISED_READERS[method]
    if importlib.util.find_spec(module) is None:
        raise ModelFilesError(
            f"{path} comes quantised as {method}, which needs the package {package}. "
            f"Install it with: .venv/bin/pip install {package}"
        )
