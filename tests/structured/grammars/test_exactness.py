"""What the grammar lets through is valid, also where llguidance alone takes more: numbers, keys in escapes, doubles."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.errors import SchemaError
from qwen_app.messages import JsonSchema
from qwen_app.structured.grammars.byte_grammar import byte_compiler
from qwen_app.structured.grammars.exactness import narrowed
from qwen_app.structured.schema_check import check_numbers
from tests.examples import examples

COMPILER = byte_compiler()


def takes(schema: dict[str, Any], text: str) -> bool:
    grammar = COMPILER.compile(JsonSchema(schema))
    state = grammar.new_state()
    try:
        for byte in text.encode():
            state.accept(grammar.byte_token(byte))
    except SchemaError:
        return False
    return state.may_end()


def spellings(value: Decimal) -> set[str]:
    """Ways to write ``value`` and its neighbours."""
    near = [value + step for step in map(Decimal, ("0", "0.1", "-0.1", "1", "-1", "0.001", "-0.001"))]
    plain = {format(number, "f") for number in near}
    tails = {text + ("0" if "." in text else ".0") for text in plain}
    return plain | tails | {text.rstrip("0").rstrip(".") for text in tails} | {"0", "-0", "-0.0", "0.00"}


NUMBERS = st.one_of(
    st.integers(-12, 12),
    st.integers(-12, 12).map(float),
    st.decimals(-12, 12, places=2).map(float),
    st.sampled_from([1e-5, -1e-5, 0.05, -0.0, 99.0, 99.5, 2.0**40, 2.0**40 + 0.5]),
)


FAR = st.one_of(
    st.sampled_from([2.0**60, 2**63 - 1, 1.8446744073709552e19, 1e38, 3.4028234663852886e38, 1.7976931348623157e308]),
    st.integers(2**53, 2**70),
)


@given(low=FAR, high=FAR, kind=st.sampled_from(["integer", "number"]), excluded=st.booleans())
@settings(max_examples=examples(30), deadline=None)
def test_bounds_that_generators_write_for_a_long_or_a_double_are_kept(
    low: float, high: float, kind: str, excluded: bool
) -> None:
    bounds = ("exclusiveMinimum", "exclusiveMaximum") if excluded else ("minimum", "maximum")
    schema: dict[str, Any] = {"type": kind, bounds[0]: -low, bounds[1]: high}
    assert takes(schema, str(2**53 - 1))
    assert takes(schema, str(1 - 2**53))
    for sign in (1, -1):
        for beyond in (int(high), int(low), 2**53):
            for step in (1, 1000, 10**400):
                assert not takes(schema, str(sign * (beyond + step)))
    assert not takes(schema, "1e999")


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=examples(150), deadline=None)
def test_a_constant_is_written_as_it_is_or_refused(value: float) -> None:
    try:
        check_numbers({"const": value})
    except SchemaError:
        return
    assert any(
        takes({"const": value}, text) for text in (repr(value), format(Decimal(repr(value)), "f"), f"{value:.0f}")
    )


@given(data=st.data())
@settings(max_examples=examples(150), deadline=None)
def test_no_number_beyond_its_bounds_is_taken(data: st.DataObject) -> None:
    low, high = sorted((data.draw(NUMBERS), data.draw(NUMBERS)))
    schema: dict[str, Any] = {"type": data.draw(st.sampled_from(["number", "number", "integer"]))}
    schema |= {data.draw(st.sampled_from(["minimum", "exclusiveMinimum", "default"])): low}
    bounds = {data.draw(st.sampled_from(["maximum", "exclusiveMaximum", "default"])): high}
    schema = {**schema, "allOf": [bounds]} if data.draw(st.booleans()) else {**schema, **bounds}
    valid = jsonschema_rs.validator_for(schema)
    try:
        for text in sorted(spellings(Decimal(repr(low))) | spellings(Decimal(repr(high)))):
            if takes(schema, text):
                assert valid.is_valid(json.loads(text)), (schema, text)
    except SchemaError:  # nothing lies between the two
        return


@pytest.mark.parametrize(
    ("bounds", "inside"),
    [
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 0.05}, ["0.01", "0.0499", "0.000001"]),
        ({"exclusiveMinimum": 5, "maximum": 5.5}, ["5.1", "5.5", "5.000001"]),
        ({"minimum": -0.5, "exclusiveMaximum": 0}, ["-0.5", "-0.1", "-0.000001"]),
        ({"exclusiveMinimum": 0, "maximum": 1e-5}, ["0.00001", "0.000001"]),
        ({"exclusiveMinimum": 0, "maximum": 1}, ["1", "0.5", "0.001"]),
    ],
)
def test_numbers_within_narrow_bounds_are_taken(bounds: dict[str, Any], inside: list[str]) -> None:
    assert [text for text in inside if not takes({"type": "number", **bounds}, text)] == []


def test_what_is_held_to_the_letter_is_left_as_it_is() -> None:
    schema = {
        "properties": {
            "price": {"type": "number", "exclusiveMinimum": 0},
            "count": {"type": "integer", "exclusiveMinimum": 0, "maximum": 1},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "wide": {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
        }
    }
    assert narrowed(schema) is schema  # no copy for each of the tries that leave parts out


DECLARED = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize("others", [{}, {"additionalProperties": {"type": "string"}}])
@pytest.mark.parametrize("name", ["a", "é", 'q"', "s\\", "t\t", "n\n", "/"])
def test_a_declared_key_in_escapes_is_no_other_key(name: str, others: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {name: {"type": "integer"}}, "required": [name], **others}
    first = json.dumps(name, ensure_ascii=False)
    escaped = "".join(f"\\u{ord(character):04x}" for character in name)
    assert takes(schema, f"{{{first}: 1}}")
    assert takes(schema, f'{{{first}: 1, "other": "é \\n \\" 中"}}')
    for spelled in (escaped, escaped.upper().replace("\\U", "\\u"), f"x{escaped}"):
        assert not takes(schema, f'{{{first}: 1, "{spelled}": "x"}}')


@pytest.mark.parametrize(
    "held", [{"const": "0\x1f"}, {"enum": ["\x7f", "\x01"]}, {"type": "string", "pattern": "^0\\x1f$"}]
)
def test_texts_that_need_escapes_are_taken_whole(held: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": held}, "required": ["a"]}
    valid = jsonschema_rs.validator_for(schema)
    for text in ("0", "", "0\x1f", "\x7f", "\x01"):
        document = json.dumps({"a": text})
        assert not takes(schema, document) or valid.is_valid(json.loads(document))
    assert any(takes(schema, json.dumps({"a": text})) for text in ("0\x1f", "\x01"))


def test_a_key_in_escapes_gets_round_no_pattern() -> None:
    schema = {
        "type": "object",
        "patternProperties": {"^x": {"type": "integer"}},
        "additionalProperties": {"type": "string"},
    }
    assert takes(schema, '{"xy": 1, "y": "s"}')
    assert not takes(schema, '{"\\u0078y": "s"}')


@pytest.mark.parametrize(
    ("schema", "enforced"),
    [
        ({"type": "object", "minProperties": 1}, True),
        ({"type": "object", "minProperties": 2}, False),
        ({**DECLARED, "minProperties": 2}, True),
        ({**DECLARED, "minProperties": 3, "additionalProperties": {"type": "boolean"}}, False),
        ({"type": "object", "patternProperties": {"^x": {}}, "minProperties": 3}, False),
        ({"type": "array", "items": {"type": "object", "minProperties": 2}}, False),
    ],
)
def test_keys_that_might_be_written_twice_are_not_counted_on(schema: dict[str, Any], enforced: bool) -> None:
    if enforced:
        COMPILER.compile(JsonSchema(schema, True))
        return
    with pytest.raises(SchemaError, match=r"minProperties \d at .* might be written twice.*strict false") as refused:
        COMPILER.compile(JsonSchema(schema, True))
    assert str(refused.value.pointer).endswith("/minProperties")
    assert not COMPILER.compile(JsonSchema(schema, False)).source.exact


@settings(max_examples=examples(150))
@given(st.datetimes(timezones=st.timezones()), st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9999)))
def test_every_moment_there_is_may_be_written(moment: datetime, span: timedelta) -> None:
    offset = moment.utcoffset() or timedelta(0)
    if offset.total_seconds() % 60:
        moment = moment.replace(tzinfo=UTC)  # RFC 3339 has offsets of whole minutes
    assert takes(formatted("date-time"), f'"{moment.isoformat()}"')
    assert takes(formatted("date"), f'"{moment.date().isoformat()}"')
    assert takes(formatted("time"), f'"{moment.isoformat().partition("T")[2]}"')
    assert takes(formatted("duration"), f'"P{span.days}DT{span.seconds}S"') == (span.seconds < 10_000)


def formatted(name: str) -> dict[str, Any]:
    return {"type": "string", "format": name}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("date", text) for text in ("2023-02-29", "1900-02-29", "0000-02-29", "0000-01-01", "2023-04-31")),
        *(("time", text) for text in ("24:00:00Z", "12:30:60Z", "12:30:00", "12:30:00+24:00", "12:30:00.Z")),
        *(("date-time", text) for text in ("2023-02-29T12:00:00Z", "2023-01-01T12:30:60Z", "2023-01-01 12:00:00Z")),
        *(("duration", text) for text in ("P", "PT", "P1H", "P12345D", "P1Y2D", "PT1H2S", "P1W1D")),
    ],
)
def test_what_is_no_moment_is_not_written(name: str, text: str) -> None:
    assert not takes(formatted(name), f'"{text}"')
    optional = {"anyOf": [formatted(name), {"type": "null"}]}
    assert not takes(optional, f'"{text}"')
    assert takes(optional, "null")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("date", "2024-02-29"),
        ("date", "2000-02-29"),
        ("time", "23:59:59.5-11:30"),
        ("duration", "P1Y2M3DT4H5M6S"),
        ("duration", "P3W"),
    ],
)
def test_leap_days_and_long_durations_are_written(name: str, text: str) -> None:
    assert takes(formatted(name), f'"{text}"')


DATE = formatted("date")
ROOMY = {"minLength": 1, "maxLength": 99}
DATED: dict[str, dict[str, Any]] = {
    "or null": {"type": ["string", "null"], "format": "date"},
    "or null by anyOf": {"anyOf": [{"type": "string"}, {"type": "null"}], "format": "date"},
    "no type": {"format": "date"},
    "lengths": {**DATE, **ROOMY},
    "no type, lengths": {"format": "date", **ROOMY},
    "a pattern of its own": {**DATE, "pattern": "^2"},
    "beside a reference": {"$ref": "#/$defs/text", "format": "date", "$defs": {"text": {"type": "string"}}},
    "behind a reference": {"$ref": "#/$defs/date", "$defs": {"date": DATE}},
    "in allOf": {"allOf": [DATE, {"pattern": "^2"}]},
    "beside allOf": {**DATE, "allOf": [{"pattern": "^2"}, {"format": "date"}]},
    "in oneOf": {"oneOf": [DATE, {"type": "null"}]},
}


@pytest.mark.parametrize("dated", DATED.values(), ids=DATED)
def test_no_date_is_beyond_the_calendar_wherever_its_format_stands(dated: dict[str, Any]) -> None:
    assert not takes(dated, '"2023-02-29"')
    assert not takes(dated, '"0000-01-01"')
    assert takes(dated, '"2024-02-29"')
    assert takes(dated, "null") == jsonschema_rs.is_valid(dated, None)
    assert takes(dated, "29") == jsonschema_rs.is_valid(dated, 29)


def test_a_date_is_of_the_calendar_where_another_part_has_all_of_several() -> None:
    both = {"allOf": [{"type": "integer"}, {"minimum": 1}]}
    schema = {"type": "object", "properties": {"on": DATE, "count": both}, "required": ["on", "count"]}
    assert takes(schema, '{"on": "2024-02-29", "count": 1}')
    assert not takes(schema, '{"on": "2023-02-29", "count": 1}')
    assert not takes(schema, '{"on": "2024-02-29", "count": 0}')


@pytest.mark.parametrize("kept", [{"pattern": "^19"}, {"allOf": [{"pattern": "^19"}]}])
def test_a_date_keeps_patterns_of_its_own(kept: dict[str, Any]) -> None:
    assert not takes({"format": "date", **kept}, '"2024-02-29"')
    assert takes({"format": "date", **kept}, '"1996-02-29"')


def test_a_time_keeps_its_lengths() -> None:
    moment = {**formatted("time"), "minLength": 10, "maxLength": 12}
    taken = [text for text in ("12:30:00Z", "12:30:00.5Z", "12:30:00.555Z") if takes(moment, f'"{text}"')]
    assert taken == ["12:30:00.5Z"]


def test_dates_that_are_named_stay_as_they_were_written() -> None:
    named = {"enum": ["2023-02-29", None], "format": "date"}
    assert narrowed(named) == named
    assert takes(named, '"2023-02-29"')


def held_as_json_schema_says(pattern: str, *texts: str) -> None:
    """``pattern`` takes of ``texts`` what a validator takes, as a string's own and as one of names."""
    names = {"type": "object", "patternProperties": {pattern: {}}, "additionalProperties": False}
    schema = {"type": "string", "pattern": pattern}
    valid = jsonschema_rs.validator_for(schema)
    for text in texts:
        matches = valid.is_valid(text)
        assert takes(schema, json.dumps(text, ensure_ascii=False)) == matches, text
        assert takes(names, json.dumps({text: 1}, ensure_ascii=False)) == matches, text


