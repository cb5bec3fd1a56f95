"""What fewer bits cost: each precision against float32 on a fixed text.

    python -m bench.quality [--model DIR] [--precisions int4,4bit,8bit] [--text FILE] [--tokens N] [--json FILE]
                            [--rotated]

Rows: mean Kullback-Leibler divergence of the next token's distribution from float32's, in nats (0: the same), the share
of places where both find the same token likeliest, and perplexity (float32's own stands first). A checkpoint that was
4-bit already loses nothing in its own grid: ``--rotated`` computes the same with weights on no grid (see ``rotated``).
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bench.report import Report
from bench.rotated import rotate
from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.engine.local.compute.parts import build_compute_parts
from qwen_app.errors import AppError
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.models.loading.loader import load

PRECISIONS = ("int4", "4bit", "8bit", "bf16")
FIXED_TEXT = Path(__file__).resolve().parent / "quality_text.txt"


@dataclass(frozen=True, slots=True)
class Quality:
    """``divergence`` in nats, ``agreement`` from 0 to 1."""

    divergence: float
    agreement: float
    perplexity: float


def main() -> None:
    options = _options()
    logging.disable(logging.WARNING)
    report = Report(
        f"Quality of {options.model.name}{', rotated,' * options.rotated} against float32, {options.tokens} tokens"
    )
    reference = load(options.model, precision="fp32")
    ids = reference.tokenizer(options.text.read_text(encoding="utf-8"))["input_ids"][: options.tokens]
    exact = log_probabilities(reference, ids)
    _add(report, "fp32", quality_of(exact, exact, ids))
    with TemporaryDirectory() as folder:
        model = _rotated(options.model, Path(folder)) if options.rotated else options.model
        for precision in options.precisions.split(","):
            try:
                tried = log_probabilities(load(model, precision=precision), ids)
                _add(report, precision, quality_of(exact, tried, ids))
            except AppError as refused:
                sys.stderr.write(f"  {precision}: {refused}\n")
    report.finish(options.json)


def _rotated(model: Path, folder: Path) -> Path:
    loaded = load(model, precision="fp32")
    rotate(loaded.model)
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="KL divergence, agreement and perplexity of every precision.")
    parser.add_argument("--model", type=Path, default=Path("models/builtin"), help="a folder or a .gguf file")
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--text", type=Path, default=FIXED_TEXT)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rotated", action="store_true", help="round weights that lie on no 4-bit grid")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser.parse_args()


@torch.inference_mode()
def log_probabilities(loaded: LoadedModel, ids: Sequence[int]) -> torch.Tensor:
    """float32 ``[tokens, vocab]`` on the CPU, as the engine computes an answer: token by token."""
    parts = build_compute_parts(
        loaded.model,
        loaded.device,
        slots=1,
        context_tokens=len(ids) + 1,
        text_vocab_size=loaded.model.config.vocab_size,
        offload_bytes=0,
    )
    rows = [
        parts.runner.forward([ScheduledChunk(QuerySpan(0, place, 1), [token_id], wants_logits=True)]).float().cpu()
        for place, token_id in enumerate(ids)
    ]
    return torch.cat(rows).log_softmax(-1)


def quality_of(exact: torch.Tensor, tried: torch.Tensor, ids: Sequence[int]) -> Quality:
    """``tried`` against ``exact``, both ``[tokens, vocab]`` of log probabilities, over the text ``ids``."""
    following = torch.tensor(ids[1:])[:, None]
    return Quality(
        divergence=float((exact.exp() * (exact - tried)).sum(-1).mean()),
        agreement=float((exact.argmax(-1) == tried.argmax(-1)).float().mean()),
        perplexity=math.exp(-float(tried[:-1].gather(1, following).mean())),
    )


def _add(report: Report, precision: str, quality: Quality) -> None:
    report.add("KL divergence", precision, quality.divergence, "nats")
    report.add("same likeliest token", precision, quality.agreement, "of 1")
    report.add("perplexity", precision, quality.perplexity, "")


if __name__ == "__main__":
    main()
