"""ARCHITECTURE.md and CONTRIBUTING.md name what is there, and all of it."""

from __future__ import annotations

import re

import pytest

from scripts.import_graph import ROOT, name_of, read_graph, room_of
from scripts.import_graph import modules as files

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
FOLDERS = ("qwen_app/", "tests/", "scripts/", "bench/", "docs/", "deploy/")
LONGEST_WAY = 15  # files a newcomer opens to follow one question


def section(document: str, title: str) -> str:
    return document.split(f"\n## {title}\n")[1].split("\n## ")[0]


def paths_in(text: str) -> list[str]:
    """Every path in backquotes, and every link; commands count by their first word."""
    named = [code.split()[0] for code in re.findall(r"`([^`\n]+)`", text) if code.startswith(FOLDERS)]
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    return list(dict.fromkeys([*named, *links]))


@pytest.mark.parametrize(
    "document", [ARCHITECTURE, CONTRIBUTING, CHANGELOG], ids=["architecture", "contributing", "log"]
)
def test_every_path_is_there(document: str) -> None:
    paths = paths_in(document)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_package_has_its_line() -> None:
    named = {path.removeprefix("qwen_app/").removesuffix(".py").replace("/", ".") for path in paths_in(packages())}
    top_level = {room.partition(".")[0] for room in read_graph().arrows}
    assert top_level <= named
    assert named <= {room_of(name_of(path)) for path in files()}


def packages() -> str:
    return section(ARCHITECTURE, "The packages")


def test_one_questions_way_is_short_and_every_step_names_one_file() -> None:
    steps = re.split(r"^\d+\. ", section(ARCHITECTURE, "One question's way").split("\n\n")[1], flags=re.MULTILINE)[1:]
    assert 10 <= len(steps) <= LONGEST_WAY
    assert all(len(paths_in(step)) == 1 for step in steps)
    assert all((ROOT / path).is_file() for step in steps for path in paths_in(step))


@pytest.mark.parametrize("wish", ["a sampling parameter", "a tab", "another built-in tool", "another upstream server"])
def test_where_to_change_what_is_told(wish: str) -> None:
    assert f"| {wish} | " in section(ARCHITECTURE, "Where to change what")


@pytest.mark.parametrize("thing", ["sampling parameter", "tab", "tool", "engine", "setting"])
def test_how_to_add_it_is_told(thing: str) -> None:
    article = "an" if thing[0] == "e" else "a"
    assert paths_in(section(CONTRIBUTING, f"Add {article} {thing}"))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("TABS", "qwen_app/ui/tabs.py"),
        ("STYLES", "qwen_app/ui/shared/theme.py"),
        ("TITLES", "qwen_app/ui/tools/menus.py"),
        ("SAMPLING_RANGES", "qwen_app/messages.py"),
        ("SamplingParams", "qwen_app/messages.py"),
        ("GrammarSpec", "qwen_app/messages.py"),
        ("SamplingChoices", "qwen_app/service.py"),
        ("builtin_tools", "qwen_app/tools/builtin.py"),
        ("BuiltinTool", "qwen_app/tools/builtin.py"),
        ("build_engine", "qwen_app/serve/engines.py"),
        ("build_local_engine", "qwen_app/engine/local/build.py"),
        ("serve_until_signal", "qwen_app/serve/server.py"),
        ("load_then_open", "qwen_app/serve/server.py"),
        ("Planned", "qwen_app/messages.py"),
    ],
)
def test_names_in_the_documents_are_the_codes(name: str, path: str) -> None:
    assert re.search(rf"`{name}`", ARCHITECTURE + CONTRIBUTING)
    code = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^(async def |def |class |){name}\b", code, re.MULTILINE)