@pytest.mark.parametrize(
    "pattern",
    [
        *("^[[:alpha:]]$", "^[a-z&&[^b]]$", "^[a&&b]$", "^[a-z--b]$", "^[+--]$", "^[[]$", "^[~~a]$", "^[^[a]$"),
        *(r"^[\[a]$", r"^[\\[a]$", r"^\[[a]\]$", "^[a-c]$", r"^[&\&a]$"),
    ],
)
def test_a_class_of_a_pattern_holds_what_it_does_in_json_schema(pattern: str) -> None:
    held_as_json_schema_says(pattern, "a", "b", "x", "[", "]", ":", "&", "-", ",", "~", "\\", "x]", "a]", "[a]")


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (r"^[\w-\.]+@([\w-]+\.)+[\w-]{2,4}$", {"a-b.c@d-e.org": True, "a,b@d.org": False, "@d.org": False}),
        (r"^[.-\w]$", {"-": True, ".": True, "x": True, "/": False}),
        (r"^[\d-x]$", {"-": True, "7": True, "x": True, "w": False}),
        (r"^\d-\d$", {"1-2": True, "1": False}),
        (r"^[\\w-z]$", {"\\": True, "w": True, "x": True, "-": False}),
    ],
)
def test_a_hyphen_beside_a_class_is_a_character(pattern: str, texts: dict[str, bool]) -> None:
    for text, matches in texts.items():
        assert takes({"type": "string", "pattern": pattern}, json.dumps(text)) == matches, text


