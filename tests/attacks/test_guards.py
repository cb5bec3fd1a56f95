"""The table of guards is whole: each stands where it says, and the test that misses it is there."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.attacks.guards import GUARDS, HOLES

ROOT = Path(__file__).resolve().parents[2]


def test_each_hole_has_a_guard() -> None:
    assert sorted({guard.hole for guard in GUARDS}) == list(range(1, HOLES + 1))


def test_each_guard_stands_where_it_says() -> None:
    gone = [guard for guard in GUARDS if (ROOT / guard.file).read_text(encoding="utf-8").count(guard.text) != 1]
    assert gone == []


def test_each_test_is_there() -> None:
    absent = []
    for guard in GUARDS:
        path, _, name = guard.test.partition("[")[0].partition("::")
        tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
        if name not in {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}:
            absent.append(guard.test)
    assert absent == []
