"""The streaming parser: every bug that peers had is a case here."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.messages import ToolCallDelta
from qwen_app.tools.parser import ToolCallParser

NAMES = ("get_weather", "now", "save")


@dataclass
class Parsed:
    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)

    def add(self, piece: str | ToolCallDelta) -> None:
        if isinstance(piece, str):
            self.text += piece
            return
        if piece.id is not None:
            assert piece.index == len(self.calls)
            assert piece.id.startswith("call_")
            self.calls.append({"id": piece.id, "name": piece.name, "arguments": ""})
        self.calls[piece.index]["arguments"] += piece.arguments

    def plain(self) -> tuple[str, list[tuple[str, str]]]:
        return self.text, [(call["name"], call["arguments"]) for call in self.calls]


def parse(pieces: list[str], *, cut: bool = False) -> Parsed:
    parser, parsed = ToolCallParser(NAMES), Parsed()
    for piece in pieces:
        for found in parser.feed(piece):
            parsed.add(found)
    for found in parser.finish(cut=cut):
        parsed.add(found)
    assert parser.called == bool(parsed.calls)
    return parsed


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


CASES: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "text only": ("Hello <there>, 1 < 2.", "Hello <there>, 1 < 2.", []),
    "a tag that never opens": ("a <tool_cal and more", "a <tool_cal and more", []),
    "text that ends like a tag": ("see \n<tool_", "see \n<tool_", []),
    "one call": (call("get_weather", '{"city": "北京"}'), "", [("get_weather", '{"city": "北京"}')]),
    "text before": ("Let me look.\n" + call("now", "{}"), "Let me look.", [("now", "{}")]),
    "only one line break is the tag's": ("A\n\n" + call("now", "{}"), "A\n", [("now", "{}")]),
    "two calls": (
        call("get_weather", '{"city": "Paris"}') + "\n" + call("get_weather", '{"city": "Rome"}'),
        "",
        [("get_weather", '{"city": "Paris"}'), ("get_weather", '{"city": "Rome"}')],
    ),
    "no arguments at all": ('<tool_call>\n{"name": "now"}\n</tool_call>', "", [("now", "{}")]),
    "null arguments": (call("now", "null"), "", [("now", "{}")]),
    "nested objects keep their shape": (
        call("save", '{"a": {"b": [{"c": {}}, []]}}'),
        "",
        [("save", '{"a": {"b": [{"c": {}}, []]}}')],
    ),
    "braces and tags inside strings": (
        call("save", '{"t": "} </tool_call> \\" { <tool_call> \\\\"}'),
        "",
        [("save", '{"t": "} </tool_call> \\" { <tool_call> \\\\"}')],
    ),
    "arguments before the name": (
        '<tool_call>{"arguments": {"x": 1}, "name": "save"}</tool_call>',
        "",
        [("save", '{"x": 1}')],
    ),
    "arguments as a string": (call("save", '"{\\"x\\": 1}"'), "", [("save", '{"x": 1}')]),
    "other keys are skipped": (
        '<tool_call>{"id": 3, "name": "save", "arguments": {"x": 1}, "n": null}</tool_call>',
        "",
        [("save", '{"x": 1}')],
    ),
    "compact wrapper": ('<tool_call>{"name":"now","arguments":{}}</tool_call>', "", [("now", "{}")]),
    "no closing tag": ('<tool_call>\n{"name": "save", "arguments": {"x": 1}}', "", [("save", '{"x": 1}')]),
    "cut inside the arguments": ('<tool_call>\n{"name": "save", "arguments": {"x": "lon', "", [("save", '{"x": "lon')]),
    "cut before the arguments": ('<tool_call>\n{"name": "now", "arg', "", [("now", "{}")]),
    "cut inside a list of arguments": (
        '<tool_call>\n{"name": "save", "arguments": [1, {"x"',
        '<tool_call>\n{"name": "save", "arguments": [1, {"x"',
        [],
    ),
    "cut inside arguments as a string": (
        '<tool_call>\n{"name": "save", "arguments": "{\\"x\\": \\"\\ud83d\\ude',
        "",
        [("save", '{"x": "')],
    ),
    "cut inside null": ('<tool_call>\n{"name": "now", "arguments": nu', "", [("now", "{}")]),
    "arguments and parameters": (
        '<tool_call>{"name": "save", "arguments": {"x": 1}, "parameters": {"x": 2}}</tool_call>.',
        ".",
        [("save", '{"x": 1}')],
    ),
    "parameters and arguments": (
        '<tool_call>{"parameters": {"x": 2}, "name": "save", "arguments": {"x": 1}}</tool_call>',
        "",
        [("save", '{"x": 1}')],
    ),
    "arguments twice": (
        '<tool_call>{"name": "save", "arguments": {"x": 1}, "arguments": {"x": 2}}</tool_call>',
        "",
        [("save", '{"x": 1}')],
    ),
    "parameters alone": (
        '<tool_call>{"name": "save", "parameters": {"x": 2}}</tool_call>',
        "",
        [("save", '{"x": 2}')],
    ),
    "parameters twice": (
        '<tool_call>{"name": "save", "parameters": {"x": 1}, "parameters": {"x": 2}}</tool_call>',
        "",
        [("save", '{"x": 1}')],
    ),
    "null arguments beside parameters": (
        '<tool_call>{"name": "save", "arguments": null, "parameters": {"x": 2}}</tool_call>',
        "",
        [("save", '{"x": 2}')],
    ),
    "parameters in a call without its last brace": (
        '<tool_call>{"name": "save", "parameters": {"x": 2}</tool_call>.',
        ".",
        [("save", '{"x": 2}')],
    ),
    "cut after the parameters": ('<tool_call>{"name": "save", "parameters": {"x": 2}', "", [("save", '{"x": 2}')]),
    "cut inside the name": ('Ok\n<tool_call>\n{"name": "no', 'Ok\n<tool_call>\n{"name": "no', []),
    "not JSON": ("<tool_call>no</tool_call> x", "<tool_call>no</tool_call> x", []),
    "a tool nobody offered": (call("rm", "{}"), call("rm", "{}"), []),
    "a call without its last brace": (
        '<tool_call>\n{"name": "save", "arguments": {"x": 1}\n</tool_call>\nDone.',
        "\nDone.",
        [("save", '{"x": 1}')],
    ),
    "arguments that are a list": (call("save", "[1]"), call("save", "[1]"), []),
    "arguments that are a number": (call("save", "5"), call("save", "5"), []),
    "text between calls": (call("now", "{}") + " and " + call("now", "{}"), " and ", [("now", "{}"), ("now", "{}")]),
    "text after a call": (call("now", "{}") + "\nDone.", "\nDone.", [("now", "{}")]),
    "bare call": ('{"name": "get_weather", "arguments": {"city": "Rome"}}', "", [("get_weather", '{"city": "Rome"}')]),
    "bare calls one after the other": (
        '{"name": "now", "arguments": {}}\n{"name": "now"}',
        "",
        [("now", "{}"), ("now", "{}")],
    ),
    "bare calls in a list": (
        ' [{"name": "now", "arguments": {}, "id": "a1"}, {"name": "save", "arguments": {"a": 1}}]',
        "",
        [("now", "{}"), ("save", '{"a": 1}')],
    ),
    "Mistral's mark before a list": (
        '[TOOL_CALLS] [{"name": "now", "arguments": {}}, {"name": "save", "arguments": {"a": 1}}]',
        "",
        [("now", "{}"), ("save", '{"a": 1}')],
    ),
    "Mistral's mark before each name": (
        '[TOOL_CALLS]now{}[TOOL_CALLS]save{"a": 1}',
        "",
        [("now", "{}"), ("save", '{"a": 1}')],
    ),
    "Mistral's marks around ids and arguments": (
        '[TOOL_CALLS]save[CALL_ID]aB3dE6gH9[ARGS]{"a": 1}[TOOL_CALLS] now[ARGS] {}',
        "",
        [("save", '{"a": 1}'), ("now", "{}")],
    ),
    "a mark before the name of no tool": ('[TOOL_CALLS]later{"a": 1}', '[TOOL_CALLS]later{"a": 1}', []),
    "a mark before a name and text": ("[TOOL_CALLS]now or never", "[TOOL_CALLS]now or never", []),
    "Llama's mark before a call": (
        '<|python_tag|>{"name": "save", "parameters": {"a": 1}}',
        "",
        [("save", '{"a": 1}')],
    ),
    "a mark before no call": ("[TOOL_CALLS] are made so", "[TOOL_CALLS] are made so", []),
    "half a mark": (" <|python", " <|python", []),
    "an empty list": ("[]", "[]", []),
    "a list that is an answer": ('[{"city": "Rome"}]', '[{"city": "Rome"}]', []),
    "a list of a call and more": ('[{"name": "now"}, 1]', '[{"name": "now"}, 1]', []),
    "a mark in brackets": ("[1] says so", "[1] says so", []),
    "bare JSON that is an answer": ('{"city": "Rome", "name": "now"}', '{"city": "Rome", "name": "now"}', []),
    "bare JSON of an unknown tool": ('{"name": "Bob", "age": 3}', '{"name": "Bob", "age": 3}', []),
    "a bare call with text after it": ('{"name": "now"} it is', '{"name": "now"} it is', []),
    "bare JSON that defines a tool": (
        '{"name": "save", "description": "Saves.", "parameters": {"type": "object"}}',
        '{"name": "save", "description": "Saves.", "parameters": {"type": "object"}}',
        [],
    ),
    "unfinished bare JSON": ('{"name": "now", "argu', '{"name": "now", "argu', []),
    "blanks": (" \n ", " \n ", []),
    "nothing": ("", "", []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_whole(case: tuple[str, str, list[tuple[str, str]]]) -> None:
    answer, text, calls = case
    assert parse([answer]).plain() == (text, calls)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_character_at_a_time(case: tuple[str, str, list[tuple[str, str]]]) -> None:
    answer, text, calls = case
    assert parse(list(answer)).plain() == (text, calls)


FRAGMENTS = ["<tool_call>", "</tool_call>", "\n", '{"name": "', "now", "save", '", "arguments": ', '{"x": "', '"}', "}"]
answers = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=15).map("".join) | st.sampled_from(
    [answer for answer, _, _ in CASES.values()]
)


@given(answer=answers, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_how_the_text_is_cut_makes_no_difference(answer: str, cuts: list[int]) -> None:
    places = sorted({min(cut, len(answer)) for cut in cuts} | {0, len(answer)})
    pieces = [answer[start:end] for start, end in itertools.pairwise(places)]
    assert parse(pieces).plain() == parse([answer]).plain() == parse(list(answer)).plain()


nearly_calls = st.lists(
    st.sampled_from(
        ["<tool_call>", "</tool_call>", "</tool", "\n", " so ", "{", "}", ", ", "[1]", "5", "null", '{"x": 1}']
    )
    | st.sampled_from(
        ['"name": ', '"now"', '"rm"', '"arguments": ', '"parameters": ', '{"name": "save", "arguments": ']
    ),
    max_size=20,
).map(lambda parts: '<tool_call>\n{"name": "now", "arguments": ' + "".join(parts))


@given(answer=nearly_calls, cuts=st.lists(st.integers(0, 200), max_size=12), limited=st.booleans())
def test_a_malformed_call_is_the_same_however_it_is_cut(answer: str, cuts: list[int], limited: bool) -> None:
    places = sorted({min(cut, len(answer)) for cut in cuts} | {0, len(answer)})
    pieces = [answer[start:end] for start, end in itertools.pairwise(places)]
    ways = [parse(way, cut=limited).plain() for way in (pieces, [answer], list(answer))]
    assert ways[0] == ways[1] == ways[2]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["</tool_call>", "<tool_call>{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(
    texts=st.lists(st.sampled_from(["", "Well,", "好的。"]), min_size=1, max_size=1),
    calls=st.lists(
        st.tuples(st.sampled_from(NAMES), st.dictionaries(st.text(max_size=6), json_values, max_size=3)), max_size=3
    ),
    step=st.integers(1, 9),
    ascii_only=st.booleans(),
)
def test_streamed_arguments_join_to_the_json_that_was_written(
    texts: list[str], calls: list[tuple[str, Any]], step: int, ascii_only: bool
) -> None:
    written = [call(name, json.dumps(arguments, ensure_ascii=ascii_only)) for name, arguments in calls]
    answer = "\n".join([*filter(None, texts), *written])
    parsed = parse([answer[start : start + step] for start in range(0, len(answer), step)])
    assert parsed.text == texts[0]
    assert [(one["name"], json.loads(one["arguments"])) for one in parsed.calls] == calls


argument_values = st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=1) | st.sampled_from(
    [None, "", " ", [1], 5]
)


@given(
    st.lists(st.tuples(st.sampled_from(["arguments", "parameters"]), argument_values), max_size=2).map(dict),
    st.booleans(),
)
def test_what_counts_of_arguments_and_parameters_is_the_same_with_tags_and_without(
    given_: dict[str, Any], named_first: bool
) -> None:
    name = {"name": "save"}
    body = json.dumps(name | given_ if named_first else given_ | name)
    tagged, bare = parse([f"<tool_call>{body}</tool_call>"]), parse([body])
    nothing = (None, "", " ")
    counts: Any = next((given_[key] for key in ("arguments", "parameters") if given_.get(key) not in nothing), {})
    expected = [counts] if isinstance(counts, dict) else []
    for parsed in (tagged, bare):
        assert [json.loads(one["arguments"]) for one in parsed.calls] == expected
        assert bool(parsed.text) is not bool(expected)


@given(json_values, st.sampled_from(["arguments", "parameters"]), st.booleans(), st.data())
def test_a_call_cut_within_its_arguments_has_what_came_of_an_object_or_is_text(
    value: Any, key: str, limited: bool, data: st.DataObject
) -> None:
    head, written = f'<tool_call>\n{{"name": "save", "{key}": ', json.dumps(value)
    cut = head + written[: data.draw(st.integers(1, len(written)))]
    parsed = parse([cut], cut=limited)
    begun = cut.removeprefix(head)
    if isinstance(value, dict):
        assert parsed.plain() == ("", [("save", begun)])
    elif value is None or (isinstance(value, str) and not value.lstrip(" \t\r\n")):
        assert parsed.plain() in [("", [("save", text)]) for text in ("{}", "", value)]
    elif not isinstance(value, str):
        assert parsed.plain() == (cut, [])


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2), st.booleans(), st.data())
def test_a_call_cut_within_arguments_written_as_a_string_has_what_came_of_their_object(
    arguments: dict[str, str], limited: bool, data: st.DataObject
) -> None:
    """Whole characters alone, wherever in an escape the cut is."""
    whole = json.dumps(arguments, ensure_ascii=False)
    written = json.dumps(whole)
    begun = written[: data.draw(st.integers(3, len(written)))]
    parsed = parse([f'<tool_call>\n{{"name": "save", "arguments": {begun}'], cut=limited)
    ((name, came),) = parsed.plain()[1]
    assert (parsed.text, name) == ("", "save")
    assert whole.startswith(came)
    assert len(json.dumps(came)) >= len(begun) - len(r"\ud83d\ude00")


def test_text_is_not_held_back_longer_than_a_tag_may_need() -> None:
    parser = ToolCallParser(NAMES)
    assert parser.feed("Hello") == ["Hello"]
    assert parser.feed(" <tool") == [" "]
    assert parser.feed("s>") == ["<tools>"]


def test_arguments_are_sent_as_they_come() -> None:
    parser = ToolCallParser(NAMES)
    parser.feed('<tool_call>\n{"name": "save", "arguments": {"x"')
    assert parser.feed(': "ab') == [ToolCallDelta(0, arguments=': "ab')]


def test_json_answers_stream_although_they_begin_with_a_brace() -> None:
    parser = ToolCallParser(NAMES)
    assert parser.feed('{"city": "Ro') == ['{"city": "Ro']