@pytest.mark.parametrize(
    "pattern",
    [
        *('^[^"]$', r"^[^\\]$", r'^[^\\/:*?"<>|]+$', "^[^ -~]$", r'^"(?:[^"\\]|\\.)*"$', r'^[^\n"\\]$', "^[^a]+$"),
        *(r"^[\x00-\x1f]$", r"^[\u0000-!#-\[\]-\uffff]$", "^[\0-!]$", r"^[^\u0022]$"),
    ],
)
def test_a_class_holds_no_quotation_mark_and_no_backslash_for_its_control_characters(pattern: str) -> None:
    texts = ('"', "\\", "\n", "\t", "\r", "a", "/", "é", "n", 'a"', "a\\", '"a"', '"\\""', '"""')
    held_as_json_schema_says(pattern, *texts)


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ({"exclusiveMinimum": 0, "maximum": 0.5}, "0"),
        ({"type": "integer", "maximum": 2**60}, str(2**60 + 1)),
        ({"prefixItems": [{"type": "integer"}], "additionalItems": False}, '["a"]'),
        ({"type": "string", "pattern": "^[a&&b]$"}, '"x"'),
        (DATE, '"2023-02-29"'),
        ({"anyOf": [{"items": {"$ref": "#/components/schemas/more~1kinds/0"}}]}, "[0]"),
    ],
)
def test_what_a_reference_leads_to_is_held_to_the_letter_wherever_it_stands(held: dict[str, Any], text: str) -> None:
    more = [{"exclusiveMinimum": 0, "maximum": 0.5}]
    schema = {"$ref": "#/components/schemas/A%20kind", "components": {"schemas": {"A kind": held, "more/kinds": more}}}
    assert not jsonschema_rs.is_valid(schema, json.loads(text), validate_formats=True)
    assert not takes(schema, text)


