"""Request bodies: that of ``/v1/chat/completions``, as OpenAI's OpenAPI description has it, and what all share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, StringConstraints, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from qwen_app.api.protocol.body_reading import MAX_VALUES

MAX_CHOICES = 4
MAX_STOPS = 16
MAX_IDS = MAX_VALUES
MAX_TOOLS = 128
MAX_TOKENS = 2**31 - 1
MAX_MESSAGES = 10_000
MAX_PARTS = 1000  # of one message: pieces of its content, or its tool calls
MAX_FIELDS = 200

Stop = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class Part(BaseModel):
    """Part of a body. Numbers are not made of strings, nor of true and false."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class Body(Part):
    """A request's whole body. Fields we do not know are kept apart, so that they can be counted or refused."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: object) -> object:
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise PydanticCustomError("too_many_fields", f"The body has more than {MAX_FIELDS} fields. Leave some out.")
        return value


@dataclass(frozen=True, slots=True)
class AtMost:
    """Marks a list: its length is checked before its items, and the first wrong item ends the reading.

    Without it a list of a million wrong items makes a million errors.
    """

    length: int

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        items = handler(source)
        bounds = {"max_length": self.length} | ({"fail_fast": True} if items["type"] == "list" else {})
        items = cast("CoreSchema", {**items, **bounds})
        return core_schema.no_info_before_validator_function(self._check, items)

    def _check(self, value: object) -> object:
        if isinstance(value, list | dict) and len(value) > self.length:
            raise PydanticCustomError("too_long", f"At most {self.length:,} items, not {len(value):,}")
        return value


class ContentPart(Part):
    type: str
    text: str | None = None
    refusal: str | None = None


class FunctionCall(Part):
    name: str
    arguments: str


class MessageToolCall(Part):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(Part):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[ContentPart], AtMost(MAX_PARTS)] | None = None
    tool_calls: Annotated[list[MessageToolCall], AtMost(MAX_PARTS)] | None = None
    tool_call_id: str | None = None


class FunctionDefinition(Part):
    name: Name
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class ToolDefinition(Part):
    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(Part):
    name: str


class NamedToolChoice(Part):
    type: Literal["function"]
    function: NamedFunction


class JsonSchemaFormat(Part):
    name: str = "answer"
    description: str | None = None
    schema_: dict[str, object] | None = Field(None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Part):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class StreamOptions(Part):
    include_usage: bool | None = None


class SamplingFields(Body):
    """What every endpoint that answers takes. ``None`` means the model's own default."""

    model: str
    stream: bool | None = False
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=1_000_000)
    min_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    user: str | None = Field(None, max_length=1000)


class CompletionFields(SamplingFields):
    """What chat and plain completions share."""

    stream_options: StreamOptions | None = None
    stop: Stop | Annotated[list[Stop], AtMost(1000)] | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    n: int | None = Field(1, ge=1, le=MAX_CHOICES)


class ChatRequest(CompletionFields):
    messages: Annotated[list[ChatMessage], AtMost(MAX_MESSAGES)] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS, description="wins over max_tokens")
    logprobs: bool | None = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: Annotated[list[ToolDefinition], AtMost(MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = True
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: leave out the oldest turns of a conversation that is too long, and report it"
    )
