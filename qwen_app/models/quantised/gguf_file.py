"""A GGUF file as a source of weights that stay as they are: 4-bit blocks as int4, finer ones as int8.

The blocks are ggml's (``ggml-common.h``): Q4_0 and Q4_1 have a scale for 32 weights, Q4_K 6-bit scales and minimums for
eight times 32. Names and the order of rows are llama.cpp's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

import gguf
import numpy as np
import torch
from transformers import PretrainedConfig

from qwen_app.linear.int4_weight import Int4Weight
from qwen_app.linear.int8_linear import Int8Weight
from qwen_app.linear.row_slices import slices_of
from qwen_app.models.quantised.skeleton import Weight

GROUP = 32
INT4_BYTES = 0.5 + 4 / GROUP  # a weight: its code, and its share of a scale and a zero in bfloat16
FLOATS = (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.BF16)
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")


class _Tensor(Protocol):
    """What gguf's reader tells of a tensor; ``data`` has a row of blocks for each row of a quantised matrix."""

    name: str
    tensor_type: gguf.GGMLQuantizationType
    n_elements: int
    data: np.ndarray


class GgufFile:
    """The tensors of ``path`` by transformers' names. ``config`` is the model's, which tells heads and architecture."""

    def __init__(self, path: Path, config: PretrainedConfig) -> None:
        self._tensors = tensors_of(path)
        self._heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
        architecture = config.model_type
        self._interleaved = architecture in ("llama", "mistral")  # llama.cpp turns neighbouring numbers there

    def tensor(self, name: str) -> torch.Tensor | None:
        module, _, part = name.rpartition(".")
        found = self._tensors.get(f"{gguf_name(module)}.{part}")
        if found is None:
            return None
        values = _floats(found)
        rows = self._rows(module, len(values))
        return values if rows is None else values[rows]

    def matrix(self, module: str) -> Weight | None:
        found = self._tensors.get(f"{gguf_name(module)}.weight")
        if found is None:
            return None
        weight = _weight(found)
        rows = self._rows(module, len(found.data))
        if rows is None:
            return weight
        if isinstance(weight, Int4Weight):
            return Int4Weight(weight.codes[rows], weight.scales[rows], weight.minimums[rows])
        if isinstance(weight, Int8Weight):
            return Int8Weight(weight.codes[:, rows], weight.scales[:, rows])
        return weight[rows]

    def _rows(self, module: str, rows: int) -> torch.Tensor | None:
        """Where transformers' rows lie: llama.cpp keeps the two halves of a head's numbers in turn."""
        heads = self._heads.get(gguf_name(module).rpartition(".")[2])
        if heads is None or not self._interleaved or rows % (2 * heads):
            return None
        return torch.arange(rows).view(heads, -1, 2).transpose(1, 2).flatten()


def tensors_of(path: Path) -> dict[str, _Tensor]:
    """Every tensor by its name in the file. Nothing is read yet but the table."""
    return {tensor.name: cast("_Tensor", tensor) for tensor in gguf.GGUFReader(path).tensors}


def held_bytes(path: Path) -> int:
    """Bytes the weights take once they are loaded as they are, the head counted where it is tied too."""
    tensors = tensors_of(path)
    total = sum(tensor.n_elements * _bytes_of(tensor) for tensor in tensors.values())
    tied = tensors["token_embd.weight"] if "output.weight" not in tensors else None
    return int(total + (tied.n_elements * _head_bytes(tied) if tied else 0))


def _bytes_of(tensor: _Tensor) -> float:
    """Of each of its numbers, once it is loaded: floats are rounded as those of any other checkpoint."""
    if tensor.data.ndim == 1:
        return 4.0
    if tensor.name == "token_embd.weight":
        return 2.0 if tensor.tensor_type in FLOATS else 1.0
    if tensor.name == "output.weight":
        return _head_bytes(tensor)
    return INT4_BYTES if tensor.tensor_type in (*BLOCKS, *FLOATS) else 1.0