def test_a_number_that_is_not_enforced_is_found_behind_references() -> None:
    schema = {"$ref": "#/components/A", "components": {"A": {"properties": {"a": {"const": 2**53 + 1}}}}}
    with pytest.raises(SchemaError, match="beyond 2\\^53") as refused:
        COMPILER.compile(JsonSchema(schema, True))
    assert refused.value.pointer == "/components/A/properties/a/const"


@pytest.mark.parametrize("more", [False, True, {"type": "null"}])
def test_first_items_stay_beside_a_keyword_of_an_older_draft(more: object) -> None:
    schema = {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "null"}, "additionalItems": more}
    valid = jsonschema_rs.validator_for(schema)
    for text in ("[]", "[1]", "[null]", "[1, null]", "[1, 1]"):
        assert takes(schema, text) == valid.is_valid(json.loads(text)), text


def test_patterns_of_keys_that_become_the_same_all_count() -> None:
    """A class means the same with its hyphen escaped, as it is asked for."""
    patterns = {"^a[-b]$": {"type": "integer"}, r"^a[\-b]$": {"minimum": 3}}
    schema = {"type": "object", "patternProperties": patterns, "additionalProperties": False}
    assert takes(schema, '{"a-": 3}')
    assert not takes(schema, '{"a-": 2}')
    assert not takes(schema, '{"a-": "x"}')
