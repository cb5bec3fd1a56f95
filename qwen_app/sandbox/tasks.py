"""What can be asked of the sandbox: functions of JSON values, by name. What they need is imported once a child.

``checks`` is the other side of each: it makes the payload and reads the result. Payloads come from there alone.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Literal, TypedDict, cast

from pydantic import JsonValue, TypeAdapter

from qwen_app.errors import SchemaError
from qwen_app.messages import GrammarSpec, Tool, ToolCall, ToolChoice
from qwen_app.structured.cut_json import end_of_escape, respelled
from qwen_app.structured.grammars.byte_grammar import byte_compiler
from qwen_app.structured.schema_check import Schema
from qwen_app.structured.validation import check_against_draft, validate_text
from qwen_app.tools.builtin import builtin_tools, run_call
from qwen_app.tools.csv_table import read_csv

GRAMMAR = TypeAdapter[GrammarSpec | None](GrammarSpec | None)
TOOLS = TypeAdapter(tuple[Tool, ...])
COMPILER = byte_compiler()


class Refusal(TypedDict):
    """A SchemaError, or a ValueError whose sentence is for people."""

    message: str
    pointer: str
    param: str | None


class CompilePayload(TypedDict):
    grammar: JsonValue
    tools: JsonValue
    choice: Literal["auto", "none", "required", "named"]
    chosen: str | None
    thorough: bool


class ValidatePayload(TypedDict):
    text: str
    schema: Schema


class CompletePayload(TypedDict):
    text: str
    grammar: JsonValue


class CallPayload(TypedDict):
    """``table`` is the uploaded file in base64, empty where there is none."""

    name: str
    arguments: str
    table: str


def compile_grammar(payload: CompilePayload) -> Refusal | None:
    """Compile a grammar, or that of tools, on trial. Why it is refused, None where it is not."""
    grammar = GRAMMAR.validate_python(payload["grammar"])
    tools = TOOLS.validate_python(payload["tools"])
    try:
        if payload["thorough"]:
            _check_against_draft(tools)
        if tools:
            COMPILER.compile_tools(tools, ToolChoice(payload["choice"], payload["chosen"]), grammar)
        elif grammar is not None:
            COMPILER.compile(grammar)
    except SchemaError as refused:
        return {"message": refused.message, "pointer": refused.pointer, "param": refused.param}
    return None


def _check_against_draft(tools: Sequence[Tool]) -> None:
    for index, tool in enumerate(tools):
        try:
            check_against_draft(tool.parameters)
        except SchemaError as refused:
            param = f"tools[{index}].function.parameters"
            raise SchemaError(refused.message, pointer=refused.pointer, param=param) from refused


def validate(payload: ValidatePayload) -> Refusal | str | None:
    """What is wrong with an answer, None where nothing is; a Refusal where its schema cannot be checked."""
    try:
        return validate_text(payload["text"], payload["schema"])
    except SchemaError as refused:
        return {"message": refused.message, "pointer": refused.pointer, "param": refused.param}


def complete(payload: CompletePayload) -> Refusal | str:
    """What ends ``text`` as its grammar wants it; empty where it is whole, or is no beginning of such an answer."""
    wanted = GRAMMAR.validate_python(payload["grammar"])
    if wanted is None:
        return ""
    try:
        grammar = COMPILER.compile(wanted)
    except SchemaError as refused:
        return {"message": refused.message, "pointer": refused.pointer, "param": refused.param}
    state = grammar.new_state()
    text, ending = payload["text"], ""
    if state.strings() is not None:
        ending = end_of_escape(text)
        text = respelled(text + ending)
    try:
        for byte in text.encode():
            state.accept(grammar.byte_token(byte))
        return ending + grammar.text_of(state.completion_tokens()).decode()
    except (SchemaError, UnicodeDecodeError, KeyError):
        return ""


def call_tool(payload: CallPayload) -> str:
    """The result of a built-in tool as JSON text."""
    table = read_csv(base64.b64decode(payload["table"])) if payload["table"] else None
    tools = {one.tool.name: one for one in builtin_tools(table)}
    return run_call(ToolCall("", payload["name"], payload["arguments"]), tools)


def read_table(data: str) -> Refusal | dict[str, object]:
    """Columns and number of rows of an uploaded file, given in base64."""
    try:
        table = read_csv(base64.b64decode(data))
    except ValueError as refused:
        return {"message": str(refused), "pointer": "", "param": None}
    return {"columns": list(table.columns), "rows": table.row_count}


Task = Callable[[JsonValue], JsonValue]
TASKS: dict[str, Task] = {
    "compile_grammar": cast(Task, compile_grammar),
    "validate": cast(Task, validate),
    "complete": cast(Task, complete),
    "call_tool": cast(Task, call_tool),
    "read_table": cast(Task, read_table),
}
