"""Safe for anybody: what a model or a stranger writes as arguments must never run, hang or crash."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwen_app.messages import ToolCall, ToolChoice
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.tools.builtin import CANNED_NOTE, builtin_tools, run_call
from qwen_app.tools.calculator import FUNCTIONS, LIMIT_BITS, LIMIT_DIGITS, OPERATORS, Operation, calculate
from qwen_app.tools.csv_table import LIMIT_BYTES, LIMIT_CELL_CHARS, LIMIT_FOUND, LIMIT_FOUND_CHARS, read_csv
from qwen_app.tools.units import UNITS, convert

PEOPLE = read_csv("name,city\nAda,London\nBo,北京\nCy,\n".encode())
TOOLS = {one.tool.name: one for one in builtin_tools(PEOPLE, now=lambda: datetime(2026, 3, 1, 12, 0, tzinfo=UTC))}


def run(name: str, **arguments: Any) -> Any:
    return json.loads(run_call(ToolCall("1", name, json.dumps(arguments)), TOOLS))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2 ^ 10", 1024),
        ("-2 ** 2", -4),
        ("7 // 2 + 7 % 2", 4),
        ("6 × 7 ÷ 2", 21),
        ("sqrt(16) + max(1, 2, 3)", 7),
        ("round(2 / 3, 2)", 0.67),
        ("cos(pi)", -1),
        ("2 ** 100", 2**100),
    ],
)
def test_calculator(expression: str, value: float) -> None:
    assert math.isclose(calculate(expression), value)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "1 +",
        "__import__('os').system('true')",
        "().__class__",
        "'a' * 3",
        "[1] * 3",
        "True + 1",
        "x",
        "lambda: 1",
        "9 ** 9 ** 9",
        "10 ** 100000",
        "2 ** -(10 ** 9)",
        "1 / 0",
        "(-1) ** 0.5",
        "sqrt(-1)",
        "exp(10000)",
        "1e308 * 10",
        "sqrt()",
        "sqrt(1, 2)",
        "max(key=1)",
        "1" * 400,
        "-" * 200 + "1",
        "1 if 1 else 2",
        "1 < 2",
        "1j",
    ],
)
def test_calculator_refuses_with_a_sentence(expression: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        calculate(expression)


@given(st.text(alphabet="0123456789+-*/%^().,e sqrtpimax", max_size=40))
def test_calculator_takes_any_text(expression: str) -> None:
    with contextlib.suppress(ValueError):
        assert math.isfinite(calculate(expression))


NUMBERS = st.sampled_from(["0", "1", "-1", "9", "0.5", "1e300", "1e-300", "9" * 60, "-999999999", "2**4000", "pi"])
CALLS = st.sampled_from([*FUNCTIONS])
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner).map(
            lambda three: "({}{}{})".format(*three)
        )
        | st.tuples(CALLS, st.lists(inner, max_size=3)).map(lambda call: f"{call[0]}({','.join(call[1])})")
    ),
    max_leaves=12,
)


def size_of(number: float) -> int:
    return number.bit_length() if isinstance(number, int) else 64


@given(EXPRESSIONS)
@example("round(1,-999999999)")
@example("round(2**4000,-(2**4000))")
@example("round(0.5,9**99)")
@example("(2**4000)**(2**4000)")
@example("0**(2**4000)")
@example("2**-(2**4000)")
@example("max(" + "1," * 140 + "1)")
def test_any_expression_ends_within_bounded_work(expression: str) -> None:
    """Counted in operations and in bits of what goes into them and comes out, which no clock can blur."""
    carried_out: list[str] = []

    def counting(name: str, operation: Operation) -> Operation:
        def run(*numbers: float) -> float:
            carried_out.append(name)
            assert max(map(size_of, numbers)) <= LIMIT_BITS
            if name == "round":
                assert all(abs(digits) <= LIMIT_DIGITS for digits in numbers[1:])
            if name == "Pow" and all(isinstance(number, int) for number in numbers):
                assert size_of(numbers[0]) * abs(numbers[1]) <= LIMIT_BITS
            result = operation.run(*numbers)
            assert isinstance(result, complex) or size_of(result) <= LIMIT_BITS + 1
            return result

        return dataclasses.replace(operation, run=run)

    operators = {kind: counting(kind.__name__, operation) for kind, operation in OPERATORS.items()}
    functions = {name: counting(name, operation) for name, operation in FUNCTIONS.items()}
    with patch.dict(OPERATORS, operators), patch.dict(FUNCTIONS, functions), contextlib.suppress(ValueError):
        calculate(expression)
    assert len(carried_out) <= len(expression)


@pytest.mark.parametrize(
    "arguments",
    [
        {"value": 10**400, "from_unit": "km", "to_unit": "m"},
        {"value": 1e308, "from_unit": "km", "to_unit": "mm"},
        {"value": "9" * 10_000, "from_unit": "km", "to_unit": "mm"},
        {"value": "nan", "from_unit": "C", "to_unit": "F"},
    ],
)
def test_measures_beyond_all_numbers_are_refused(arguments: dict[str, Any]) -> None:
    assert "error" in run("convert_units", **arguments)


def test_time_in_a_zone() -> None:
    assert run("current_time", timezone="Asia/Shanghai") == {
        "time": "2026-03-01T20:00:00+08:00",
        "timezone": "Asia/Shanghai",
        "weekday": "Sunday",
    }
    assert run("current_time")["timezone"] == "UTC"
    for zone in ("Mars/Base", "../../etc/passwd", "/etc/localtime"):
        assert "Unknown time zone" in run("current_time", timezone=zone)["error"]


def test_units() -> None:
    assert run("convert_units", value=100, from_unit="C", to_unit="F") == {"value": 212.0, "unit": "F"}
    assert run("convert_units", value=1, from_unit="mi", to_unit="km") == {"value": 1.609344, "unit": "km"}
    assert "same thing" in run("convert_units", value=1, from_unit="kg", to_unit="km")["error"]
    assert "Unknown unit" in run("convert_units", value=1, from_unit="stone", to_unit="km")["error"]


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.floats(-1e6, 1e6))
def test_units_there_and_back(source: str, target: str, value: float) -> None:
    try:
        there = convert(value, source, target)
    except ValueError:
        return
    assert math.isclose(convert(there, target, source), value, rel_tol=1e-9, abs_tol=1e-6)


def test_the_weather_says_that_it_is_invented() -> None:
    assert run("example_weather", city="Paris")["note"] == CANNED_NOTE
    assert CANNED_NOTE in TOOLS["example_weather"].tool.description
    assert "no example weather" in run("example_weather", city="Atlantis")["error"]


def test_lookup() -> None:
    assert run("lookup_table", column="city", contains="北") == {"rows": [{"name": "Bo", "city": "北京"}], "count": 1}
    assert run("lookup_table", column="name", contains="ADA")["count"] == 1
    assert "no column" in run("lookup_table", column="age", contains="1")["error"]
    assert "lookup_table" not in {one.tool.name for one in builtin_tools()}


@pytest.mark.parametrize(
    ("data", "columns", "rows"),
    [
        (b"a,b\n1,2\n", ("a", "b"), 1),
        (b"\xef\xbb\xbfa;b\r\n1;2\r\n\r\n", ("a", "b"), 1),
        (b'a\tb\n"x ""y""\nz"\t2\n3', ("a", "b"), 2),
        ("姓名,城市\n李雷,上海".encode("gb18030"), ("姓名", "城市"), 1),
        (b"only\n", ("only",), 0),
    ],
)
def test_csv(data: bytes, columns: tuple[str, ...], rows: int) -> None:
    table = read_csv(data)
    assert table.columns == columns
    assert table.row_count == len(list(table.rows())) == rows
    assert all(len(row) == len(columns) for row in table.rows())


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a,a\n", b"a,\n1,2", b"\0\1\2", b"x" * (LIMIT_BYTES + 1)])
def test_csv_refuses_with_a_sentence(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_csv(data)


@given(st.binary(max_size=200))
def test_csv_takes_any_bytes(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert read_csv(data).columns


def test_a_lookup_returns_a_bounded_number_of_rows_and_characters() -> None:
    table = read_csv(b"a\n" + b"x\n" * 1000)
    assert len(table.lookup("a", "")) == LIMIT_FOUND
    wide = read_csv(b"a,b\n" + (b"x," + b"y" * 100_000 + b"\n") * 15)
    found = wide.lookup("a", "x")
    assert len(found) == LIMIT_FOUND or sum(map(len, map(str, found))) < 2 * LIMIT_FOUND_CHARS
    assert max(len(cell) for row in found for cell in row.values()) == LIMIT_CELL_CHARS


@pytest.mark.parametrize("arguments", ["", "[]", "null", "{", '{"expression": ', "{}", '{"value": "x"}'])
@pytest.mark.parametrize("name", [*TOOLS, "no_such_tool"])
def test_whatever_is_wrong_with_a_call_is_a_result(name: str, arguments: str) -> None:
    result = json.loads(run_call(ToolCall("1", name, arguments), TOOLS))
    assert "error" in result or (name == "current_time" and arguments in ("{}", '{"value": "x"}'))


@pytest.mark.slow
def test_their_schemas_are_enforced_to_the_letter(qwen: GrammarCompiler) -> None:
    tools = [one.tool for one in TOOLS.values()]
    assert qwen.compile_tools(tools, ToolChoice("required")).source.exact
