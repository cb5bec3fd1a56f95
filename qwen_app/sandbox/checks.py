"""The costly questions about a visitor's text, each asked in the sandbox under limits of its own."""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

from pydantic import JsonValue

from qwen_app.errors import OverBudget, SchemaError
from qwen_app.messages import GrammarSpec, JsonObject, JsonSchema, StringChoice, Tool, ToolCall, ToolChoice
from qwen_app.sandbox.pool import Limits, Sandbox, sandbox
from qwen_app.sandbox.tasks import GRAMMAR, TOOLS, CompilePayload, Refusal
from qwen_app.structured.schema_bounds import is_plain
from qwen_app.structured.schema_check import Schema, check_schema

COMPILE = Limits(cpu_s=2.0, memory_bytes=512 * 2**20)
VALIDATE = Limits(cpu_s=1.0)
CALL = Limits(cpu_s=1.0)
FEW_CHOICES = 100
FEW_TOOLS = 16
KNOWN_GRAMMARS = 512


class Checks:
    """Asks ``pool``. What was found of the last grammars is kept, so that a conversation asks once."""

    def __init__(self, pool: Sandbox) -> None:
        self._pool = pool
        self._compilable: OrderedDict[bytes, None] = OrderedDict()

    async def check_grammar(
        self,
        grammar: GrammarSpec | None,
        tools: Sequence[Tool] = (),
        choice: ToolChoice | None = None,
        *,
        user: str,
        thorough: bool = False,
    ) -> None:
        """Raises SchemaError for what cannot be enforced and OverBudget for what cannot be found out cheaply.

        What is plainly small is not asked: it compiles in no time, or is refused by whoever compiles it. ``thorough``
        asks all the same, and holds tools against the draft of JSON Schema too: for those who compile nothing.
        """
        for index, tool in enumerate(tools):
            if tool.strict or thorough:
                _check_parameters(tool, index)
        small = _is_small(grammar) and len(tools) <= FEW_TOOLS and all(is_plain(tool.parameters) for tool in tools)
        if small and not thorough:
            return
        choice = choice or ToolChoice("required")
        key = hashlib.blake2b(repr((grammar, tools, choice, thorough)).encode("utf-8", "surrogatepass")).digest()
        if key in self._compilable:
            self._compilable.move_to_end(key)
            return
        payload: CompilePayload = {
            "grammar": GRAMMAR.dump_python(grammar),
            "tools": TOOLS.dump_python(tuple(tools)),
            "choice": choice.mode,
            "chosen": choice.name,
            "thorough": thorough,
        }
        await self._refusable("compile_grammar", payload, user=user, limits=COMPILE)
        self._compilable[key] = None
        while len(self._compilable) > KNOWN_GRAMMARS:
            self._compilable.popitem(last=False)

    async def validate(self, text: str, schema: Schema, *, user: str) -> str | None:
        """What is wrong with ``text`` as a document for ``schema``, None where nothing is. Raises as above."""
        check_schema(schema)
        payload: JsonValue = {"text": text, "schema": cast(JsonValue, schema)}
        return cast(str | None, await self._refusable("validate", payload, user=user, limits=VALIDATE))

    async def complete(self, text: str, grammar: GrammarSpec, *, user: str) -> str:
        """The shortest text that makes an answer of ``grammar`` of ``text``; empty where it is one, or begins none.

        Raises OverBudget, and SchemaError for a grammar that cannot be enforced.
        """
        payload: JsonValue = {"text": text, "grammar": GRAMMAR.dump_python(grammar)}
        return str(await self._refusable("complete", payload, user=user, limits=COMPILE))

    async def call_tool(self, call: ToolCall, table: bytes = b"", *, user: str) -> str:
        """The result of a built-in tool as JSON text. ``table`` is the uploaded file that lookups are done in."""
        payload: JsonValue = {
            "name": call.name,
            "arguments": call.arguments,
            "table": base64.b64encode(table).decode(),
        }
        try:
            return str(await self._pool.run("call_tool", payload, user=user, limits=CALL))
        except OverBudget as over:
            return f'{{"error": "{over.message}"}}'

    async def read_table(self, data: bytes, *, user: str) -> tuple[tuple[str, ...], int]:
        """Columns and number of rows of an uploaded file. Raises ValueError with a sentence for people."""
        found = await self._pool.run("read_table", base64.b64encode(data).decode(), user=user, limits=CALL)
        if isinstance(found, dict) and "message" in found:
            raise ValueError(str(found["message"]))
        columns, rows = cast(dict[str, list[str]], found)["columns"], cast(dict[str, int], found)["rows"]
        return tuple(columns), rows

    async def _refusable(self, task: str, payload: object, *, user: str, limits: Limits) -> JsonValue:
        try:
            found = await self._pool.run(task, cast(JsonValue, payload), user=user, limits=limits)
        except OverBudget as over:
            over.param = "response_format"
            raise
        if isinstance(found, dict):
            refusal = cast(Refusal, found)
            raise SchemaError(refusal["message"], pointer=refusal["pointer"], param=refusal["param"])
        return found


def _check_parameters(tool: Tool, index: int) -> None:
    try:
        check_schema(tool.parameters)
    except SchemaError as refused:
        param = f"tools[{index}].function.parameters"
        raise SchemaError(refused.message, pointer=refused.pointer, param=param) from refused


def _is_small(grammar: GrammarSpec | None) -> bool:
    match grammar:
        case None | JsonObject():
            return True
        case JsonSchema(schema):
            return is_plain(schema)
        case StringChoice(options):
            return len(options) <= FEW_CHOICES and max(map(len, options)) <= FEW_CHOICES
        case _:
            return False


def checks() -> Checks:
    """On the process's own pool."""
    return _CHECKS


_CHECKS = Checks(sandbox())
