"""What the visitor asks for in the JSON lab, and whether it can be asked."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.errors import AppError, RequestError
from qwen_app.messages import JsonSchema
from qwen_app.sandbox.checks import checks
from qwen_app.structured.schema_check import parse_schema
from qwen_app.ui.shared.strings import Texts


@dataclass(frozen=True, slots=True)
class JsonTask:
    """A prompt and a schema. ``constrained`` False asks in words alone, to compare with."""

    prompt: str
    schema: str
    strict: bool
    constrained: bool
    temperature: float
    max_tokens: int

    def checked(self, texts: Texts) -> JsonSchema:
        """The schema. Raises RequestError for what cannot be asked, SchemaError for what is no schema."""
        if not self.prompt.strip():
            raise RequestError(texts("prompt_missing"))
        return parse_schema(self.schema, strict=self.strict)


async def schema_problem(schema: str, strict: bool, user: str) -> AppError | None:
    """Why ``schema`` cannot be used, found without the model."""
    try:
        await checks().check_grammar(parse_schema(schema, strict=strict), user=user, thorough=True)
    except AppError as error:
        return error
    return None
