"""A model whose numbers leave FP16's range runs in BF16; one that stays within is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from qwen_app.models.adapted.half_range import largest_number
from qwen_app.models.loading.loader import load


def scaled(folder: Path, to: Path, factor: float) -> Path:
    """The same model with MLP outputs ``factor`` times as large."""
    loaded = load(folder, precision="fp32")
    with torch.no_grad():
        for layer in loaded.model.get_decoder().layers:
            layer.mlp.up_proj.weight.mul_(factor)
    loaded.model.save_pretrained(to)
    loaded.tokenizer.save_pretrained(to)
    return to


@pytest.mark.parametrize("factor", [1e5, 5e5])
def test_what_overflows_runs_in_bf16(
    tiny_qwen_dir: Path, tmp_path: Path, factor: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether a number is only near the end of the range, or beyond it and none any more."""
    folder = scaled(tiny_qwen_dir, tmp_path, factor)
    loaded = load(folder, precision="fp16")
    assert (loaded.precision, loaded.model.dtype) == ("bf16", torch.bfloat16)
    assert "BF16" in caplog.text
    assert torch.isfinite(torch.tensor(largest_number(loaded.model, loaded.tokenizer)))
    assert loaded.model.get_decoder().rotary_emb.inv_freq.dtype == torch.float32  # or far positions blur


def test_what_an_mlp_multiplies_counts(tiny_qwen_dir: Path) -> None:
    """Gate and up stay small, what comes down again too: no module gives what lies between."""
    loaded, products = load(tiny_qwen_dir, precision="fp32"), list[torch.Tensor]()
    with torch.no_grad():
        for layer in loaded.model.get_decoder().layers:
            layer.mlp.gate_proj.weight.mul_(1e4)
            layer.mlp.up_proj.weight.mul_(1e4)
            layer.mlp.down_proj.weight.mul_(1e-8)
            layer.mlp.down_proj.register_forward_pre_hook(lambda _, given: products.append(given[0].abs().amax()))
    found = largest_number(loaded.model, loaded.tokenizer)
    assert found == max(products) > 1e4


def test_what_stays_within_is_left_alone(tiny_qwen_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = load(tiny_qwen_dir, precision="fp16")
    assert (loaded.precision, loaded.model.dtype) == ("fp16", torch.float16)
    assert 0.0 < largest_number(loaded.model, loaded.tokenizer) < 100.0
    assert "BF16" not in caplog.text  # how it was loaded is told where an app before it asked for that
    assert not any(module._forward_hooks for module in loaded.model.modules())
