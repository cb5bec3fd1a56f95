"""The import graph of qwen_app: its rooms (packages and top-level modules), and the arrows between them.

Needs only Python itself. Every import counts, also one inside a function or for types alone.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "qwen_app"

Arrows = Mapping[str, frozenset[str]]  # a room, and the rooms it imports from


def modules() -> list[Path]:
    """Every file of qwen_app, its own ``__init__`` left out."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def name_of(path: Path) -> str:
    """The name that ``path`` is imported by."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def room_of(module: str) -> str:
    """``qwen_app.engine.local.worker`` stands in ``engine.local``, ``qwen_app.service`` in itself."""
    parts = module.split(".")[1:]
    while len(parts) > 1 and not PACKAGE.joinpath(*parts).is_dir():
        parts.pop()
    return ".".join(parts)


@cache
def imports_of(path: Path) -> frozenset[str]:
    """What the file imports of qwen_app: modules, and names in modules as ``module.name``. Raises ValueError for a
    relative import."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}: imports are written in full")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in found if name.startswith("qwen_app."))


def modules_imported_by(path: Path) -> set[str]:
    """The modules that :func:`imports_of` names, each once however many names are taken from it."""
    return {_module_of(name) for name in imports_of(path)} - {name_of(path)}


@cache
def _module_of(name: str) -> str:
    parts = name.split(".")
    while not (ROOT.joinpath(*parts).is_dir() or ROOT.joinpath(*parts).with_suffix(".py").is_file()):
        parts.pop()
    return ".".join(parts)


@dataclass(frozen=True, slots=True)
class ImportGraph:
    """Rooms and arrows as they are, and the figures the house is held to."""

    arrows: Arrows
    files: Mapping[str, int]  # by package, ``__init__`` not counted
    imports: Mapping[str, int]  # by module: how many of our modules it imports

    @property
    def arrow_count(self) -> int:
        return sum(map(len, self.arrows.values()))


@cache
def read_graph() -> ImportGraph:
    """The graph of the files as they lie there."""
    arrows: dict[str, set[str]] = {}
    for path in modules():
        room = room_of(name_of(path))
        arrows.setdefault(room, set()).update({room_of(name) for name in imports_of(path)} - {room})
    return ImportGraph(
        arrows={room: frozenset(to) for room, to in sorted(arrows.items())},
        files=Counter(name_of(path.parent) for path in modules() if path.name != "__init__.py"),
        imports={name_of(path): len(modules_imported_by(path)) for path in modules()},
    )


def circles(arrows: Arrows) -> list[list[str]]:
    """The groups of rooms that each lead to all others of the group: rooms nobody can read one after the other."""
    reach = {room: reachable(arrows, room) for room in arrows}
    groups = {tuple(sorted({room, *(other for other in reach[room] if room in reach[other])})) for room in arrows}
    return sorted(list(group) for group in groups if len(group) > 1)


def reachable(arrows: Arrows, start: str) -> set[str]:
    """The rooms that some way of arrows leads to from ``start``; itself only if it is in a circle."""
    found: set[str] = set()
    waiting = list(arrows[start])
    while waiting:
        room = waiting.pop()
        if room not in found:
            found.add(room)
            waiting.extend(arrows[room])
    return found


def floors(arrows: Arrows) -> dict[str, int]:
    """How high each room stands: 0 if it imports nothing, else one above the highest it imports. The arrows that lead
    back up, which a circle must have, are not counted."""
    up = set(arrows_back_up(arrows))
    height: dict[str, int] = {}

    def stand(room: str) -> int:
        if room not in height:
            height[room] = 1 + max((stand(to) for to in sorted(arrows[room]) if (room, to) not in up), default=-1)
        return height[room]

    return {room: stand(room) for room in sorted(arrows)}


def arrows_back_up(arrows: Arrows) -> list[tuple[str, str]]:
    """The arrows that lead to a room from which one came, on a walk that starts at the rooms nobody imports."""
    back: list[tuple[str, str]] = []
    done: set[str] = set()

    def walk(room: str, way: tuple[str, ...]) -> None:
        for to in sorted(arrows[room]):
            if to in way:
                back.append((room, to))
            elif to not in done:
                walk(to, (*way, to))
        done.add(room)

    imported = frozenset[str]().union(*arrows.values())
    for room in sorted(arrows, key=lambda room: (room in imported, room)):
        if room not in done:
            walk(room, (room,))
    return back


def folded(arrows: Arrows) -> dict[str, frozenset[str]]:
    """The same arrows between whole top-level rooms: ``engine.local`` counts as ``engine``."""
    found: dict[str, set[str]] = {}
    for room, to in arrows.items():
        found.setdefault(_top(room), set()).update(map(_top, to))
    return {room: frozenset(to - {room}) for room, to in sorted(found.items())}


def without_shortcuts(arrows: Arrows) -> dict[str, frozenset[str]]:
    """Only the arrows that no longer way implies: what a picture needs. For arrows without a circle."""
    return {
        room: to - frozenset[str]().union(*(frozenset(reachable(arrows, other)) for other in to))
        for room, to in arrows.items()
    }


def report(graph: ImportGraph) -> str:
    """The figures, a line each."""
    widest = max(graph.files, key=lambda name: (graph.files[name], name))
    busiest = max(graph.imports, key=lambda name: (graph.imports[name], name))
    back_up = [f"{room} -> {to}" for room, to in arrows_back_up(graph.arrows)]
    lines = [
        ("rooms", f"{len(graph.arrows)} on {1 + max(floors(graph.arrows).values())} floors"),
        ("arrows", str(graph.arrow_count)),
        ("circles", _named([" <-> ".join(circle) for circle in circles(graph.arrows)])),
        ("arrows back up", _named(back_up)),
        ("widest package", f"{graph.files[widest]} files ({widest})"),
        ("most imports in a module", f"{graph.imports[busiest]} ({busiest})"),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _named(found: Iterable[str]) -> str:
    listed = list(found)
    return f"{len(listed)}: {', '.join(listed)}" if listed else "0"


def _top(room: str) -> str:
    return room.partition(".")[0]
