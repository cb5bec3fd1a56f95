"""Our products by the instructions of this processor, and by those that older ones have too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qwen_app.kernels.cpu import compile, weights


@pytest.fixture(params=["all there are", "AVX2 alone"])
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "AVX2 alone":
        monkeypatch.setattr(compile, "FLAGS", (*compile.FLAGS, "-mno-avx512f"))
        only = compile.compiled(compile.SOURCE)
        monkeypatch.setattr(weights, "library", lambda: only)
    weights.function_of.cache_clear()
    yield
    weights.function_of.cache_clear()
