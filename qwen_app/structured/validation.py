"""Checks what a grammar cannot: schemas against their own draft, and finished answers against their schema."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError as BadSchema
from jsonschema.validators import validator_for

from qwen_app.errors import SchemaError
from qwen_app.structured.json_text import duplicate_keys
from qwen_app.structured.schema_check import Schema


def check_against_draft(schema: Schema) -> None:
    """Raise SchemaError where a keyword has a value that its draft does not know."""
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except BadSchema as error:
        pointer = "".join(f"/{part}" for part in error.absolute_path)
        raise SchemaError(f"The schema is wrong at {pointer or '/'}: {error.message[:300]}", pointer=pointer) from error


def validate_text(text: str, schema: Schema) -> str | None:
    """What is wrong with ``text`` as a document for ``schema``, or None."""
    try:
        document = json.loads(text)
        doubled = duplicate_keys(text)
    except (ValueError, RecursionError) as error:
        return f"The answer is not valid JSON: {error}."
    if doubled:
        return f"The key {doubled[0]!r} is there twice in one object."
    wrong = next(iter(validator_for(schema, default=Draft202012Validator)(schema).iter_errors(document)), None)
    return None if wrong is None else f"At {wrong.json_path}: {wrong.message[:300]}"
