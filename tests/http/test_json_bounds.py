"""What a JSON text holds is counted in its bytes, and what stands within its texts is not."""

from __future__ import annotations

import json

import pytest

from qwen_app.http.json_bounds import JsonBounds

BOUNDS = JsonBounds(values=10, containers=5, texts=8)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (json.dumps([0] * 20), "values"),
        (json.dumps([[]] * 6), "objects and lists"),
        (json.dumps({"a": {"b": {"c": {"d": {"e": {}}}}}}), "objects and lists"),
        (json.dumps([""] * 9), "texts and names of fields"),
        ("[" * 100, "objects and lists"),
        ("," * 100, "values"),
        ('"' * 100, "texts and names of fields"),
    ],
)
def test_more_of_anything_is_refused_with_its_name(raw: str, what: str) -> None:
    assert f" {what}." in BOUNDS.refusal(raw.encode())


@pytest.mark.parametrize("text", ["," * 100, "[{" * 100, "\\" * 99, "a, b; [c], {d}" * 20, '"' * 3])
def test_signs_in_a_text_are_none(text: str) -> None:
    assert BOUNDS.refusal(json.dumps({"a": text, "b": [1, 2, 3]}).encode()) == ""
