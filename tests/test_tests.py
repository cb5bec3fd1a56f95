"""How the tests are built: helpers and fixtures stand where several can use them, and nothing is defined twice."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from scripts.import_graph import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def fixtures_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The fixtures of the module itself. Those of a class are its own affair: the engines' contract is tested by it."""
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
            if any(ast.unparse(one).endswith("fixture") for one in decorators):
                yield node


def imported_by(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_test_module_is_imported() -> None:
    """What two test modules need stands in a helper module or in a conftest."""
    ours = {place(path): {name for name in imported_by(path) if name.startswith("tests.")} for path in FILES}
    tests = {path: {name for name in names if ".test_" in name} for path, names in ours.items()}
    assert {path: names for path, names in tests.items() if names} == {}


def test_no_fixture_hides_another() -> None:
    """A name means one thing in a module: its own fixtures and those of the conftests above it all differ."""
    hidden = []
    by_file = {path: [fixture.name for fixture in fixtures_of(path)] for path in FILES}
    for path, names in by_file.items():
        above = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(TESTS)]
        known = [name for conftest in above if conftest != path for name in by_file.get(conftest, [])]
        hidden += [f"{place(path)}: {name}" for name in names if name in known or names.count(name) > 1]
    assert hidden == []


def test_no_fixture_is_written_twice() -> None:
    """The same fixture in two modules belongs into their conftest."""
    written: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for fixture in fixtures_of(path):
            written[ast.dump(fixture)].append(f"{place(path)}: {fixture.name}")
    assert [places for places in written.values() if len(places) > 1] == []
