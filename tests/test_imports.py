"""Imports point one way, and the engine needs nothing of the web."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "qwen_app"

# Each layer may import itself and the ones before it.
LAYERS = (
    {"messages", "errors", "settings"},
    {"engine", "models", "chat", "structured"},
    {"conforming"},
    {"service"},
    {"tool_loop"},
    {"telemetry", "logs", "running", "api", "web", "ui"},
    {"loading_page", "startup", "server"},
)
ENGINE_TYPES = "qwen_app.engine.base"  # what page and API may know of the engine
KEPT_OUT_OF_THE_ENGINE = ("gradio", "fastapi", "starlette", "uvicorn", "sqlite3", "sqlalchemy", "peewee")


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part_of(module: str) -> str:
    """``qwen_app.engine.base`` belongs to ``engine``."""
    return module.split(".")[1]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return {name for name in found if name.startswith("qwen_app.")}


def level_of(part: str) -> int:
    return next(level for level, parts in enumerate(LAYERS) if part in parts)


def test_every_module_has_a_layer() -> None:
    known = set().union(*LAYERS)
    assert {part_of(name_of(path)) for path in modules()} <= known


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    own = part_of(name_of(path))
    above = {name for name in imports_of(path) if level_of(part_of(name)) > level_of(own)}
    assert not above


@pytest.mark.parametrize(
    "path", [path for path in modules() if part_of(name_of(path)) in {"api", "web", "ui"}], ids=name_of
)
def test_page_and_api_never_touch_the_engine(path: Path) -> None:
    engine = {name for name in imports_of(path) if name.startswith("qwen_app.engine.")}
    assert {name for name in engine if not name.startswith(ENGINE_TYPES)} == set()


def test_the_engine_imports_without_web_and_database_packages() -> None:
    names = [name_of(path) for path in modules() if part_of(name_of(path)) in {"engine", "messages", "errors"}]
    script = f"""
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {KEPT_OUT_OF_THE_ENGINE!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
for name in {names!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        path.relative_to(PACKAGE)
        for path in modules()
        if path.name != "settings.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers == set()
