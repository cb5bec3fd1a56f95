"""Request bodies: that of ``/v1/chat/completions``, as OpenAI's OpenAPI description has it, and what all share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_CHOICES = 4
MAX_STOPS = 16
MAX_TOOLS = 128
MAX_TOKENS = 2**31 - 1

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
    def _whole_characters(cls, value: object) -> object:
        return without_surrogates(value)


def without_surrogates(value: object) -> object:
    """``value`` with half characters, which JSON can carry and UTF-8 cannot, turned into U+FFFD."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
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
    content: str | list[ContentPart] | None = None
    tool_calls: list[MessageToolCall] | None = None
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
    stop: Stop | list[Stop] | None = Field(None, max_length=1000)
    max_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    n: int | None = Field(1, ge=1, le=MAX_CHOICES)


class ChatRequest(CompletionFields):
    messages: list[ChatMessage] = Field(min_length=1, max_length=10_000)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS, description="wins over max_tokens")
    logprobs: bool | None = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: list[ToolDefinition] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = True
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: leave out the oldest turns of a conversation that is too long, and report it"
    )
