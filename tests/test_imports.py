"""Imports point one way, and the engine needs nothing of the web."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.import_graph import (
    PACKAGE,
    ROOT,
    arrows_back_up,
    circles,
    imports_of,
    modules,
    name_of,
    read_graph,
    room_of,
)

# Every package and top-level module of qwen_app, with all it may import of the others. Nothing else is allowed: an
# arrow that is not here is a decision, and is made here first. Lower layers stand above; no arrow leads down the table.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "messages": {"errors"},
    "http": set(),
    "settings": {"errors", "http"},
    "table_store": {"errors"},
    "tools": {"errors", "messages"},
    "chat": {"errors", "messages", "tools"},
    "openai_format": {"errors", "messages", "tools"},
    "models": {"errors"},
    "structured": {"errors", "messages"},
    "structured.closing": {"errors", "structured"},
    "structured.grammars": {"errors", "messages", "structured", "structured.closing", "tools"},
    "sandbox": {"errors", "messages", "structured", "structured.grammars", "tools"},
    "engine": {"errors", "messages"},
    "engine.local.compute": {"messages"},
    "engine.local": {
        "chat",
        "engine",
        "engine.local.compute",
        "errors",
        "messages",
        "models",
        "sandbox",
        "structured.closing",
        "structured.grammars",
        "tools",
    },
    "engine.remote": {"engine", "errors", "messages", "openai_format", "sandbox", "structured", "tools"},
    "testing": {"engine", "errors", "messages"},
    "prompting": {"chat", "engine", "errors", "messages"},
    "service": {"engine", "errors", "messages", "prompting", "sandbox", "structured"},
    "metrics": {"messages", "service"},
    "agent_loop": {"errors", "messages", "service", "tools"},
    "api.protocol": {"engine", "errors", "http", "messages", "openai_format", "service", "structured"},
    "api.access": {"api.protocol", "errors", "http", "metrics", "settings"},
    "api.endpoints": {
        "api.access",
        "api.protocol",
        "engine",
        "errors",
        "messages",
        "metrics",
        "openai_format",
        "service",
        "settings",
    },
    "api": {"api.access", "api.endpoints", "api.protocol", "http", "metrics", "service", "settings"},
    "web.page_calls": {"errors", "http"},
    "web": {"errors", "http", "sandbox", "settings", "table_store", "web.page_calls"},
    "ui.shared": {"errors", "http", "messages", "openai_format", "service", "settings", "table_store", "tools"},
    "ui.chat": {"engine", "errors", "messages", "openai_format", "service", "ui.shared"},
    "ui.json_lab": {
        "errors",
        "messages",
        "openai_format",
        "sandbox",
        "service",
        "structured",
        "ui.shared",
    },
    "ui.tools": {
        "agent_loop",
        "errors",
        "messages",
        "http",
        "openai_format",
        "sandbox",
        "service",
        "structured",
        "table_store",
        "tools",
        "ui.shared",
    },
    "ui": {
        "engine",
        "messages",
        "service",
        "settings",
        "table_store",
        "ui.chat",
        "ui.json_lab",
        "ui.shared",
        "ui.tools",
    },
    "serve": {
        "api",
        "api.protocol",
        "engine",
        "engine.local",
        "engine.remote",
        "errors",
        "http",
        "models",
        "sandbox",
        "service",
        "settings",
        "table_store",
        "ui",
        "web",
    },
}
ENGINE_TYPES = "qwen_app.engine.base"  # what page and API may know of the engine
WIDEST_PACKAGE = 14  # files
MOST_IMPORTS = 12  # modules of ours in one module
COSTLY = (
    "structured.grammars",
    "structured.closing",
    "structured.validation",
    "tools.calculator",
    "tools.csv_table",
)
KEPT_OUT_OF_THE_ENGINE = ("gradio", "fastapi", "starlette", "uvicorn", "sqlite3", "sqlalchemy", "peewee")


def test_every_package_is_in_the_table() -> None:
    assert {room_of(name_of(path)) for path in modules()} == set(ARROWS)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    own = room_of(name_of(path))
    rooms = {room_of(name) for name in imports_of(path)} - {own}
    assert rooms <= ARROWS[own]


def test_no_arrow_leads_back() -> None:
    order = list(ARROWS)
    assert [
        (room, to) for room, allowed in ARROWS.items() for to in allowed if order.index(to) >= order.index(room)
    ] == []


def test_the_graph_has_no_circle_and_no_arrow_back_up() -> None:
    arrows = read_graph().arrows
    assert circles(arrows) == []
    assert arrows_back_up(arrows) == []


def test_no_package_is_wider_than_one_screen() -> None:
    assert {name: files for name, files in read_graph().files.items() if files > WIDEST_PACKAGE} == {}


def test_no_module_leans_on_more_than_it_can_explain() -> None:
    assert {name: count for name, count in read_graph().imports.items() if count > MOST_IMPORTS} == {}


@pytest.mark.parametrize(
    "path", [path for path in modules() if name_of(path).split(".")[1] in {"api", "web", "ui"}], ids=name_of
)
def test_page_and_api_never_touch_the_engine(path: Path) -> None:
    engine = {name for name in imports_of(path) if name.startswith("qwen_app.engine.")}
    assert {name for name in engine if not name.startswith(ENGINE_TYPES)} == set()


@pytest.mark.parametrize("path", [path for path in modules() if name_of(path).split(".")[1] == "ui"], ids=name_of)
def test_the_page_leaves_what_is_costly_to_the_sandbox(path: Path) -> None:
    """A schema, pattern, answer or file of a visitor's is compiled, matched, validated and parsed there alone."""
    names = {name.removeprefix("qwen_app.") for name in imports_of(path)}
    assert {name for name in names if name.startswith(COSTLY)} == set()


@pytest.mark.slow
def test_the_engine_imports_without_web_and_database_packages() -> None:
    names = [name_of(path) for path in modules() if name_of(path).split(".")[1] in {"engine", "messages", "errors"}]
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
