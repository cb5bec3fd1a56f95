"""Whether this processor has the instructions of our products."""

from __future__ import annotations

import pytest

from qwen_app.kernels.cpu import compile


def products_serve() -> bool:
    try:
        return compile.products_serve()
    except (compile.NotCompiled, OSError):
        return False


needs_products = pytest.mark.skipif(not products_serve(), reason="needs g++, AVX2 and FMA")
