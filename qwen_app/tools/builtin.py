"""Tools that are safe to run for anybody, to try function calling with."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from qwen_app.messages import Tool, ToolCall
from qwen_app.tools.calculator import calculate
from qwen_app.tools.csv_table import CsvTable
from qwen_app.tools.units import UNITS, convert

LOOKUP = "lookup_table"
LIMIT_RESULT_CHARS = 200_000
CANNED_WEATHER = {
    "beijing": (4, "sunny"),
    "shanghai": (11, "light rain"),
    "london": (8, "overcast"),
    "paris": (9, "cloudy"),
    "new york": (6, "windy"),
}
CANNED_NOTE = "Invented data for demonstration, not a real weather report."

Arguments = Mapping[str, object]  # of a call, as the model wrote them
Property = dict[str, object]  # the JSON Schema of one argument


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """``run`` takes the arguments and returns a JSON value, or raises ValueError with a sentence for the model."""

    tool: Tool
    run: Callable[[Arguments], object]


def builtin_tools(
    table: CsvTable | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> tuple[BuiltinTool, ...]:
    """All of them; the lookup is there when a ``table`` was uploaded. ``now`` returns an aware time."""
    tools = [_calculator(), _clock(now), _converter(), _weather()]
    return tuple(tools if table is None else [*tools, _lookup(table)])


def run_call(call: ToolCall, tools: Mapping[str, BuiltinTool]) -> str:
    """The result of ``call`` as JSON text; what went wrong is a result too, so that the model can mend its call."""
    try:
        chosen = tools[call.name]
        arguments = json.loads(call.arguments)
        if not isinstance(arguments, dict):
            raise ValueError("The arguments must be a JSON object.")
        result = chosen.run(arguments)
    except KeyError as error:
        result = {"error": f"There is no tool or argument {error}."}
    except (ValueError, TypeError, OverflowError) as error:
        result = {"error": str(error)}
    text = json.dumps(result, ensure_ascii=False)
    return text if len(text) <= LIMIT_RESULT_CHARS else json.dumps({"error": "The result is too long."})


def _tool(name: str, description: str, required: tuple[str, ...] = (), **properties: Property) -> Tool:
    parameters: dict[str, object] = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return Tool(name, description, parameters)


def _text(description: str) -> Property:
    return {"type": "string", "description": description}


def _number(value: object) -> float:
    if not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is not a number.")
    return float(value)


def _calculator() -> BuiltinTool:
    tool = _tool(
        "calculate",
        "Calculate an arithmetic expression exactly.",
        ("expression",),
        expression=_text("such as (3 + 4) * 2 ** 8 or sqrt(2)"),
    )
    return BuiltinTool(tool, lambda arguments: {"result": calculate(str(arguments["expression"]))})


def _clock(now: Callable[[], datetime]) -> BuiltinTool:
    tool = _tool(
        "current_time",
        "Tell the current date and time.",
        timezone=_text("an IANA name such as Asia/Shanghai; UTC when left out"),
    )

    def run(arguments: Arguments) -> object:
        name = str(arguments.get("timezone") or "UTC")
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"Unknown time zone {name!r}. Use an IANA name such as Asia/Shanghai.") from error
        time = now().astimezone(zone)
        return {"time": time.isoformat(timespec="seconds"), "timezone": name, "weekday": f"{time:%A}"}

    return BuiltinTool(tool, run)


def _converter() -> BuiltinTool:
    tool = _tool(
        "convert_units",
        "Convert a measure from one unit to another.",
        ("value", "from_unit", "to_unit"),
        value={"type": "number"},
        from_unit={"enum": list(UNITS)},
        to_unit={"enum": list(UNITS)},
    )

    def run(arguments: Arguments) -> object:
        result = convert(_number(arguments["value"]), str(arguments["from_unit"]), str(arguments["to_unit"]))
        if not math.isfinite(result):
            raise ValueError("The result is not a finite number.")
        return {"value": float(f"{result:.12g}"), "unit": arguments["to_unit"]}

    return BuiltinTool(tool, run)


def _weather() -> BuiltinTool:
    tool = _tool(
        "example_weather",
        f"Weather of a city, as an example. {CANNED_NOTE} Cities: {', '.join(CANNED_WEATHER)}.",
        ("city",),
        city=_text("a city's English name"),
    )

    def run(arguments: Arguments) -> object:
        city = str(arguments["city"]).strip()
        if city.casefold() not in CANNED_WEATHER:
            raise ValueError(f"There is no example weather for {city!r}. Try {', '.join(CANNED_WEATHER)}.")
        celsius, sky = CANNED_WEATHER[city.casefold()]
        return {"city": city, "celsius": celsius, "sky": sky, "note": CANNED_NOTE}

    return BuiltinTool(tool, run)


def lookup_definition(columns: Sequence[str]) -> Tool:
    """The lookup in a table of these columns."""
    return _tool(
        LOOKUP,
        "Find rows of the uploaded table in which a column contains a text.",
        ("column", "contains"),
        column={"enum": list(columns)},
        contains=_text("the text to look for"),
    )


def _lookup(table: CsvTable) -> BuiltinTool:
    def run(arguments: Arguments) -> object:
        rows = table.lookup(str(arguments["column"]), str(arguments["contains"]))
        return {"rows": rows, "count": len(rows)}

    return BuiltinTool(lookup_definition(table.columns), run)
