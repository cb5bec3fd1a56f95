from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.reports.charts import HEIGHT, WIDTH, Series, line_chart, shown

SVG = "{http://www.w3.org/2000/svg}"
values = st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=1, max_size=8)


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_categories=["C"])), values), max_size=6))
def test_whatever_is_drawn_is_well_formed_and_within_its_frame(lines: list[tuple[str, list[float | None]]]) -> None:
    places = [str(index) for index in range(8)]
    drawn = line_chart("<Title> & more", "axis", places, [Series(name, tuple(line)) for name, line in lines])
    root = ElementTree.fromstring(drawn)
    for dot in root.iter(f"{SVG}circle"):
        assert 0 <= float(dot.attrib["cx"]) <= WIDTH
        assert 0 <= float(dot.attrib["cy"]) <= HEIGHT
    known = sum(value is not None for _, line in lines for value in line)
    assert len(list(root.iter(f"{SVG}circle"))) == known


def test_it_tells_those_who_cannot_see_it() -> None:
    drawn = line_chart(
        "Speed", "tokens", ["1k", "2k"], [Series("1 user", (10.0, 20.0)), Series("nobody", (None, None))]
    )
    assert ElementTree.fromstring(drawn).attrib["aria-label"] == "Speed. 1 user: 20"


def test_numbers_are_told_in_three_digits() -> None:
    assert [shown(value) for value in (0.1234, 4.0, 12.34, 123.4, 12_345.6)] == ["0.123", "4", "12.3", "123", "12,346"]
