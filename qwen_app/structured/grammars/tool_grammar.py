"""The grammar of answers that may, must or must not call tools, in Qwen2.5's format.

The wrapper is fixed to the character and the name is one of the tools'; arguments follow the tool's schema. Where a
tool is not ``strict``, as is usual, what of its schema cannot be enforced is left to whoever takes the call; where it
is, all of the schema is enforced or the request refused. Where the tags are tokens of their own, the token is legal
beside its spelling: llguidance counts every added token of the form ``<...>`` as special, which is no part of any text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from qwen_app.errors import SchemaError
from qwen_app.messages import GrammarSpec, Tool, ToolCall, ToolChoice
from qwen_app.structured.closing.minimal_instance import (
    max_forced_text,
    minimal_instance,
    number_steps,
    open_ended,
    string_completions,
)
from qwen_app.structured.grammars.grammar_source import (
    GrammarSource,
    check_enforceable,
    checked,
    enforceable_part,
    loosening_for,
    source_of,
    with_options,
)
from qwen_app.structured.grammars.loosening import Loosening
from qwen_app.structured.schema_check import LIMIT_BYTES, Schema, json_schema
from qwen_app.structured.vocabulary import Vocabulary
from qwen_app.tools.prompt_format import CALL_CLOSE, CALL_OPEN, call_text

TOOLS_LIMIT = 128
PLAIN_KEYWORDS = {"type", "properties", "required", "title", "description", "$schema", "$defs", "definitions"}


def tools_source(
    tools: Sequence[Tool], choice: ToolChoice, answer: GrammarSpec | None, vocabulary: Vocabulary
) -> GrammarSource:
    """The grammar for ``choice``; ``answer`` is what choice ``auto`` may write in place of calls, None for any text.

    Raises SchemaError with ``tools[i].function.parameters`` as its param when a strict tool's schema cannot be
    enforced.
    """
    loosening = loosening_for(vocabulary)
    enforced = [
        (tool.name, *_arguments_schema(tool, index, vocabulary, loosening)) for index, tool in chosen(tools, choice)
    ]
    schemas = [(name, schema) for name, schema, _ in enforced]
    text = call_grammar(
        [(name, "%json " + json.dumps(with_options(schema, strict=exact))) for name, schema, exact in enforced],
        choice,
        open_id=vocabulary.token_id(CALL_OPEN),
        close_id=vocabulary.token_id(CALL_CLOSE),
        answer=None if answer is None else _answer_rule(answer, vocabulary),
    )
    instance = None if choice.mode == "auto" else minimal_call(schemas)
    source = GrammarSource(
        text,
        minimal_instance=None if instance is None else instance.encode(),
        max_forced_text=None if any(open_ended(schema) for _, schema in schemas) else max_forced_call(schemas).encode(),
        string_completions=tuple(text for _, schema in schemas for text in string_completions(schema)),
        number_steps=tuple(step for _, schema in schemas for step in number_steps(schema)),
        json_from=CALL_OPEN.encode() if answer is None else b"",
    )
    return checked(source, vocabulary, "This set of tools")


def _answer_rule(answer: GrammarSpec, vocabulary: Vocabulary) -> str:
    source = source_of(answer, vocabulary)
    if source.schema is None:
        raise SchemaError("Beside tools an answer can be held to a JSON Schema, not to a regex or a choice.")
    return "%json " + json.dumps(with_options(source.schema, strict=source.exact))


def chosen(tools: Sequence[Tool], choice: ToolChoice) -> list[tuple[int, Tool]]:
    """The tools that may be called, each with its place in the request. Raises SchemaError when there is none."""
    numbered = list(enumerate(tools))
    if len(numbered) > TOOLS_LIMIT:
        raise SchemaError(f"At most {TOOLS_LIMIT} tools can be offered; {len(numbered)} were given.", param="tools")
    if choice.mode == "named":
        numbered = [(index, tool) for index, tool in numbered if tool.name == choice.name]
    if not numbered:
        named = f"There is no tool called {choice.name!r} to choose." if choice.mode == "named" else "There is no tool."
        raise SchemaError(named, param="tool_choice")
    return numbered


def unbound(tools: Sequence[Tool]) -> tuple[Tool, ...]:
    """``tools`` with any object as arguments where they are not strict: for sets that are no grammar as they are."""
    return tuple(tool if tool.strict else replace(tool, parameters={"type": "object"}) for tool in tools)


def _arguments_schema(tool: Tool, index: int, vocabulary: Vocabulary, loosening: Loosening) -> tuple[Schema, bool]:
    """The schema that a tool's arguments are held to, and whether it is the tool's own to the letter.

    Raises SchemaError with the tool's place in the request where a strict tool's cannot be.
    """
    if not tool.strict:
        return _enforceable_arguments(tool, vocabulary, loosening)
    try:
        schema = _closed(_of_object(json_schema(tool.parameters).schema))
        check_enforceable(schema, vocabulary)
    except SchemaError as error:
        param = f"tools[{index}].function.parameters"
        raise SchemaError(str(error), pointer=error.pointer, param=param) from error
    return schema, True


def _of_object(schema: Schema) -> Schema:
    """``schema`` for what arguments always are. Raises SchemaError where it allows none."""
    types = schema.get("type", "object")
    if types != "object" and not (isinstance(types, list) and "object" in types):
        raise SchemaError(f"A tool's arguments are an object, not of type {json.dumps(types)}.", pointer="/type")
    return {**schema, "type": "object"}


def _enforceable_arguments(tool: Tool, vocabulary: Vocabulary, loosening: Loosening) -> tuple[Schema, bool]:
    if len(json.dumps(tool.parameters)) > LIMIT_BYTES:
        return {"type": "object"}, False
    schema = {**tool.parameters, "type": "object"}
    whole, exact = enforceable_part(_closed(schema), vocabulary, loosening)
    return {**whole, "type": "object"}, exact


def _closed(schema: Schema) -> Schema:
    """A tool that lists its arguments takes no others, unless its schema says more than plain ones do."""
    if "properties" in schema and schema.keys() <= PLAIN_KEYWORDS:
        return {**schema, "additionalProperties": False}
    return schema


def call_grammar(
    named_schemas: Sequence[tuple[str, str]],
    choice: ToolChoice,
    *,
    open_id: int | None,
    close_id: int | None,
    answer: str | None,
) -> str:
    """Lark text for llguidance. ``named_schemas`` are tool names with their schemas as ``%json`` bodies.

    ``answer`` is the body of a rule for what may be written in place of a call; without it any text may come, and may
    also come before the first call. It counts for choice ``auto`` alone: ``required`` and ``named`` begin with a call.
    """
    spelled, token = json.dumps(CALL_OPEN), "" if open_id is None else f"<[{open_id}]>"
    close = json.dumps(CALL_CLOSE) if close_id is None else f"(<[{close_id}]> | {json.dumps(CALL_CLOSE)})"
    repeats = choice.parallel and choice.mode != "named"
    more = f"({json.dumps(chr(10))} open body)*" if repeats else '""'
    rules = [
        f"open: {spelled}" + (f" | {token}" if token else ""),
        f"body: {json.dumps(chr(10))} call {json.dumps(chr(10))} {close}",
        "call: " + " | ".join(f"call_{number}" for number in range(len(named_schemas))),
        f"more: {more}",
    ]
    for number, (name, schema) in enumerate(named_schemas):
        head = json.dumps(f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": ', ensure_ascii=False)
        rules += [f'call_{number}: {head} args_{number} "}}"', f"args_{number}: {schema}"]
    if choice.mode != "auto":
        rules.append("start: open body more")
    elif answer is not None:
        rules += ["start: answer | open body more", f"answer: {answer}"]
    else:
        rules += _free_text(spelled, token)
    return "%llguidance {}\n" + "\n".join(rules) + "\n"


def _free_text(spelled: str, token: str) -> list[str]:
    """Text that ends where a call opens, by the tag's token or by its spelling."""
    by_token = f" | TEXT {token} body more" if token else ""
    return [
        f"start: TEXT | spelled body more{by_token}",
        f"spelled[lazy]: ANY {spelled}",
        r"ANY: /(.|\n)*/",
        rf"TEXT: ANY & ~/(.|\n)*{CALL_OPEN}(.|\n)*/",
    ]


def minimal_call(tools: Sequence[tuple[str, Schema]]) -> str | None:
    """A short call, probably legal."""
    instances = [(name, minimal_instance(schema)) for name, schema in tools]
    calls = [call_text(ToolCall("", name, instance)) for name, instance in instances if instance is not None]
    return min(calls, key=len, default=None)


def max_forced_call(tools: Sequence[tuple[str, Schema]]) -> str:
    """The most that the beginning of a call can force."""
    return max((call_text(ToolCall("", name, max_forced_text(schema))) for name, schema in tools), key=len)
