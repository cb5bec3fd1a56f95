"""One section of the proof.

    python -m bench.gpu proof|probe|right|files|parts|speed|engine [--precision P,...] [--budget S] [--out DIR] [--tiny]

Begin with ``proof --precision fp16,int4``, in under eight minutes: it has what a machine without a card cannot show,
and stops at what is wrong. Then ``speed`` and ``engine`` with the same precisions, and on two cards ``files``.
``probe`` says what the machine is, ``right`` compares with transformers, ``files`` loads one checkpoint in every
precision, ``parts`` measures attention and linear layers alone, ``speed`` the steps of the engine, ``engine`` the whole
of it. Each takes under nine minutes, and writes every row to ``DIR/SECTION.jsonl`` as soon as it is known. A row that
says WRONG ends its section; what ``proof`` and ``right`` call wrong also refuses the sections that measure, until they
are run again. ``--tiny`` tries the proof itself, on a CPU too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from bench.gpu.engine import engine
from bench.gpu.files import files
from bench.gpu.options import PRECISIONS, Options
from bench.gpu.parts import parts
from bench.gpu.probe import probe
from bench.gpu.proof import proof
from bench.gpu.right import right
from bench.gpu.rows import Rows, Wrong, wrong_rows
from bench.gpu.speed import speed
from bench.report import machine
from qwen_app.engine.local.compute.numerics import keep_precision

SECTIONS: dict[str, Callable[[Rows, Options], None]] = {
    "proof": proof,
    "probe": probe,
    "right": right,
    "files": files,
    "parts": parts,
    "speed": speed,
    "engine": engine,
}
MEASURING = ("parts", "speed", "engine")
RESULTS = Path(__file__).parents[1] / "results"
BUDGET_S = 480.0  # when no further part begins; the longest part takes less than a minute


def main() -> None:
    options = _options()
    if not torch.cuda.is_available() and not options.tiny:
        sys.exit("No CUDA device. Run this where there is one, or with --tiny to try the proof itself.")
    for earlier in ("proof", "right") if options.section in MEASURING else ():
        if wrong := wrong_rows(options.out / f"{earlier}.jsonl"):
            sys.exit(f"Nothing to measure: {options.out / earlier}.jsonl says {wrong[0]}")
    keep_precision()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = Rows(options.out / f"{options.section}.jsonl", options.budget_s)
    try:
        SECTIONS[options.section](rows, options)
    except Wrong:
        rows.add("stopped: what follows a wrong row would count for nothing", False)
    rows.add("wrong or broken", rows.failures)
    sys.exit(1 if rows.failures else 0)


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description="Proof of the engine on one card.")
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("--precision", default="fp16", help=f"several with commas, of {', '.join(PRECISIONS)}")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds after which no part begins")
    parser.add_argument("--out", type=Path, help="folder; bench/results/gpu-DATE-CARD without it")
    parser.add_argument("--tiny", action="store_true", help="a small model, on whatever there is")
    parsed = parser.parse_args()
    precisions = tuple(parsed.precision.split(","))
    if unknown := set(precisions) - set(PRECISIONS):
        parser.error(f"--precision knows {', '.join(PRECISIONS)}, not {', '.join(sorted(unknown))}")
    card = str(machine()["gpu"] or "cpu").replace(" ", "-").lower()
    out = parsed.out or RESULTS / f"gpu-{machine()['date']}-{card}"
    return Options(parsed.section, precisions, parsed.budget, out, parsed.tiny)


if __name__ == "__main__":
    main()
