"""Kernels are compiled by what comes with torch: a machine needs no CUDA toolkit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils import cpp_extension

from qwen_app.kernels.cuda.launch import compiled


def test_no_toolkit_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", None)
    with pytest.raises(OSError, match="CUDA_HOME"):
        cpp_extension.include_paths("cuda")  # as torch does before it compiles

    def compile_kernel(source: str, name: str) -> tuple[str, str]:
        cpp_extension.include_paths("cuda")
        return source, name

    monkeypatch.setattr(torch.cuda, "_compile_kernel", compile_kernel)
    source = tmp_path / "empty.cu"
    source.write_text("// nothing")
    made, name = compiled(source, "none", torch.device("cuda", 0), "ROWS 8")
    assert made.startswith("#define ROWS 8\n")
    assert name == "none"
