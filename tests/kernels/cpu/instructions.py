"""Our products by the instructions of this processor, and by those that older ones have too."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from qwen_app.kernels.cpu import compile


def products_serve() -> bool:
    try:
        return compile.products_serve()
    except (compile.NotCompiled, OSError):
        return False


needs_products = pytest.mark.skipif(not products_serve(), reason="needs g++ and AVX2")
INSTRUCTIONS = ("all there are", "AVX2 alone")


def by_instructions(which: str, product: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``product`` (int4, int8) as a processor with these has it, for as long as this is not done."""
    if which == "AVX2 alone":
        monkeypatch.setattr(compile, "FLAGS", (*compile.FLAGS, "-mno-avx512f"))
        only = compile.compiled(compile.SOURCE)
        monkeypatch.setattr(product, "library", lambda: only)
    product._product.cache_clear()
    yield
    product._product.cache_clear()
