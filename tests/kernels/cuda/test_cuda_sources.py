"""Our kernels in CUDA C++ compile for the cards they are for, without spilling: seen where there is a compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from qwen_app.kernels.cuda import decode_attention, int4

OLDEST, NEWEST = "sm_80", "sm_120"
ROWS = (int4.FEW, int4.MORE)
PRODUCTS = [(int4.SOURCE, f"-DBF16 -DROWS={rows} -DGROUP={group}") for rows in ROWS for group in (32, 256)]
ATTENTIONS = [
    (decode_attention.SOURCE, f"-DDIM={dim} -D{kind}")
    for dim in decode_attention.HEAD_DIMS
    for kind in decode_attention.DTYPES.values()
]

pytestmark = [
    pytest.mark.slow,  # seconds each
    pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc; at run time torch brings NVRTC"),
]


@pytest.mark.parametrize("card", [OLDEST, NEWEST])
@pytest.mark.parametrize(("source", "defined"), PRODUCTS + ATTENTIONS)
def test_it_compiles_and_keeps_its_numbers_in_registers(tmp_path: Path, source: Path, defined: str, card: str) -> None:
    command = ["nvcc", f"-arch={card}", *defined.split(), "-cubin", "-Xptxas", "-v"]
    done = subprocess.run(
        [*command, "-Werror", "all-warnings", source, "-o", tmp_path / "kernel.cubin"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "0 bytes spill stores, 0 bytes spill loads" in done.stderr
