"""The proof for a card runs without one, and says what is wrong, broken or left out as it goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.gpu.__main__ import main
from bench.gpu.rows import Rows, Wrong, wrong_rows

pytestmark = pytest.mark.slow  # models with Qwen's whole vocabulary


def options(section: str, out: Path) -> list[str]:
    return [section, "--tiny", "--out", str(out)]


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def said(path: Path) -> list[object]:
    return [row["what"] for row in read(path)]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """In this process, for another takes as long to import PyTorch as most of the sections take."""

    def run(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["bench.gpu", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return run


@pytest.mark.parametrize("section", ["proof", "probe", "right", "files", "parts", "speed", "engine"])
def test_a_tiny_run_breaks_nowhere(
    section: str, tmp_path: Path, run: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*options(section, tmp_path)) == 0, capsys.readouterr().err
    rows = read(tmp_path / f"{section}.jsonl")
    assert rows[-1]["what"] == "wrong or broken"
    assert rows[-1]["value"] == 0
    assert len(rows) > 6
    assert [row for row in rows if str(row["what"]).startswith("ok")] or section in ("probe", "parts", "speed")


def test_kernels_in_triton_are_compiled_in_benchmarks() -> None:
    """By the interpreter, which the tests use, none of them works beside a Triton that was imported before."""
    asked = "import os, bench.gpu.models, tests.qwen_vocabulary; print(os.environ.get('TRITON_INTERPRET'))"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_nothing_is_measured_after_a_wrong_result(tmp_path: Path, run: Callable[..., object]) -> None:
    Rows(tmp_path / "right.jsonl", 60.0).add("WRONG fp16: a copied beginning", False)
    assert "WRONG fp16: a copied beginning" in str(run(*options("speed", tmp_path)))
    assert not (tmp_path / "speed.jsonl").exists()


def test_every_row_is_on_the_disk_at_once(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "rows.jsonl", 60.0)
    for count in range(1, 4):
        rows.add(f"row {count}", float(count), "ms", by="somebody")
        assert len(read(tmp_path / "rows.jsonl")) == count
    assert read(tmp_path / "rows.jsonl")[0] | {"at_s": 0} == {
        "what": "row 1",
        "value": 1.0,
        "unit": "ms",
        "at_s": 0,
        "by": "somebody",
    }


def test_what_breaks_is_written_down_and_hides_nothing(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "rows.jsonl", 60.0)
    with rows.part("first"):
        raise ValueError("no such kernel")
    with rows.part("second"):
        rows.check("two is two", True)
    assert rows.failures == 1
    assert said(tmp_path / "rows.jsonl") == ["BROKE first", "time of first", "ok two is two", "time of second"]
    assert read(tmp_path / "rows.jsonl")[0]["value"] == "ValueError: no such kernel"


def test_what_is_wrong_ends_the_section_and_is_found_again(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "rows.jsonl", 60.0)
    with pytest.raises(Wrong), rows.part("first"):
        rows.check("two is three", False, error=1.0)
    assert wrong_rows(tmp_path / "rows.jsonl") == ["WRONG two is three"]
    assert wrong_rows(tmp_path / "never.jsonl") == []


def test_nothing_begins_when_the_budget_is_spent(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "rows.jsonl", -1.0)
    assert not rows.may_begin("the last part")
    assert said(tmp_path / "rows.jsonl") == ["SKIPPED the last part: no time left"]
