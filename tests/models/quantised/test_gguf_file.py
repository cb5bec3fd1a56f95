"""GGUF files stay as they are: the model that is loaded is the one that unpacking the file gives."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from transformers import AutoModelForCausalLM, GgufConfig, LlamaConfig, PreTrainedModel, Qwen2Config

from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.int8_linear import Int8Linear
from qwen_app.models.quantised.gguf_file import GgufFile, held_bytes
from qwen_app.models.quantised.load import load_gguf
from qwen_app.models.quantised.skeleton import WeightPlacement

ON_A_CPU = WeightPlacement(torch.device("cpu"), torch.float32)
WIDTH, MLP, VOCABULARY, HEADS, KV_HEADS, LAYERS = 256, 512, 96, 4, 2, 2
LINEAR = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH // 2, WIDTH),
    "attn_v": (WIDTH // 2, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (MLP, WIDTH),
    "ffn_up": (MLP, WIDTH),
    "ffn_down": (WIDTH, MLP),
}


def random_blocks(kind: Kind, rows: int, columns: int, numbers: np.random.Generator) -> np.ndarray:
    """Bytes of any codes; float16 scales of about what weights have."""
    block_weights, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    blocks = numbers.integers(0, 256, (rows, columns // block_weights, block_bytes), dtype=np.uint8)
    largest = 0.0001 if kind in (Kind.Q4_K, Kind.Q6_K) else 0.004  # these multiply it by scales of the blocks in them
    halves = numbers.uniform(largest / 4, largest, (*blocks.shape[:2], 2)).astype(np.float16)
    at = block_bytes - 2 if kind is Kind.Q6_K else 0
    scales = 1 if kind in (Kind.Q4_0, Kind.Q6_K, Kind.Q8_0) else 2
    blocks[..., at : at + 2 * scales] = halves[..., :scales].copy().view(np.uint8)
    return blocks.reshape(rows, -1)


def write(path: Path, architecture: str, kind: Kind, others: Kind = Kind.Q6_K) -> Path:
    """A random model whose layers are of ``kind``, and every second ``ffn_down`` and the head of ``others``."""
    numbers = np.random.default_rng(3)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(VOCABULARY)

    def add(name: str, rows: int, columns: int, stored: Kind) -> None:
        writer.add_tensor(name, random_blocks(stored, rows, columns, numbers), raw_dtype=stored)

    def add_floats(name: str, *shape: int) -> None:
        writer.add_tensor(name, numbers.uniform(0.5, 1.5, shape).astype(np.float32))

    add("token_embd.weight", VOCABULARY, WIDTH, others)
    add("output.weight", VOCABULARY, WIDTH, others)
    add_floats("output_norm.weight", WIDTH)
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            add_floats(f"blk.{layer}.{name}.weight", WIDTH)
        for name, (rows, columns) in LINEAR.items():
            add(f"blk.{layer}.{name}.weight", rows, columns, others if name == "ffn_down" and layer else kind)
            if architecture == "qwen2" and name in ("attn_q", "attn_k", "attn_v"):
                add_floats(f"blk.{layer}.{name}.bias", rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


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
    path = write(tmp_path / "model.gguf", architecture, kind)
    model, expected_model = load_gguf(path, ON_A_CPU), unpacked(path)
    assert model is not None
    first, last = (model.get_decoder().layers[index].mlp.down_proj for index in (0, 1))
    assert (type(first), type(last)) == (Int4Linear, Int8Linear)
    ids = torch.arange(30)[None] * 3
    expected = expected_model(ids).logits
    torch.testing.assert_close(model(ids).logits, expected, atol=0.03 * float(expected.abs().max()), rtol=0.03)


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1, Kind.Q4_K])
def test_blocks_are_taken_over_exactly(tmp_path: Path, kind: Kind) -> None:
    path = write(tmp_path / "model.gguf", "qwen2", kind)
    config = Qwen2Config(num_attention_heads=HEADS, num_key_value_heads=KV_HEADS)
    weight = GgufFile(path, config).matrix("model.layers.0.mlp.gate_proj")
    expected = unpacked(path).get_decoder().layers[0].mlp.gate_proj.weight
    assert weight is not None
    assert not isinstance(weight, torch.Tensor)
    torch.testing.assert_close(weight.dequantised(), expected.detach(), atol=1e-7, rtol=1e-6)


def test_rows_of_llamas_queries_stand_where_transformers_has_them(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", "llama", Kind.Q4_1)
    config = LlamaConfig(num_attention_heads=HEADS, num_key_value_heads=KV_HEADS)
    layer = unpacked(path).get_decoder().layers[1].self_attn
    for name, module in (("q_proj", layer.q_proj), ("k_proj", layer.k_proj), ("v_proj", layer.v_proj)):
        weight = GgufFile(path, config).matrix(f"model.layers.1.self_attn.{name}")
        assert weight is not None
        assert not isinstance(weight, torch.Tensor)
        torch.testing.assert_close(weight.dequantised(), module.weight.detach(), atol=1e-7, rtol=1e-6)


def test_what_it_takes_is_known_beforehand(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", "qwen2", Kind.Q4_K)
    model = load_gguf(path, ON_A_CPU)
    assert model is not None
    held = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    assert held_bytes(path) == pytest.approx(held, rel=0.02)
