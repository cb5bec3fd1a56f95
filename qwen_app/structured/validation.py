"""Checks what a grammar cannot: schemas against their own draft, and finished answers against their schema.

By jsonschema-rs, which here fetches nothing. Its regular expressions take linear time, or with look-around and back
references a bounded number of steps. A schema may still be written so that checking takes for ever (alternatives below
alternatives): a visitor's is checked in the sandbox.
"""

from __future__ import annotations

import json
import math
import sys

import jsonschema_rs

from qwen_app.errors import SchemaError
from qwen_app.structured.json_text import duplicate_keys
from qwen_app.structured.schema_bounds import escape
from qwen_app.structured.schema_check import Schema

LIMIT_CHARS = 300  # of a sentence
PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)  # what takes more steps counts as no match


def check_against_draft(schema: Schema) -> None:
    """Raise SchemaError where a keyword has a value that its draft does not know, or that cannot be checked."""
    _validator(schema)


def validate_text(text: str, schema: Schema) -> str | None:
    """What is wrong with ``text`` as a document for ``schema``, or None. Raises SchemaError as above."""
    try:
        document = json.loads(text, parse_float=_finite, parse_constant=_refuse)
        doubled = duplicate_keys(text)
    except (ValueError, RecursionError) as error:
        return f"The answer is not valid JSON: {error}."
    if doubled:
        return f"The key {doubled[0]!r} is there twice in one object."
    try:
        wrong = next(iter(_validator(schema).iter_errors(document)), None)
    except (ValueError, RecursionError) as error:
        return f"The answer cannot be checked: {str(error)[:LIMIT_CHARS]}."
    return None if wrong is None else f"At {_json_path(wrong.instance_path)}: {wrong.message[:LIMIT_CHARS]}"


def _finite(digits: str) -> float:
    """A number beyond what floats hold is JSON all the same: the largest there is stands for it."""
    number = float(digits)
    return number if math.isfinite(number) else math.copysign(sys.float_info.max, number)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _validator(schema: Schema) -> jsonschema_rs.Validator:
    """Raises SchemaError for what the draft does not allow and for references that lead nowhere or elsewhere:
    ``offline`` keeps the library from asking the network for them."""
    try:
        return jsonschema_rs.validator_for(schema, pattern_options=PATTERNS, offline=True)
    except jsonschema_rs.ValidationError as error:
        pointer = "".join(f"/{escape(str(part))}" for part in error.instance_path)
        message = error.message[:LIMIT_CHARS]
        raise SchemaError(f"The schema is wrong at {pointer or '/'}: {message}", pointer=pointer) from error
    except (jsonschema_rs.ReferencingError, ValueError, RecursionError) as error:
        raise SchemaError(f"The schema cannot be checked: {str(error)[:LIMIT_CHARS]}") from error


def _json_path(place: list[str | int]) -> str:
    """As in RFC 9535: ``$.items[0].name``."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
