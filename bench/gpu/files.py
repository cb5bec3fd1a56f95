"""From files to an answer, in every precision: what ``load`` makes of one checkpoint on this device."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch

from bench.contenders import Ours
from bench.gpu.models import loaded_model
from bench.gpu.options import Options
from bench.gpu.rows import Rows
from qwen_app.models.loading.loader import load

LAYERS = 4  # of the 28: all that loading does, in a seventh of the time
FILE_PRECISION = "bf16"  # what Qwen publishes
LOADED = ("fp16", "bf16", "4bit", "8bit", "int4")
SLOTS, CONTEXT_TOKENS, ANSWER_TOKENS = 4, 512, 8


def files(rows: Rows, options: Options) -> None:
    with tempfile.TemporaryDirectory() as folder, rows.part("files"):
        written = loaded_model(FILE_PRECISION, options, layers=LAYERS)
        written.model.save_pretrained(folder)
        written.tokenizer.save_pretrained(folder)
        del written
        for precision in LOADED:
            if rows.may_begin(f"files: {precision}"):
                with rows.part(f"files: {precision}"):
                    _answer(rows, precision, Path(folder))


def _answer(rows: Rows, precision: str, folder: Path) -> None:
    started_s = time.perf_counter()
    loaded = load(folder, precision=precision)
    rows.add(f"files: {precision} loaded", time.perf_counter() - started_s, "s", weights_bytes=loaded.weights_bytes)
    rows.check(f"files: {precision} is {precision}", loaded.precision == precision, said=loaded.precision)
    ours = Ours(loaded, slots=SLOTS, context_tokens=CONTEXT_TOKENS)
    try:
        answers = ours.run(["Hello", "你好"], ANSWER_TOKENS)
        tokens = [len(answer.tokens) for answer in answers]
        rows.check(f"files: {precision} answers", all(tokens), tokens=tokens, slower=ours.engine.health().reason)
        if loaded.device.type == "cuda":
            lost_bytes = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
            rows.add(f"files: {precision} held and not used", lost_bytes / 1e6, "MB", layers=LAYERS)
    finally:
        ours.close()
