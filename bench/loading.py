"""How long a model takes to load in 4 bits: a GGUF file of Qwen's vocabulary beside transformers, floats beside whole.

    python -m bench.loading [--quick] [--json FILE]

transformers unpacks what it loads. Beside that, what a start is made of: opening the file, whose tokenizer has 150,000
words and as many merges, and rounding a matrix, some rows at a time or all at once.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from itertools import chain, islice, product
from pathlib import Path
from string import ascii_lowercase
from tempfile import TemporaryDirectory
from unittest.mock import patch

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from bench.report import Report, benchmark_parser
from qwen_app.linear import row_slices
from qwen_app.linear.int4_weight import quantised
from qwen_app.linear.int8_linear import Int8Weight
from qwen_app.models.gguf.quick_reader import QuickReader
from qwen_app.models.loading.loader import load
from qwen_app.models.transformers_logging import quiet_transformers
from tests.models.small_gguf import random_blocks

VOCABULARY = 151_936  # Qwen2.5's; it has about as many merges
HEADS, KV_HEADS = 8, 2
LIBRARYS_READER = gguf.GGUFReader
WHOLE = {"cpu": 1 << 40}
OURS, THEIRS = "ours", "transformers, unpacked"


def write_model(path: Path, width: int, layers: int) -> Path:
    """A random Qwen2 in Q4_K and Q6_K, with a tokenizer of as many words as Qwen2.5's."""
    numbers, mlp = np.random.default_rng(0), 4 * width
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    longest = math.ceil(math.log(VOCABULARY, len(ascii_lowercase)))
    lengths = (product(ascii_lowercase, repeat=length) for length in range(1, longest + 1))
    tokens = ["".join(letters) for letters in islice(chain.from_iterable(lengths), VOCABULARY)]
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCABULARY)
    writer.add_token_merges([f"{token[:-1]} {token[-1]}" for token in tokens if len(token) > 1])
    writer.add_eos_token_id(0)
    writer.add_block_count(layers)
    writer.add_context_length(2048)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(mlp)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCABULARY)
    kv = width // HEADS * KV_HEADS
    shapes = {"attn_q": (width, width), "attn_k": (kv, width), "attn_v": (kv, width), "attn_output": (width, width)}
    shapes |= {"ffn_gate": (mlp, width), "ffn_up": (mlp, width), "ffn_down": (width, mlp)}
    matrices = {"token_embd": (VOCABULARY, width)}
    matrices |= {f"blk.{layer}.{name}": shape for layer in range(layers) for name, shape in shapes.items()}
    for name, shape in matrices.items():
        kind = Kind.Q6_K if name.endswith(("embd", "attn_v")) else Kind.Q4_K
        writer.add_tensor(f"{name}.weight", random_blocks(kind, *shape, numbers), raw_dtype=kind)
    norms = ["output_norm", *(f"blk.{layer}.{name}" for layer in range(layers) for name in ("attn_norm", "ffn_norm"))]
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    for layer in range(layers):
        for name in ("attn_q", "attn_k", "attn_v"):
            writer.add_tensor(f"blk.{layer}.{name}.bias", np.zeros(shapes[name][0], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def by_transformers(path: Path) -> None:
    unpacked = GgufConfig(dequantize=True)
    with redirect_stderr(io.StringIO()):  # its progress bar has no switch
        AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, quantization_config=unpacked)
    AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare_files(report: Report, path: Path, rounds: int) -> None:
    """A whole load, and the opening alone, each beside that of the libraries."""
    took: dict[str, list[float]] = {"load": [], "load, theirs": [], "open": [], "open, theirs": []}
    for _ in range(rounds):
        with patch.object(gguf, "GGUFReader", LIBRARYS_READER):
            took["load, theirs"].append(seconds(lambda: by_transformers(path)))
            took["load"].append(seconds(lambda: load(path, precision="int4")))
        took["open, theirs"].append(seconds(lambda: LIBRARYS_READER(path)))
        took["open"].append(seconds(lambda: QuickReader(path)))
    for what, words, theirs in (("load", "a GGUF file, whole", THEIRS), ("open", "opening it", "gguf's own reader")):
        report.add(words, OURS, min(took[what]), "s")
        report.add(words, theirs, min(took[f"{what}, theirs"]), "s")
    report.ratio_of("gguf_load_vs_transformers", took["load, theirs"], took["load"])
    report.ratio_of("gguf_open_vs_gguf", took["open, theirs"], took["open"])


def compare_rounding(report: Report, size: int, rounds: int) -> None:
    weight = torch.randn(size, size, generator=torch.Generator().manual_seed(0)) * 0.02
    for name, work in (("int4", lambda: quantised(weight, 32)), ("int8", lambda: Int8Weight.of(weight))):
        some, whole = [], []
        for _ in range(rounds):
            some.append(seconds(work))
            with patch.object(row_slices, "NUMBERS_AT_ONCE", WHOLE):
                whole.append(seconds(work))
        report.add(f"{size} x {size} floats to {name}", "some rows at a time", min(some), "s")
        report.add(f"{size} x {size} floats to {name}", "all at once", min(whole), "s")
        report.ratio_of(f"rounding_{name}_vs_at_once", whole, some)


def main() -> None:
    options = benchmark_parser(__doc__, quick="smaller, in half a minute").parse_args()
    quiet_transformers()
    report = Report("Loading in 4 bits")
    rounds = 1 if options.quick else 3
    with TemporaryDirectory() as folder:
        path = write_model(Path(folder) / "model.gguf", width=512 if options.quick else 1024, layers=4)
        compare_files(report, path, rounds)
    compare_rounding(report, 2048 if options.quick else 4096, rounds)
    report.finish(options.json)


if __name__ == "__main__":
    main()
