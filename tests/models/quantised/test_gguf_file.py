"""GGUF files stay as they are: the model that is loaded is the one that unpacking the file gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig, LlamaConfig, PreTrainedModel, Qwen2Config

from qwen_app.errors import ModelFilesError
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.int8_linear import Int8Linear
from qwen_app.models.quantised.gguf_file import GgufFile, held_bytes
from qwen_app.models.quantised.load import load_gguf
from qwen_app.models.quantised.skeleton import WeightPlacement, build_quantised
from tests.models.small_gguf import HEADS, KV_HEADS, WIDTH, write_gguf

ON_A_CPU = WeightPlacement(torch.device("cpu"), torch.float32)


def unpacked(path: Path) -> PreTrainedModel:
    """As transformers reads the file: everything in float32."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    return model.eval()


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1, Kind.Q4_K])
@torch.inference_mode()
def test_a_file_runs_as_what_it_stands_for(tmp_path: Path, architecture: str, kind: Kind) -> None:
    path = write_gguf(tmp_path / "model.gguf", architecture, kind)
    model, expected_model = load_gguf(path, ON_A_CPU), unpacked(path)
    assert model is not None
    first, last = (model.get_decoder().layers[index].mlp.down_proj for index in (0, 1))
    assert (type(first), type(last)) == (Int4Linear, Int8Linear)
    ids = torch.arange(30)[None] * 3
    expected = expected_model(ids).logits
    torch.testing.assert_close(model(ids).logits, expected, atol=0.03 * float(expected.abs().max()), rtol=0.03)


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1, Kind.Q4_K])
def test_blocks_are_taken_over_exactly(tmp_path: Path, kind: Kind) -> None:
    path = write_gguf(tmp_path / "model.gguf", "qwen2", kind)
    config = Qwen2Config(num_attention_heads=HEADS, num_key_value_heads=KV_HEADS)
    weight = GgufFile(path, config).matrix("model.layers.0.mlp.gate_proj")
    expected = unpacked(path).get_decoder().layers[0].mlp.gate_proj.weight
    assert weight is not None
    assert not isinstance(weight, torch.Tensor)
    torch.testing.assert_close(weight.dequantised(), expected.detach(), atol=1e-7, rtol=1e-6)


def test_rows_of_llamas_queries_stand_where_transformers_has_them(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf", "llama", Kind.Q4_1)
    config = LlamaConfig(num_attention_heads=HEADS, num_key_value_heads=KV_HEADS)
    layer = unpacked(path).get_decoder().layers[1].self_attn
    for name, module in (("q_proj", layer.q_proj), ("k_proj", layer.k_proj), ("v_proj", layer.v_proj)):
        weight = GgufFile(path, config).matrix(f"model.layers.1.self_attn.{name}")
        assert weight is not None
        assert not isinstance(weight, torch.Tensor)
        torch.testing.assert_close(weight.dequantised(), module.weight.detach(), atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "others"),
    [(Kind.Q4_K, Kind.Q6_K), (Kind.Q4_0, Kind.Q4_0), (Kind.Q4_0, Kind.F16), (Kind.F16, Kind.F16), (Kind.F32, Kind.F32)],
)
@pytest.mark.parametrize("tied", [False, True])
def test_what_it_takes_is_known_beforehand(tmp_path: Path, kind: Kind, others: Kind, tied: bool) -> None:
    path = write_gguf(tmp_path / "model.gguf", "qwen2", kind, others, tied=tied)
    model = load_gguf(path, ON_A_CPU)
    assert model is not None
    held = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    assert held_bytes(path) == pytest.approx(held, rel=0.02)


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("changed", [{"hidden_size": WIDTH * 2}, {"num_key_value_heads": HEADS}, {"vocab_size": 97}])
def test_tensors_of_another_size_than_the_models_are_refused(
    tmp_path: Path, architecture: str, changed: dict[str, int]
) -> None:
    path = write_gguf(tmp_path / "model.gguf", architecture, Kind.Q4_0)
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    config.update(changed)
    with pytest.raises(ModelFilesError, match="has the shape"):
        build_quantised(config, GgufFile(path, config), ON_A_CPU)
