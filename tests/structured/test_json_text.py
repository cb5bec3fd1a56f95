from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.structured.json_text import StringTracker, depth_of, duplicate_keys


@given(st.text(), st.integers(0, 40))
def test_the_tracker_knows_when_a_string_is_open(text: str, cut: int) -> None:
    written = json.dumps({"key": text}).encode()
    tracker = StringTracker()
    tracker.feed(written)
    assert not tracker.inside
    cut_off = StringTracker()
    cut_off.feed(written[: 9 + cut])
    inside = len(b'{"key": "') <= 9 + cut < len(written) - 1
    assert cut_off.inside == inside


def test_duplicate_keys_anywhere() -> None:
    assert duplicate_keys('{"a": {"b": 1, "b": 2}, "c": 1, "c": 2, "c": 3}') == ["b", "c"]
    assert duplicate_keys('[{"a": 1}, {"a": 1}]') == []


def test_depth() -> None:
    values: list[Any] = [1, {}, [[]], {"a": [1, {"b": {}}]}]
    assert [depth_of(value) for value in values] == [0, 1, 2, 4]
