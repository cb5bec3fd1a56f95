"""The bodies of ``POST /v1/messages`` and ``/v1/messages/count_tokens``, as Anthropic's Messages API has them.

Blocks are read loosely, since clients send every field they know with them (``cache_control``, ``citations``); what of
them a text model can use is decided in ``message_input.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from qwen_app.api.protocol.request_bodies import (
    MAX_MESSAGES,
    MAX_PARTS,
    MAX_TOKENS,
    OF_OTHERS,
    REFUSED,
    AtMost,
    Body,
    CloseCutCalls,
    CompletionFields,
    Part,
    Stop,
)

MAX_TOOLS = 1000  # coding agents send those of every server they are connected to; what fits, the context decides

ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]


class BlockSource(Part):
    """Where the content of a document or an image is."""

    type: str = ""
    data: str | None = None
    content: str | Annotated[list[ResultBlock], AtMost(MAX_PARTS)] | None = None


class ResultBlock(Part):
    """A block within a tool's result or a search result."""

    type: str
    text: str | None = None
    title: str | None = None
    context: str | None = None
    tool_name: str | None = None
    source: str | BlockSource | None = None
    content: str | Annotated[list[ResultBlock], AtMost(MAX_PARTS)] | None = None


class ContentBlock(ResultBlock):
    """A block of a message: text, a call (``tool_use``), its result, or something this model cannot read."""

    id: str | None = None
    name: str | None = None
    input: dict[str, object] | None = None
    tool_use_id: str | None = None
    is_error: bool | None = None


class MessageParam(Part):
    role: Literal["user", "assistant", "system"]
    content: str | Annotated[list[ContentBlock], AtMost(MAX_PARTS)]


class ClientTool(Part):
    """A tool. Those of another ``type`` than ``custom`` run on Anthropic's side, or are known to its models alone."""

    type: str | None = None
    name: ToolName | None = None
    description: str | None = None
    input_schema: dict[str, object] | None = None
    strict: bool | None = None


class ToolUseChoice(Part):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class OutputFormat(Part):
    type: Literal["json_schema"]
    schema_: dict[str, object] = Field(alias="schema")


class OutputConfig(Part):
    format: OutputFormat | None = None


class CountTokensRequest(Body):
    """What a prompt is made of."""

    model: str
    messages: Annotated[list[MessageParam], AtMost(MAX_MESSAGES)] = Field(min_length=1)
    system: str | Annotated[list[ResultBlock], AtMost(MAX_PARTS)] | None = None
    tools: Annotated[list[ClientTool], AtMost(MAX_TOOLS)] | None = None
    tool_choice: ToolUseChoice | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = Field(None, description="the older name of output_config.format")


HINTS = {"user", "stream_options"}
OF_OPENAI = CompletionFields.model_fields.keys() | {"logprobs", "top_logprobs"}
FORMAT_HERE = "Here a format is asked for in output_config.format."
REFUSED_HERE = {
    **REFUSED,
    **OF_OTHERS,
    **dict.fromkeys(sorted(OF_OPENAI - HINTS), "Anthropic's API has no such field. Ask /v1/chat/completions."),
    **dict.fromkeys(("response_format", "json_schema", "text.format"), FORMAT_HERE),
    **dict.fromkeys(("structured_outputs", "guided_json"), FORMAT_HERE),
    "continue_final_message": "Here an answer goes on with the assistant's message at the end by itself.",
    "functions": "Send them as tools.",
    "instructions": "Here it is called system.",
    "n": "Send the request several times.",
    "stop": "Here they are called stop_sequences.",
}


class MessagesRequest(CountTokensRequest):
    refused: ClassVar[Mapping[str, str]] = REFUSED_HERE

    max_tokens: int = Field(ge=1, le=MAX_TOKENS, description="at most: less where the context has less room")
    stream: bool | None = False
    stop_sequences: Annotated[list[Stop], AtMost(1000)] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=1_000_000)
    close_cut_calls: CloseCutCalls = None
    thread: dict[str, object] | None = Field(None, description="not supported: nothing is stored")
    metadata: dict[str, object] | None = Field(None, description="a hint, and ignored")
