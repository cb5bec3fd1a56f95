from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import SchemaError
from qwen_app.tools.builtin import builtin_tools
from qwen_app.ui.tools.definitions import definitions_text, parse_tools, usable_tools, with_tools

BUILTIN = {one.tool.name: one.tool for one in builtin_tools()}
OWN = {"type": "function", "function": {"name": "mine", "parameters": {"type": "object", "properties": {}}}}


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "find", **function}}


def test_a_tool_as_openai_writes_it() -> None:
    parameters = {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "integer"}}}
    (found,) = parse_tools(json.dumps([tool(description="Find it.", parameters=parameters, strict=True)]))
    assert (found.name, found.description, found.strict) == ("find", "Find it.", True)
    assert json.dumps(found.parameters) == json.dumps(parameters)


def test_what_may_be_left_out() -> None:
    assert parse_tools(" \n") == ()
    assert parse_tools("[]") == ()
    (found,) = parse_tools(json.dumps([tool()]))
    assert found.parameters == {"type": "object", "properties": {}}
    assert not found.strict


@pytest.mark.parametrize(
    ("tools", "pointer"),
    [
        ({}, ""),
        ([1], "/0"),
        ([{"type": "function"}], "/0"),
        ([{**tool(), "type": "retrieval"}], "/0"),
        ([tool(name="find it")], "/0/function/name"),
        ([tool(name="a\n")], "/0/function/name"),
        ([tool(description=3)], "/0/function/description"),
        ([tool(parameters=[])], "/0/function/parameters"),
        ([tool(parameters={"type": "array"})], "/0/function/parameters"),
        ([tool(parameters={"properties": {"a": {"$ref": "http://x.invalid"}}})],
         "/0/function/parameters/properties/a/$ref"),
        ([tool(), tool()], "/1/function/name"),
        ([tool(name=f"t{i}") for i in range(65)], ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_pointer(tools: Any, pointer: str) -> None:
    with pytest.raises(SchemaError) as refused:
        parse_tools(json.dumps(tools))
    assert refused.value.pointer == pointer
    assert refused.value.param == "tools"


@pytest.mark.parametrize("text", ["{", "[" * 100_000, " " + "x" * 300_000])
def test_what_is_no_json_is_a_sentence(text: str) -> None:
    with pytest.raises(SchemaError, match="The tools are"):
        parse_tools(text)


@pytest.mark.anyio
@pytest.mark.parametrize("strict", [True, False])
async def test_what_no_schema_may_say_is_found_where_it_may_be_looked_for(strict: bool) -> None:
    wrong = tool(parameters={"properties": {"a": {"type": "strin"}}}, strict=strict)
    with pytest.raises(SchemaError) as refused:
        await usable_tools(json.dumps([{**tool(), "function": {"name": "good"}}, wrong]), "ada")
    assert refused.value.pointer == "/1/function/parameters/properties/a/type"
    assert refused.value.param == "tools"
    assert len(await usable_tools(json.dumps([tool()]), "ada")) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "function", "name", "parameters"]), inner),
)


@pytest.mark.slow
@given(st.lists(JSON))
def test_any_list_is_refused_with_its_place_or_taken_whole(given_: list[Any]) -> None:
    try:
        taken = len(parse_tools(json.dumps(given_)))
    except SchemaError as error:
        taken = len(given_) if f"(at {error.pointer or '/'})" in error.message else -1
    assert taken == len(given_)


def test_ticking_boxes_keeps_the_visitors_own_tools() -> None:
    own = definitions_text([OWN])
    some = {"calculate": BUILTIN["calculate"]}
    both = with_tools(own, some, BUILTIN)
    assert [one["function"]["name"] for one in json.loads(both)] == ["mine", "calculate"]
    assert json.loads(with_tools(both, {}, BUILTIN)) == [OWN]


def test_what_cannot_be_read_is_left_as_it_is() -> None:
    assert with_tools("[{half", BUILTIN, BUILTIN) == "[{half"


@pytest.mark.parametrize("deep", ["[" * 3_000, '[{"a":' * 3_000])
def test_what_is_nested_too_deep_is_told_in_our_words(deep: str) -> None:
    with pytest.raises(SchemaError, match="nested deeper than 64 levels") as refused:
        parse_tools(deep)
    assert (refused.value.param, "recursion" in refused.value.message) == ("tools", False)


def test_half_a_character_in_a_description_is_named_by_its_place() -> None:
    with pytest.raises(SchemaError, match="half a character") as refused:
        parse_tools(json.dumps([tool(description="\ud800")]))
    assert refused.value.pointer == "/0/function/description"
