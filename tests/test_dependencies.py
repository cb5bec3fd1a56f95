"""What is installed is written down: top-level lists that agree, and one version of everything they bring along."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {"python-multipart": "0.0.27", "starlette": "1.0.1", "gradio": "6.31", "torch": "2.13.0"}


def lines(name: str) -> list[str]:
    return [
        line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line and not line.startswith("-")
    ]


def top_level(name: str) -> list[str]:
    return [line.split("  #")[0] for line in lines(name) if not line.startswith("#")]


def project() -> dict[str, object]:
    loaded: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return loaded


def pins() -> dict[str, Version]:
    found = [Requirement(line.removesuffix(" \\")) for line in top_level("constraints.txt") if not line.startswith(" ")]
    assert len({pin.name for pin in found}) == len(found)
    return {canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("==")) for pin in found}


def hashes(name: str) -> dict[str, list[str]]:
    """The sha256 sums that the list ``name`` gives, by package."""
    entries = re.findall(r"(?m)^([\w.-]+)==(.*\n(?: .*\n)*)", (ROOT / name).read_text(encoding="utf-8"))
    return {canonicalize_name(package): re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text) for package, text in entries}


def test_the_project_file_and_the_requirements_say_the_same() -> None:
    assert project()["dependencies"] == top_level("requirements.txt")
    assert project()["optional-dependencies"] == {"dev": top_level("requirements-dev.txt")}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_entry_says_why_it_is_there(name: str) -> None:
    assert [line for line in lines(name) if not line.startswith("#") and not line.partition("  # ")[2]] == []


def test_every_entry_is_pinned_at_the_version_it_asks_for() -> None:
    for text in (*top_level("requirements.txt"), *top_level("requirements-dev.txt")):
        entry = Requirement(text)
        assert pins()[canonicalize_name(entry.name)] in entry.specifier, text


def test_what_is_installed_is_what_is_pinned() -> None:
    pinned, wrong = pins(), []
    todo = [Requirement(text) for text in (*top_level("requirements.txt"), *top_level("requirements-dev.txt"))]
    seen: set[tuple[str, str]] = set()
    while todo:
        entry = todo.pop()
        name = canonicalize_name(entry.name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if pinned.get(name) != Version(Version(found.version).public):
            wrong.append(f"{name} {found.version}, pinned {pinned.get(name)}")
        for extra in {"", *entry.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                needs = [Requirement(text) for text in found.requires or ()]
                todo += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    assert wrong == []
    assert len(seen) > 80


@pytest.mark.parametrize("name", ["constraints.txt", "requirements-pip.txt"])
def test_every_pin_has_the_hashes_of_its_files(name: str) -> None:
    assert [package for package, sums in hashes(name).items() if not sums] == []
    assert hashes(name)


def test_packages_installed_alone_are_locked_too() -> None:
    assert {canonicalize_name(Requirement(text).name) for text in top_level("requirements-dev-alone.txt")} <= set(
        hashes("constraints.txt")
    )


@pytest.mark.parametrize("name", FLOORS)
def test_versions_that_must_hold(name: str) -> None:
    assert pins()[name] >= Version(FLOORS[name])


def test_no_file_names_a_registry() -> None:
    for path in (*ROOT.glob("requirements*.txt"), ROOT / "constraints.txt"):
        assert "://" not in path.read_text(encoding="utf-8"), path


@pytest.mark.slow
def test_whatever_the_app_imports_is_asked_for() -> None:
    imported: set[str] = set()
    for path in (ROOT / "qwen_app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    owners = packages_distributions()
    packages = {
        canonicalize_name(owner) for name in imported - sys.stdlib_module_names - {"qwen_app"} for owner in owners[name]
    }
    asked_for = {canonicalize_name(Requirement(text).name) for text in top_level("requirements.txt")}
    # pydantic pins its core exactly; Triton comes with PyTorch for CUDA, and is imported where it is there.
    assert packages - asked_for == {"pydantic-core", "triton"}
