"""Imports point one way, and the engine needs nothing of the web."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
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
    "fair_share": set(),
    "searched_text": set(),
    "reports": set(),
    "messages": {"errors"},
    "http": {"errors", "fair_share"},
    "switches": set(),
    "text_files": set(),
    "settings": {"errors", "http", "switches"},
    "uploads": {"errors", "fair_share"},
    "structured": {"errors", "messages"},
    "tools": {"errors", "messages", "structured", "text_files"},
    "chat": {"errors", "messages", "tools"},
    "openai_format": {"errors", "messages", "tools"},
    "kernels": {"errors"},
    "kernels.cpu": {"kernels"},
    "kernels.cuda": {"kernels"},
    "linear": {"kernels", "kernels.cpu", "kernels.cuda"},
    "start": set(),
    "models.quantised": {"errors", "linear"},
    "models.files": {"errors", "models.quantised"},
    "models.adapted": set(),
    "models.gguf": {"models.adapted"},
    "models": {"errors", "models.adapted", "models.files", "models.gguf", "models.quantised", "start"},
    "models.loading": {"errors", "models", "models.adapted", "models.files", "models.gguf", "models.quantised"},
    "structured.closing": {"errors", "structured"},
    "structured.grammars": {"errors", "messages", "structured", "structured.closing", "tools"},
    "sandbox": {"errors", "fair_share", "messages", "structured", "structured.grammars", "tools"},
    "documents": {"errors", "http", "sandbox", "uploads"},
    "documents.readers": {"documents", "text_files"},
    "engine": {"errors", "fair_share", "messages"},
    "engine.local.attention": {"errors", "kernels", "kernels.cpu", "kernels.cuda"},
    "engine.local.sampling": {"engine.local.attention", "messages"},
    "engine.local.compute": {
        "engine.local.attention",
        "engine.local.sampling",
        "errors",
        "kernels",
        "kernels.cpu",
        "kernels.cuda",
        "linear",
        "models",
        "switches",
    },
    "engine.local.steps": {
        "engine.local.attention",
        "engine.local.compute",
        "engine.local.sampling",
        "errors",
        "messages",
        "structured.closing",
        "structured.grammars",
        "tools",
    },
    "engine.local": {
        "chat",
        "engine",
        "engine.local.compute",
        "engine.local.steps",
        "errors",
        "messages",
        "models.loading",
        "sandbox",
        "structured.closing",
        "structured.grammars",
        "tools",
    },
    "engine.remote.connection": {"engine", "errors", "http", "messages", "openai_format", "structured", "tools"},
    "engine.remote": {
        "engine",
        "engine.remote.connection",
        "errors",
        "messages",
        "openai_format",
        "sandbox",
        "structured",
        "tools",
    },
    "testing": {"engine", "errors", "messages"},
    "saved_chats.migrations": set(),
    "saved_chats.migrations.versions": set(),
    "saved_chats": {"errors", "fair_share", "http", "searched_text"},
    "knowledge.migrations": set(),
    "knowledge.migrations.versions": set(),
    "knowledge": {"documents", "errors", "fair_share", "http", "messages", "saved_chats", "searched_text", "settings"},
    "prompting": {"chat", "engine", "errors", "messages"},
    "fallback_answer": {"errors", "messages"},
    "stage": {"errors", "messages"},
    "gpu": set(),
    "service": {
        "engine",
        "errors",
        "fallback_answer",
        "gpu",
        "messages",
        "prompting",
        "sandbox",
        "stage",
        "structured",
    },
    "summaries": {"documents", "errors", "messages", "service"},
    "guests": {"errors", "fair_share", "saved_chats", "stage"},
    "live_answers": set(),
    "metrics": {"gpu", "messages", "service"},
    "scenarios": {"engine", "errors", "messages", "reports", "service", "tools"},
    "performance": {"engine", "errors", "messages", "models", "reports", "service", "settings"},
    "failed_requests": {"errors", "messages"},
    "replay": {"engine.remote", "errors", "failed_requests", "messages", "service", "settings"},
    "agent_loop": {"errors", "messages", "service", "tools"},
    "api.protocol": {"engine", "errors", "http", "messages", "openai_format", "service", "structured", "tools"},
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
    "api.anthropic": {
        "api.access",
        "api.endpoints",
        "api.protocol",
        "errors",
        "messages",
        "openai_format",
        "service",
        "structured",
        "tools",
    },
    "api.files": {"api.access", "api.endpoints", "api.protocol", "documents", "errors", "http", "knowledge", "uploads"},
    "api": {
        "api.access",
        "api.anthropic",
        "api.endpoints",
        "api.files",
        "api.protocol",
        "documents",
        "http",
        "knowledge",
        "metrics",
        "service",
        "settings",
    },
    "web.page_calls": {"errors", "fair_share", "http"},
    "web.chats": {"errors", "fair_share", "http", "saved_chats"},
    "web.share": {"http"},
    "web.status": {"errors", "fair_share", "gpu", "http", "messages", "service"},
    "web.uploads": {"documents", "errors", "http", "sandbox", "uploads"},
    "web.installable": set(),
    "web.guests": {
        "errors",
        "guests",
        "http",
        "saved_chats",
        "service",
        "settings",
        "stage",
        "web.installable",
        "web.status",
    },
    "web": {
        "errors",
        "http",
        "saved_chats",
        "settings",
        "web.chats",
        "web.guests",
        "web.installable",
        "web.page_calls",
        "web.share",
        "web.status",
    },
    "ui.words.found": set(),
    "ui.words.tabs": set(),
    "ui.words": set(),
    "ui.scores": {"messages"},
    "ui.shared": {
        "documents",
        "errors",
        "http",
        "knowledge",
        "messages",
        "openai_format",
        "saved_chats",
        "service",
        "settings",
        "summaries",
        "uploads",
        "ui.scores",
        "ui.words",
        "ui.words.found",
        "ui.words.tabs",
    },
    "ui.documents": {"documents", "errors", "service", "ui.shared"},
    "ui.presets": {"errors", "ui.shared"},
    "ui.chats_panel": {"ui.shared"},
    "ui.browser": {"ui.shared"},
    "ui.markdown": {"ui.shared"},
    "ui.conversations": {
        "documents",
        "errors",
        "live_answers",
        "messages",
        "saved_chats",
        "service",
        "summaries",
        "ui.scores",
        "ui.shared",
    },
    "ui.answers": {"summaries", "ui.conversations", "ui.markdown", "ui.scores", "ui.shared"},
    "ui.next_token": {"errors", "messages", "service", "ui.shared"},
    "ui.chat": {
        "documents",
        "engine",
        "errors",
        "messages",
        "openai_format",
        "prompting",
        "service",
        "ui.answers",
        "ui.next_token",
        "ui.chats_panel",
        "ui.conversations",
        "ui.documents",
        "ui.markdown",
        "ui.presets",
        "ui.shared",
    },
    "ui.compare": {
        "errors",
        "messages",
        "saved_chats",
        "service",
        "ui.conversations",
        "ui.markdown",
        "ui.shared",
    },
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
        "knowledge",
        "messages",
        "openai_format",
        "sandbox",
        "service",
        "structured",
        "uploads",
        "tools",
        "ui.markdown",
        "ui.shared",
    },
    "ui.files": {"documents", "errors", "knowledge", "messages", "service", "ui.markdown", "ui.shared"},
    "ui.scenarios": {"scenarios", "service", "ui.shared"},
    "ui.performance": {"errors", "performance", "service", "settings", "ui.shared"},
    "ui.status": {"ui.shared"},
    "ui.presenting": {"ui.shared"},
    "ui": {
        "documents",
        "engine",
        "knowledge",
        "messages",
        "saved_chats",
        "service",
        "settings",
        "uploads",
        "ui.browser",
        "ui.chat",
        "ui.chats_panel",
        "ui.compare",
        "ui.files",
        "ui.json_lab",
        "ui.performance",
        "ui.presenting",
        "ui.scenarios",
        "ui.shared",
        "ui.status",
        "ui.tools",
    },
    "serve": {
        "api",
        "api.protocol",
        "documents",
        "engine",
        "engine.local",
        "engine.remote",
        "errors",
        "failed_requests",
        "guests",
        "http",
        "models",
        "models.files",
        "models.loading",
        "saved_chats",
        "service",
        "settings",
        "start",
        "ui",
        "ui.shared",
        "web",
        "web.guests",
        "web.share",
        "web.status",
        "web.uploads",
    },
    "bench": {"engine.remote", "errors", "performance", "serve", "service", "settings"},
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


def wrong_names(paths: Iterable[Path], wrong: Callable[[str, set[str]], set[str]]) -> dict[str, set[str]]:
    """Of each module, those of its imports that ``wrong`` picks."""
    found = {name_of(path): wrong(room_of(name_of(path)), set(imports_of(path))) for path in paths}
    return {module: names for module, names in found.items() if names}


def within(*packages: str) -> list[Path]:
    return [path for path in modules() if name_of(path).split(".")[1] in packages]


def test_imports_follow_the_arrows() -> None:
    assert wrong_names(modules(), lambda own, names: {*map(room_of, names)} - {own} - ARROWS[own]) == {}


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


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_module_leans_on_more_than_it_can_explain() -> None:
    assert {name: count for name, count in read_graph().imports.items() if count > MOST_IMPORTS} == {}


def test_page_and_api_never_touch_the_engine() -> None:
    def engine(_: str, names: set[str]) -> set[str]:
        return {name for name in names if name.startswith("qwen_app.engine.") and not name.startswith(ENGINE_TYPES)}

    assert wrong_names(within("api", "web", "ui"), engine) == {}


def test_the_page_leaves_what_is_costly_to_the_sandbox() -> None:
    """A schema, pattern, answer or file of a visitor's is compiled, matched, validated and parsed there alone."""

    def costly(_: str, names: set[str]) -> set[str]:
        return {name for name in names if name.removeprefix("qwen_app.").startswith(COSTLY)}

    assert wrong_names(within("ui"), costly) == {}


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
        if path != PACKAGE / "settings" / "loading.py" and re.search("environ|getenv", path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers == set()
