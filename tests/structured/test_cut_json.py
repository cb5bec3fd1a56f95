"""Cut JSON of other servers: escapes are ended, and what remains is spelled as our grammars want it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.messages import JsonObject
from qwen_app.sandbox.tasks import GRAMMAR, complete
from qwen_app.structured.cut_json import end_of_escape, respelled
from tests.examples import examples

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ('{"a', ""),
        ('{"a": 1', ""),
        ('{"a\\', "\\"),
        ('{"a\\\\', ""),
        ('{"a\\n', ""),
        ('{"a\\u', "0020"),
        ('{"a\\u00', "20"),
        ('{"a\\u000', "a"),
        ('{"a\\u00e', "0"),
        ('{"a\\\\u00e', ""),
        ('{"a\\ud83d', "\\udc00"),
        ('{"a\\ud83', "0\\udc00"),
        ('{"a\\ud83d\\ude00', ""),
        ('{"\\\\":"', ""),
    ],
)
def test_an_escape_is_ended(text: str, missing: str) -> None:
    assert end_of_escape(text) == missing


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), st.booleans(), st.sampled_from([None, 2, 12]))
@settings(max_examples=examples(80))
def test_whole_documents_keep_what_they_say(document: dict[str, object], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    assert end_of_escape(text) == ""
    assert json.loads(respelled(text)) == document


@given(st.data(), st.booleans(), st.sampled_from([None, 2, 12]))
@settings(max_examples=examples(60))
def test_a_document_is_ended_wherever_it_was_cut(data: st.DataObject, ascii_only: bool, indent: int | None) -> None:
    document = data.draw(st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=4))
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    ending = complete({"text": cut, "grammar": GRAMMAR.dump_python(JsonObject())})
    assert isinstance(ending, str)
    assert isinstance(json.loads(cut + ending), dict)
