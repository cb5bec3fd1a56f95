"""GPTQ and AWQ checkpoints, written as their makers write them, run as what they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from qwen_app.errors import ModelFilesError
from qwen_app.linear.int4_weight import Int4Weight
from qwen_app.models.loading.loader import load
from qwen_app.models.quantised.safetensors_folder import gptq_folder
from tests.tiny_qwen import changed_weights, save_tiny_qwen

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
    with changed_weights(small) as tensors:
        for name in [name for name in tensors if name.endswith("g_idx")]:
            tensors[name] = tensors[name].flip(0)
    with pytest.raises(ModelFilesError, match="desc_act"):
        load(small, precision="auto")


def test_layers_of_another_size_are_refused(tmp_path: Path) -> None:
    small = write(tmp_path, "gptq")
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, "intermediate_size": 256}))
    with pytest.raises(ModelFilesError, match=r"\[64, 128\], and config\.json wants \[64, 256\]"):
        load(small, precision="auto")


def gptq_weight(folder: Path, parts: Parts, **changed: object) -> Int4Weight:
    """The one layer of a checkpoint, of 8 outputs."""
    file = folder / "model.safetensors"
    save_file({f"layer.{name}": tensor for name, tensor in parts.items()}, file)
    weight = gptq_folder([file], {"bits": 4, **changed}).matrix("layer")
    assert isinstance(weight, Int4Weight)
    return weight


TRUE_ZEROS = torch.tensor([[0, 8, 0, 0, 5, 0, 15, 3]])


@pytest.mark.parametrize(
    ("checkpoint_format", "stored"),
    [
        ("gptq", packed(TRUE_ZEROS, (0, 1, 2, 3, 4, 5, 6, 7)) - 0x11111111),
        ("gptq_v2", packed(TRUE_ZEROS, (0, 1, 2, 3, 4, 5, 6, 7))),
    ],
)
def test_zero_points_of_gptq_are_those_that_were_meant(
    tmp_path: Path, checkpoint_format: str, stored: torch.Tensor
) -> None:
    parts = {"qweight": torch.zeros(4, 8, dtype=torch.int32), "qzeros": stored, "scales": torch.ones(1, 8)}
    weight = gptq_weight(tmp_path, parts, checkpoint_format=checkpoint_format)
    assert weight.minimums.t().tolist() == [[-zero for zero in TRUE_ZEROS[0].tolist()]]


def of_one_group(inputs: int) -> Parts:
    """A layer with one scale a row."""
    return {
        "qweight": torch.zeros(inputs // 8, 8, dtype=torch.int32),
        "qzeros": torch.zeros(1, 1, dtype=torch.int32),
        "scales": torch.rand(1, 8),
    }


def test_a_scale_for_a_whole_row_is_one_for_each_of_its_groups(tmp_path: Path) -> None:
    weight = gptq_weight(tmp_path, of_one_group(320))
    assert weight.group == 64
    assert torch.equal(weight.scales, weight.scales[:, :1].expand(-1, 5))


def test_rows_that_no_group_divides_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="Groups of 264 weights are not read here, only of a multiple of 32"):
        gptq_weight(tmp_path, of_one_group(264))


@pytest.mark.parametrize(
    ("part", "tensor", "said"),
    [
        ("qzeros", None, r"layer\.qzeros is missing"),
        ("qweight", torch.zeros(8, dtype=torch.int32), r"layer\.qweight is missing or no matrix"),
        ("scales", torch.ones(1, 16), r"do not fit together: \[8, 64\], \[1, 8\], \[1, 16\]"),
        ("scales", torch.ones(3, 8), "do not fit together"),
    ],
)
def test_parts_of_a_layer_that_do_not_fit_together_are_told(
    tmp_path: Path, part: str, tensor: torch.Tensor | None, said: str
) -> None:
    parts = of_one_group(64)
    del parts[part]
    with pytest.raises(ModelFilesError, match=said):
        gptq_weight(tmp_path, parts if tensor is None else {**parts, part: tensor})
