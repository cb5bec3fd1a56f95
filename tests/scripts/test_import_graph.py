"""The script that draws the import graph: its figures, and that the picture kept is the one of today."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest

from scripts.graph_layout import lay_out
from scripts.graph_picture import draw
from scripts.import_graph import (
    PACKAGE,
    ROOT,
    arrows_back_up,
    circles,
    floors,
    folded,
    modules_imported_by,
    read_graph,
    report,
    without_shortcuts,
)

PICTURE = ROOT / "docs" / "images" / "architecture.svg"


def arrows(text: str) -> dict[str, frozenset[str]]:
    """``"a:b,c b:c c:"`` as rooms and arrows."""
    pairs = [room.split(":") for room in text.split()]
    return {room: frozenset(filter(None, to.split(","))) for room, to in pairs}


def test_the_picture_kept_is_the_one_of_today() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(read_graph().arrows), "run scripts/import-graph"


def test_a_circle_is_found_with_its_arrow_back_up() -> None:
    graph = arrows("a:b b:c c:b,d d:")
    assert circles(graph) == [["b", "c"]]
    assert arrows_back_up(graph) == [("c", "b")]
    assert floors(graph) == {"d": 0, "c": 1, "b": 2, "a": 3}


def test_a_circle_nobody_leads_to_is_found_too() -> None:
    graph = arrows("a:b b:a c:")
    assert circles(graph) == [["a", "b"]]
    assert len(arrows_back_up(graph)) == 1


def test_shortcuts_are_left_out_and_packages_folded() -> None:
    assert without_shortcuts(arrows("a:b,c,d b:c c:d d:")) == arrows("a:b b:c c:d d:")
    assert folded(arrows("a.x:a,b.y a:b b.y: b:b.y")) == arrows("a:b b:")


def test_names_taken_from_one_module_count_once() -> None:
    found = modules_imported_by(PACKAGE / "prompting.py")
    assert "qwen_app.messages" in found
    assert "qwen_app.chat.window" in found
    assert all(name.startswith("qwen_app.") for name in found)


def test_the_report_names_every_figure() -> None:
    names = ["rooms", "arrows", "circles", "arrows back up", "widest package", "most imports in a module"]
    assert [line.split("  ")[0] for line in report(read_graph()).splitlines()] == names


def test_arrows_point_down_and_boxes_stand_apart() -> None:
    graph = arrows("top:left,right left:low right:low,bottom low:bottom bottom: alone:low")
    layout = lay_out(graph, dict.fromkeys(graph, 100.0), gap=20.0)
    assert all(layout.row[a] < layout.row[b] for a, targets in graph.items() for b in targets)
    rows = [sorted(layout.x[room] for room in graph if layout.row[room] == row) for row in range(4)]
    assert all(right - left >= 119.9 for row in rows for left, right in itertools.pairwise(row))
    assert [row for _, row in layout.ways["right", "bottom"]] == [1, 2, 3]


def test_the_picture_is_an_svg_for_light_and_dark() -> None:
    picture = ET.fromstring(draw(arrows("serve:engine.local engine.local:errors errors:")))
    assert picture.tag.endswith("svg")
    style = next(part.text or "" for part in picture.iter() if part.tag.endswith("style"))
    assert "prefers-color-scheme:dark" in style
    texts = {part.text for part in picture.iter() if part.tag.endswith("text")}
    assert {"serve", "engine", "local", "errors"} <= texts


def test_a_room_nobody_described_is_not_drawn() -> None:
    with pytest.raises(LookupError, match=r"qwen_app\.attic is new"):
        draw(arrows("attic:errors errors:"))
