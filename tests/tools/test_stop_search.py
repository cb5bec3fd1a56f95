"""Stop strings end prose where they begin, and never a call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.tools.parser import ToolCallParser
from qwen_app.tools.stop_search import StopSearch

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": "x, y"}}\n</tool_call>'
pieces = st.lists(st.sampled_from(["a", "b", "\n", "<", "<tool_call>", CALL, "\n" + CALL, '{"name": "f"}', "}", ", "]))
stops = st.lists(st.sampled_from(["\n", "}", ", ", '"', "ab", "<tool", "b\n"]), min_size=1, max_size=3)


def shown(text: str, stops: list[str], names: tuple[str, ...] = (), size: int = 1) -> tuple[str, str | None]:
    search = StopSearch(stops, names)
    parts = []
    for start in range(0, len(text), size):
        parts.append(search.feed(text[start : start + size]))
        if search.stop is not None:
            return "".join(parts), search.stop
    return "".join([*parts, search.finish()]), search.stop


def cut(text: str, stops: list[str]) -> str:
    return text[: min((text.find(stop) for stop in stops if stop in text), default=len(text))]


@given(pieces, stops, st.integers(1, 7))
def test_without_tools_all_is_prose(parts: list[str], stops: list[str], size: int) -> None:
    text = "".join(parts)
    assert shown(text, stops, size=size)[0] == cut(text, stops)


@given(pieces, stops, st.integers(1, 7))
def test_what_the_caller_sees_as_text_is_searched_up_to_the_first_call(
    parts: list[str], stops: list[str], size: int
) -> None:
    text = "".join(parts)
    parser = ToolCallParser(["f"])
    found = [*parser.feed(text), *parser.finish()]
    prose = "".join(
        piece
        for index, piece in enumerate(found)
        if isinstance(piece, str) and all(isinstance(one, str) for one in found[:index])
    )
    result, stop = shown(text, stops, ("f",), size)
    if cut(prose, stops) != prose:
        assert (result, stop in stops) == (cut(prose, stops), True)
    else:
        assert (result, stop) == (text, None)


def test_a_call_is_whole_whatever_the_stop() -> None:
    for stop in ("\n", "}", '"', ", ", "</", "name", "<tool_call>"):
        assert shown(f"{CALL}\n{CALL}", [stop], ("f",)) == (f"{CALL}\n{CALL}", None)
        assert shown(f"Well{chr(10)}{CALL}", [stop], ("f",)) == (f"Well{chr(10)}{CALL}", None)
    assert shown(f"Well.\nOr not\n{CALL}", ["\n"], ("f",)) == ("Well.", "\n")


def test_where_nothing_is_searched_for_all_goes_on() -> None:
    search = StopSearch(["b"])
    assert search.feed("abc", search=False) == "abc"
    assert search.feed("ab") == "a"
    assert search.stop == "b"
