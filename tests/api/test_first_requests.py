"""The first requests of docs/api.md, as they stand there, asked of a model that fills schemas."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.api.serving import Api

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.split("\n## First requests\n")[1].split("\n## ")[0]


def block(language: str, api: Api) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return str(found).replace("http://127.0.0.1:7860", api.url)


def test_the_command(clever_api: Api) -> None:
    ran = subprocess.run(["bash", "-c", block("bash", clever_api)], capture_output=True, check=True, timeout=120)
    assert json.loads(ran.stdout)["choices"][0]["message"]["content"]


def test_the_program(clever_api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    program: dict[str, Any] = {}
    exec(block("python", clever_api), program)
    program["client"].close()
    *streamed, parsed = capsys.readouterr().out.strip().split("\n")
    assert "".join(streamed)
    assert re.fullmatch(r"name='.*' country='.*' on_a_river=(True|False)", parsed)
