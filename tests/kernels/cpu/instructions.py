"""Our products by the instructions of this processor, and by those that older ones have too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qwen_app.kernels.cpu import compile, weights


def products_serve() -> bool:
    try:
        return compile.products_serve()
    except (compile.NotCompiled, OSError):
        return False


needs_products = pytest.mark.skipif(not products_serve(), reason="needs g++ and AVX2")
INSTRUCTIONS = ("all there are", "AVX2 alone")


def by_instructions(which: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Products as a processor with these has them, for as long as this is not done."""
    if which == "AVX2 alone":
        monkeypatch.setattr(compile, "FLAGS", (*compile.FLAGS, "-mno-avx512f"))
        only = compile.compiled(compile.SOURCE)
        monkeypatch.setattr(weights, "library", lambda: only)
    weights.function_of.cache_clear()
    yield
    weights.function_of.cache_clear()
