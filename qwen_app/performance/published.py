"""What others have published of the same models, with where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass

SOURCE = (
    "Qwen2.5 speed benchmark of the Qwen team: one user, 2,048 new tokens, NVIDIA A100 80GB, transformers 4.46 with "
    "flash attention 2.5.8, vLLM 0.6.3"
)
SOURCE_URL = (
    "https://github.com/QwenLM/Qwen2.5/blob/010c37c33b13a1ac59944b349620e13404efe97d/"
    "docs/source/benchmark/speed_benchmark.rst"
)
SOURCE_BANDWIDTH = 2039e9  # bytes a second of that card's memory, from its data sheet
INPUT_TOKENS = (1, 6144, 14_336, 30_720)


@dataclass(frozen=True, slots=True)
class Published:
    """Tokens a second at each of ``INPUT_TOKENS``."""

    runtime: str
    precision: str
    tokens_per_s: tuple[float, float, float, float]


_7B = (
    Published("transformers", "BF16", (40.38, 38.76, 29.78, 18.83)),
    Published("transformers", "GPTQ-Int8", (31.55, 31.26, 26.86, 17.59)),
    Published("transformers", "GPTQ-Int4", (43.10, 38.27, 28.70, 18.45)),
    Published("transformers", "AWQ", (32.03, 32.37, 30.23, 19.11)),
    Published("vLLM", "BF16", (84.28, 80.70, 77.69, 70.33)),
    Published("vLLM", "GPTQ-Int4", (154.05, 141.98, 129.35, 108.30)),
    Published("vLLM", "AWQ", (148.10, 137.64, 124.91, 104.66)),
)
_HALF_B = (
    Published("transformers", "BF16", (47.40, 47.45, 47.11, 47.16)),
    Published("transformers", "GPTQ-Int8", (35.17, 36.47, 35.44, 36.25)),
    Published("transformers", "GPTQ-Int4", (50.60, 48.89, 48.26, 49.22)),
    Published("transformers", "AWQ", (37.09, 37.04, 37.14, 36.90)),
    Published("vLLM", "BF16", (311.55, 304.79, 290.28, 264.51)),
    Published("vLLM", "GPTQ-Int8", (257.07, 254.10, 243.69, 223.86)),
    Published("vLLM", "GPTQ-Int4", (260.93, 257.33, 247.01, 226.50)),
    Published("vLLM", "AWQ", (261.95, 259.80, 249.58, 229.84)),
)
MODELS = {"Qwen2.5-7B-Instruct": _7B, "Qwen2.5-0.5B-Instruct": _HALF_B}


def published_for(model: str) -> tuple[Published, ...]:
    """What was published of ``model``, a hub id or a path, quantised or not; nothing of others."""
    return next((rows for known, rows in MODELS.items() if re.search(rf"{re.escape(known)}(?!-1M)", model, re.I)), ())
