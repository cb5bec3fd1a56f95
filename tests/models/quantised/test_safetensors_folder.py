"""GPTQ and AWQ checkpoints, written as their makers write them, run as what they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from qwen_app.errors import ModelFilesError
from qwen_app.models.loader import load
from tests.tiny_qwen import save_tiny_qwen

GROUP = 32
IDS = torch.arange(40)[None] * 5
Parts = dict[str, torch.Tensor]


def packed(codes: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """int32 ``[rows, columns / 8]``: nibble ``i`` holds the ``order[i]``-th of eight columns."""
    eights = codes.long().unflatten(1, (-1, 8))[..., list(order)]
    numbers = (eights << torch.arange(0, 32, 4)).sum(-1)
    return (numbers - (numbers >> 31 << 32)).int()


def gptq(codes: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> Parts:
    """``codes`` ``[out, in]``, ``zeros`` and ``scales`` ``[groups, out]``: AutoGPTQ's first format."""
    straight = (0, 1, 2, 3, 4, 5, 6, 7)
    return {
        "qweight": packed(codes, straight).t().contiguous(),
        "qzeros": packed(zeros - 1, straight),
        "scales": scales.half(),
        "g_idx": (torch.arange(codes.shape[1]) // GROUP).int(),
    }


def awq(codes: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> Parts:
    interleaved = (0, 2, 4, 6, 1, 3, 5, 7)
    return {
        "qweight": packed(codes.t(), interleaved),
        "qzeros": packed(zeros, interleaved),
        "scales": scales.half(),
    }


CONFIGS: dict[str, dict[str, object]] = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": False},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True},
}
WRITERS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Parts]] = {"gptq": gptq, "awq": awq}


def write(folder: Path, method: str, **changed: object) -> Path:
    """A tiny Qwen2 in ``folder`` / plain with layers on a 4-bit grid, in ``folder`` / method the same in 4 bits."""
    plain, small = save_tiny_qwen(folder / "plain"), save_tiny_qwen(folder / method)
    tensors, floats, four_bit = load_file(plain / "model.safetensors"), {}, {}
    for name, tensor in tensors.items():
        if not name.endswith("_proj.weight"):
            floats[name] = four_bit[name] = tensor
            continue
        out_features, in_features = tensor.shape
        codes = torch.randint(0, 16, tensor.shape)
        zeros = torch.randint(1, 16, (in_features // GROUP, out_features))
        scales = torch.rand(in_features // GROUP, out_features).add(0.5).mul(0.02).half().float()
        steps = codes.unflatten(1, (-1, GROUP)) - zeros.t()[..., None]
        floats[name] = (steps * scales.t()[..., None]).flatten(1)
        for part, packed_tensor in WRITERS[method](codes, zeros, scales).items():
            four_bit[name.replace("weight", part)] = packed_tensor
    save_file(floats, plain / "model.safetensors", {"format": "pt"})
    save_file(four_bit, small / "model.safetensors", {"format": "pt"})
    config = json.loads((small / "config.json").read_text())
    config["quantization_config"] = {**CONFIGS[method], **changed}
    (small / "config.json").write_text(json.dumps(config))
    return small


@pytest.mark.parametrize("method", CONFIGS)
@torch.inference_mode()
def test_a_checkpoint_is_taken_over_as_it_is(tmp_path: Path, method: str) -> None:
    small = load(write(tmp_path, method), precision="auto")
    plain = load(tmp_path / "plain", precision="fp32")
    assert small.precision == method
    assert small.weights_bytes < plain.weights_bytes / 2
    assert small.generation_config.top_k == 20
    expected = plain.model(IDS).logits
    torch.testing.assert_close(small.model(IDS).logits, expected, atol=0.03 * float(expected.abs().max()), rtol=0.03)


@pytest.mark.parametrize(
    ("method", "changed", "said"),
    [("gptq", {"bits": 8}, "8 bits"), ("awq", {"bits": 3}, "3 bits"), ("awq", {"version": "gemv"}, "gemv")],
)
def test_what_is_not_read_is_refused(tmp_path: Path, method: str, changed: dict[str, object], said: str) -> None:
    with pytest.raises(ModelFilesError, match=said):
        load(write(tmp_path, method, **changed), precision="auto")


def test_columns_out_of_order_are_refused(tmp_path: Path) -> None:
    small = write(tmp_path, "gptq")
    tensors = load_file(small / "model.safetensors")
    save_file(
        {name: tensor.flip(0) if name.endswith("g_idx") else tensor for name, tensor in tensors.items()},
        small / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ModelFilesError, match="desc_act"):
        load(small, precision="auto")


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    folder = save_tiny_qwen(tmp_path / "tiny")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelFilesError, match=r"model\.layers\.1\.mlp\.up_proj"):
        load(folder, precision="int4")