def _head_bytes(tensor: _Tensor) -> float:
    return INT4_BYTES if tensor.tensor_type in BLOCKS else 1.0


def gguf_name(module: str) -> str:
    """What llama.cpp calls a module of transformers'."""
    layer = LAYER.fullmatch(module)
    if layer is None:
        return NAMES.get(module, module)
    return f"blk.{layer[1]}.{NAMES.get(layer[2], layer[2])}"


def _weight(tensor: _Tensor) -> Weight:
    kind = tensor.tensor_type
    if kind in FLOATS or tensor.data.ndim != 2:  # no matrix: to be told with its shape
        return _floats(tensor)
    slices = [tensor.data[rows] for rows in slices_of(*tensor.data.shape)]
    unpacked = BLOCKS.get(kind)
    if unpacked is None:
        return Int8Weight.stacked([Int8Weight.of(_dequantised(rows, kind)) for rows in slices])
    block_bytes = gguf.GGML_QUANT_SIZES[kind][1]
    blocks = (torch.from_numpy(np.array(rows)).unflatten(1, (-1, block_bytes)) for rows in slices)
    return Int4Weight.stacked([unpacked(of_rows) for of_rows in blocks])


def _floats(tensor: _Tensor) -> torch.Tensor:
    return _dequantised(tensor.data, tensor.tensor_type)


def _dequantised(data: np.ndarray, kind: gguf.GGMLQuantizationType) -> torch.Tensor:
    return torch.from_numpy(np.array(gguf.dequantize(data, kind), dtype=np.float32))


def _q4_0(blocks: torch.Tensor) -> Int4Weight:
    """``scale * (code - 8)``; ``blocks`` is uint8 ``[rows, blocks, 18]``."""
    scales = _halves(blocks[..., :2])
    return Int4Weight(_low_then_high(blocks[..., 2:]), scales, -8 * scales)


def _q4_1(blocks: torch.Tensor) -> Int4Weight:
    """``scale * code + minimum``; ``blocks`` is uint8 ``[rows, blocks, 20]``."""
    return Int4Weight(_low_then_high(blocks[..., 4:]), _halves(blocks[..., :2]), _halves(blocks[..., 2:4]))


def _q4_k(blocks: torch.Tensor) -> Int4Weight:
    """``d * scale * code - dmin * minimum``, eight times 32 to a block; ``blocks`` is uint8 ``[rows, blocks, 144]``."""
    first, second, mixed = blocks[..., 4:16].unflatten(-1, (3, 4)).unbind(-2)
    scales = torch.cat((first & 63, (mixed & 15) | ((first >> 2) & 48)), -1)
    minimums = torch.cat((second & 63, (mixed >> 4) | ((second >> 2) & 48)), -1)
    return Int4Weight(
        _low_then_high(blocks[..., 16:].unflatten(-1, (4, 32)).flatten(1, 2)),
        (_halves(blocks[..., :2])[..., None] * scales).flatten(1),
        (_halves(blocks[..., 2:4])[..., None] * minimums).flatten(1).neg(),
    )


def _halves(pairs: torch.Tensor) -> torch.Tensor:
    """float32 ``[rows, blocks]`` of the two bytes of a float16."""
    return pairs.contiguous().view(torch.float16).squeeze(-1).float()


def _low_then_high(bytes_: torch.Tensor) -> torch.Tensor:
    """uint8 ``[rows, codes]``: of each run of bytes its low halves, then its high ones."""
    return torch.cat((bytes_ & 15, bytes_ >> 4), -1).flatten(1)


BLOCKS: Mapping[gguf.GGMLQuantizationType, Callable[[torch.Tensor], Int4Weight]] = {
    gguf.GGMLQuantizationType.Q4_0: _q4_0,
    gguf.GGMLQuantizationType.Q4_1: _q4_1,
    gguf.GGMLQuantizationType.Q4_K: _q4_k,
}
