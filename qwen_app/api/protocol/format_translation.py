"""The formats that a request may ask of its answer, in all the forms that servers have made usual, as one grammar."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from qwen_app.api.protocol.request_bodies import CompletionFields, ResponseFormat, StructuredOutputs
from qwen_app.errors import RequestError, SchemaError
from qwen_app.messages import GrammarSpec, JsonObject, Regex, StringChoice
from qwen_app.structured.schema_check import json_schema

FORMAT = "response_format"
Wanted = tuple[str, GrammarSpec]  # the field that asks, and what it asks for


def grammar_of(body: CompletionFields) -> GrammarSpec | None:
    """What the answer must look like, None where nobody says. Raises RequestError and SchemaError at the field."""
    wanted = list(_wanted(body))
    if len(wanted) > 1:
        first, second = wanted[0][0], wanted[1][0]
        raise RequestError(f"'{first}' and '{second}' both give a format. Send one of them.", param=second)
    return wanted[0][1] if wanted else None


@contextmanager
def format_as_asked(body: CompletionFields) -> Iterator[None]:
    """What is refused of the format within is called as ``body`` calls it: engines know it by one name."""
    try:
        yield
    except RequestError as refused:
        if refused.param == FORMAT:
            refused.param = next((field for field, _ in _wanted(body)), FORMAT)
        raise


def _wanted(body: CompletionFields) -> Iterator[Wanted]:
    if (grammar := grammar_of_format(body.response_format)) is not None:
        yield FORMAT, grammar
    if body.structured_outputs is not None:
        yield from _structured(body.structured_outputs, "structured_outputs.")
    guided = StructuredOutputs(json=body.guided_json, regex=body.guided_regex, choice=body.guided_choice)
    yield from _structured(guided, "guided_")
    if body.json_schema is not None:
        yield "json_schema", _schema(body.json_schema, "json_schema")


def _structured(wanted: StructuredOutputs, prefix: str) -> Iterator[Wanted]:
    if wanted.json_ is not None:
        param = f"{prefix}json"
        yield param, _schema(_parsed(wanted.json_, param), param)
    if wanted.json_object:
        yield f"{prefix}json_object", JsonObject()
    if wanted.regex is not None:
        yield f"{prefix}regex", Regex(wanted.regex)
    if wanted.choice is not None:
        param = f"{prefix}choice"
        try:
            yield param, StringChoice(tuple(wanted.choice))
        except SchemaError as error:
            raise SchemaError(str(error), param=param) from error


def grammar_of_format(wanted: ResponseFormat | None, param: str = FORMAT) -> GrammarSpec | None:
    """``strict`` has to be asked for: else what cannot be enforced is let through, and the finished answer checked."""
    if wanted is None:
        return None
    nested = wanted.json_schema
    schema = nested.schema_ if nested and nested.schema_ is not None else wanted.schema_
    if wanted.type == "text":
        if schema is not None:
            raise RequestError("The format 'text' has no schema. Ask for 'json_schema'.", param=f"{param}.type")
        return None
    if schema is not None:
        return _schema(schema, param, strict=bool(nested and nested.strict))
    if wanted.type == "json_object":
        return JsonObject()
    where = "schema" if param == "text.format" else "json_schema.schema"
    raise RequestError("The format 'json_schema' needs a schema.", param=f"{param}.{where}")


def _parsed(schema: Mapping[str, object] | str, param: str) -> object:
    try:
        return json.loads(schema) if isinstance(schema, str) else schema
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"The schema is not valid JSON: {error}.", param=param) from error


def _schema(schema: object, param: str, *, strict: bool = False) -> GrammarSpec:
    try:
        return json_schema(schema, strict=strict)
    except SchemaError as error:
        raise SchemaError(str(error), pointer=error.pointer, param=param) from error
