"""``python -m qwen_app.bench --url`` against a running server of ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_app.bench.__main__ import MEASURED, NOTHING_MEASURED, main
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.browser.serving import running_page

SIZES = ["--contexts", "256", "--at-once", "1,2"]


@pytest.fixture
def logged() -> Iterator[None]:
    """The command silences what is below a warning."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_page(ScriptedEngine(Script(("word ",) * 64, token_s=0.002), context_tokens=2048)) as url:
        yield url


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("path", ["", "/", "/v1/"])
def test_a_running_server_is_measured(
    server: str, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--url", server + path, *SIZES, "--json", str(tmp_path / "f.json"), "--charts", str(tmp_path)])
    assert code == MEASURED
    figures = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))["figures"]
    assert [figure["size"]["users"] for figure in figures] == [1, 2]
    assert all(figure["total_tokens_per_s"] > 0 for figure in figures)
    assert (tmp_path / "speed.svg").read_text(encoding="utf-8").startswith("<svg")
    assert "| 256 | 2 |" in capsys.readouterr().out


@pytest.mark.usefixtures("logged")
def test_a_server_that_is_not_there_is_said_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:9", *SIZES]) == NOTHING_MEASURED
    assert "cannot be reached" in "".join(capsys.readouterr())
