"""What the visitor asks for in the JSON lab, and whether it can be asked."""

from __future__ import annotations

import asyncio
import functools
import json
from dataclasses import dataclass

from qwen_app.errors import RequestError, SchemaError
from qwen_app.messages import GrammarSpec
from qwen_app.structured.grammars.byte_grammar import byte_compiler
from qwen_app.structured.schema_check import Schema, parse_schema
from qwen_app.ui.shared.strings import Texts

_compiler = functools.cache(byte_compiler)


@dataclass(frozen=True, slots=True)
class JsonTask:
    """A prompt and a schema. ``constrained`` False asks in words alone, to compare with."""

    prompt: str
    schema: str
    strict: bool
    constrained: bool
    temperature: float
    max_tokens: int

    def checked_schema(self, texts: Texts) -> Schema:
        """The schema, parsed. Raises RequestError for what cannot be asked, SchemaError for what is no schema."""
        if not self.prompt.strip():
            raise RequestError(texts("prompt_missing"))
        return parse_schema(self.schema)

    def spec(self) -> GrammarSpec:
        """The schema without its line breaks, as the API hands it on. Raises SchemaError."""
        return GrammarSpec("json_schema", json.dumps(parse_schema(self.schema), ensure_ascii=False), self.strict)


async def schema_problem(schema: str, strict: bool) -> SchemaError | None:
    """Why ``schema`` cannot be used, found without the model."""
    try:
        await asyncio.to_thread(_compiler().compile, GrammarSpec("json_schema", schema, strict))
    except SchemaError as error:
        return error
    return None
