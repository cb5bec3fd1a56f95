"""What ``--plan`` prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qwen_app.errors import ModelFilesError
from qwen_app.serve.plan_report import plan_report
from qwen_app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_plan_for_a_card_that_is_not_there_needs_neither_torch_nor_a_model() -> None:
    script = "import sys, app; code = app.main(); sys.exit(99 if 'torch' in sys.modules else code)"
    done = subprocess.run(
        [sys.executable, "-c", script, "--plan", "--gpu-gb", "24"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Qwen/Qwen2.5-7B-Instruct on a card of 24 GB" in done.stdout
    assert "4 x 24,576" in done.stdout
    assert "8 x 32,768" in done.stdout


def test_another_server_has_no_plan_here() -> None:
    told = plan_report(Settings(plan=True, engine="remote", base_url="http://ada:hunter2@127.0.0.1:9/v1", gpu_gb=24))
    assert "another server answers" in told
    assert "GB" not in told


def test_one_precision_asked_for_is_one_column() -> None:
    table = plan_report(Settings(plan=True, gpu_gb=24, precision="8bit"))
    assert "8bit" in table
    assert "fp16" not in table


def test_a_folders_plan_comes_from_its_files(tiny_qwen_dir: Path) -> None:
    table = plan_report(Settings(plan=True, gpu_gb=24, model=str(tiny_qwen_dir)))
    assert "115,264 parameters" in table
    assert "8 x 2,048" in table


def test_an_unknown_model_that_is_not_on_disk(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match=r"owner--tiny"):
        plan_report(Settings(plan=True, gpu_gb=24, model="owner/tiny", models_dir=tmp_path))
