"""Small random models in GGUF files, as llama.cpp writes them: every kind of block without a download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

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


def write_gguf(
    path: Path,
    architecture: str,
    kind: Kind,
    others: Kind = Kind.Q6_K,
    *,
    tied: bool = False,
    also: Callable[[gguf.GGUFWriter], None] = lambda writer: None,
) -> Path:
    """A random model whose layers are of ``kind``, and every second ``ffn_down`` and the head of ``others``.

    A ``tied`` one has no head of its own. ``also`` writes more.
    """
    numbers = np.random.default_rng(3)
    writer = gguf.GGUFWriter(path, architecture)
    _add_sizes(writer)

    def add(name: str, rows: int, columns: int, stored: Kind) -> None:
        if stored in (Kind.F16, Kind.F32):
            floats = numbers.normal(0, 0.05, (rows, columns))
            writer.add_tensor(name, floats.astype(np.float16 if stored is Kind.F16 else np.float32))
            return
        writer.add_tensor(name, random_blocks(stored, rows, columns, numbers), raw_dtype=stored)

    def add_floats(name: str, *shape: int) -> None:
        writer.add_tensor(name, numbers.uniform(0.5, 1.5, shape).astype(np.float32))

    add("token_embd.weight", VOCABULARY, WIDTH, others)
    if not tied:
        add("output.weight", VOCABULARY, WIDTH, others)
    add_floats("output_norm.weight", WIDTH)
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            add_floats(f"blk.{layer}.{name}.weight", WIDTH)
        for name, (rows, columns) in LINEAR.items():
            add(f"blk.{layer}.{name}.weight", rows, columns, others if name == "ffn_down" and layer else kind)
            if architecture == "qwen2" and name in ("attn_q", "attn_k", "attn_v"):
                add_floats(f"blk.{layer}.{name}.bias", rows)
    also(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_sizes(writer: gguf.GGUFWriter) -> None:
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(VOCABULARY)
