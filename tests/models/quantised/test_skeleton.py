"""A model is filled with tensors of its own shapes alone: kernels would read and write beyond others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from qwen_app.errors import ModelFilesError
from qwen_app.models.loading.loader import load
from tests.tiny_qwen import changed_weights, save_tiny_qwen

LAYER = "model.layers.1."


def with_tensor(folder: Path, name: str, tensor: torch.Tensor | None) -> Path:
    """A tiny Qwen2 in ``folder`` whose tensor ``name`` is another, or none."""
    save_tiny_qwen(folder)
    with changed_weights(folder) as tensors:
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor
    return folder


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        (f"{LAYER}self_attn.q_proj.weight", (32, 64), (64, 64)),
        (f"{LAYER}self_attn.k_proj.weight", (64, 64), (32, 64)),
        (f"{LAYER}self_attn.o_proj.weight", (1 << 14, 64), (64, 64)),
        (f"{LAYER}self_attn.q_proj.bias", (5,), (64,)),
        (f"{LAYER}mlp.down_proj.weight", (64, 256), (64, 128)),
        (f"{LAYER}mlp.down_proj.weight", (64 * 128,), (64, 128)),
        (f"{LAYER}mlp.down_proj.bias", (63,), (64,)),
        (f"{LAYER}input_layernorm.weight", (1,), (64,)),
        ("model.norm.weight", (), (64,)),
        ("model.embed_tokens.weight", (100, 64), (320, 64)),
        ("lm_head.weight", (100, 64), (320, 64)),
        ("lm_head.weight", (320 * 64,), (320, 64)),
    ],
)
def test_a_tensor_of_another_shape_is_named_with_both(
    tmp_path: Path, name: str, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    with pytest.raises(ModelFilesError) as refused:
        load(with_tensor(tmp_path, name, torch.ones(shape)), precision="int4")
    assert f"{name} has the shape {list(shape)}, and config.json wants {list(expected)}" in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        f"{LAYER}self_attn.q_proj.bias",
        f"{LAYER}mlp.up_proj.weight",
        f"{LAYER}input_layernorm.weight",
        "model.embed_tokens.weight",
        "lm_head.weight",  # which this model does not share with the embedding
    ],
)
def test_a_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelFilesError, match=f"its files lack {name}"):
        load(with_tensor(tmp_path, name, None), precision="int4")


def test_a_bias_beyond_the_config_is_added(tmp_path: Path) -> None:
    """Old GPTQ checkpoints have one in every layer."""
    loaded = load(with_tensor(tmp_path, f"{LAYER}mlp.down_proj.bias", torch.ones(64)), precision="int4")
    assert loaded.model.get_decoder().layers[1].mlp.down_proj.bias.tolist() == [1.0] * 64
