"""The body of ``POST /v1/responses`` and what it asks for, in the engine's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.protocol.format_translation import grammar_of_format
from qwen_app.api.protocol.long_lists import converted
from qwen_app.api.protocol.request_bodies import (
    A_FUNCTION,
    ANOTHER_TOOL,
    IN_CHATS,
    MAX_MESSAGES,
    MAX_PARTS,
    MAX_TOKENS,
    MAX_TOOLS,
    OF_OTHERS,
    REFUSED,
    AtMost,
    ChatMessage,
    CloseCutCalls,
    ContentPart,
    FunctionCall,
    FunctionDefinition,
    JsonSchemaFormat,
    MessageToolCall,
    Name,
    OtherTool,
    Part,
    ResponseFormat,
    SamplingFields,
    ToolChoiceField,
    text_of_arguments,
    tool_kind,
)
from qwen_app.api.protocol.request_translation import (
    MessageSource,
    conversation_id,
    messages_of,
    sampling_of,
    text_of,
)
from qwen_app.api.protocol.tool_translation import offer_of, tools_of
from qwen_app.errors import RequestError
from qwen_app.messages import GenerationRequest, Message, PromptPolicy
from qwen_app.service import Service

MAX_METADATA = 16  # OpenAI's
CALL, RESULT = "_call", "_call_output"  # how types of items end
OF_SERVERS = ("reasoning", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "tool_search_output")


class InputItem(Part):
    """A message, a call the model made or a call's result. ``type`` may be left out for a message.

    Histories that another model began hold more: calls of tools that are no functions, which say in ``input``,
    ``action`` or ``operation`` what was asked of the caller, and calls that a server made and answered by itself.
    """

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | Annotated[list[ContentPart], AtMost(MAX_PARTS)] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Annotated[str, BeforeValidator(text_of_arguments)] = ""
    input: str | None = None
    action: dict[str, object] | None = None
    operation: dict[str, object] | None = None
    output: str | Annotated[list[ContentPart], AtMost(MAX_PARTS)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_a_shell(cls, value: object) -> object:
        """What a shell wrote comes in pieces that are no parts of a content; a local one's has its call's id as its
        own."""
        if isinstance(value, dict) and value.get("type") == "shell_call_output":
            return {**value, "output": text_of_arguments(value.get("output"))}
        if isinstance(value, dict) and value.get("type") == "local_shell_call_output":
            return {**value, "call_id": value.get("call_id") or value.get("id")}
        return value

    @property
    def is_call(self) -> bool:
        """Whether it is a call that the caller answers, in an item of its own."""
        return self.type == "function_call" or (self.type.endswith(CALL) and self.call_id is not None)

    @property
    def is_left_out(self) -> bool:
        """Whether it says nothing to this model: another's thoughts, or what happened on a server."""
        return self.type in OF_SERVERS or (self.type.endswith(CALL) and not self.is_call)

    @property
    def tool_name(self) -> str | None:
        return self.name if self.type == "function_call" else self.name or self.type.removesuffix(CALL)

    @property
    def call_text(self) -> str:
        """The arguments of a call, as text."""
        call_input = self.input or self.action or self.operation
        return self.arguments or text_of_arguments(call_input)


class FlatTool(Part):
    """A function. Some clients send it here in the form of a chat, one level below the type."""

    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: object) -> object:
        if isinstance(value, dict) and "name" not in value and isinstance(value.get("function"), dict):
            return {"type": value.get("type"), **value["function"]}
        return value


AnyFlatTool = Annotated[
    Annotated[FlatTool, Tag(A_FUNCTION)] | Annotated[OtherTool, Tag(ANOTHER_TOOL)], Discriminator(tool_kind)
]


class TextFormat(Part):
    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "answer"
    schema_: dict[str, object] | None = Field(None, alias="schema")
    strict: bool | None = None


class TextOptions(Part):
    format: TextFormat | None = None


FORMAT_HERE = "Here a format is asked for in text.format."
REFUSED_HERE = {
    **REFUSED,
    **OF_OTHERS,
    **dict.fromkeys(("response_format", "json_schema", "output_config.format", "output_format"), FORMAT_HERE),
    **dict.fromkeys(("structured_outputs", "guided_json"), FORMAT_HERE),
    **dict.fromkeys(("guided_regex", "guided_choice"), IN_CHATS),
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "Here the limit is called max_output_tokens."),
    "system": "Here it is called instructions.",
    "messages": "Here the conversation is called input.",
    "functions": "Send them as tools.",
    "n": "Send the request several times.",
    "logprobs": "Here they are asked for with top_logprobs.",
    "prompt": "This server keeps no prompts. Send its text as instructions.",
}


class ResponsesRequest(SamplingFields):
    refused: ClassVar[Mapping[str, str]] = REFUSED_HERE

    input: str | Annotated[list[InputItem], AtMost(MAX_MESSAGES)]
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    text: TextOptions | None = None
    tools: Annotated[list[AnyFlatTool], AtMost(MAX_TOOLS)] | None = None
    tool_choice: ToolChoiceField | None = None
    parallel_tool_calls: bool | None = True
    close_cut_calls: CloseCutCalls = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    include: Annotated[list[str], AtMost(MAX_PARTS)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Annotated[dict[str, str], AtMost(MAX_METADATA)] | None = None
    store: bool | None = Field(None, description="nothing is stored, whatever this says")
    previous_response_id: str | None = Field(None, description="not supported: nothing is stored")
    background: bool | None = Field(None, description="true is not supported: nothing is stored")

    @property
    def wants_logprobs(self) -> bool:
        return bool(self.top_logprobs) or "message.output_text.logprobs" in (self.include or ())


async def responses_request(service: Service, body: ResponsesRequest, context: RequestContext) -> GenerationRequest:
    """Raises RequestError for what this server cannot do, naming the field."""
    if body.previous_response_id is not None:
        raise RequestError(
            "This server keeps no responses. Send the whole conversation as input.", param="previous_response_id"
        )
    if body.background:
        raise RequestError("This server answers at once or not at all. Leave out background.", param="background")
    named = [
        (f"tools[{index}].name", _function(tool))
        for index, tool in enumerate(body.tools or ())
        if isinstance(tool, FlatTool)
    ]
    tools, choice = offer_of(tools_of(named), body.tool_choice, parallel=body.parallel_tool_calls is not False)
    items = len(body.input) if isinstance(body.input, list) else 1
    messages = await converted(items, _messages, body)
    return GenerationRequest(
        context.request_id,
        messages,
        sampling=sampling_of(
            body,
            service,
            max_tokens=body.max_output_tokens,
            logprobs=body.wants_logprobs,
            top_logprobs=body.top_logprobs or 0,
        ),
        user=context.caller.name,
        conversation_id=conversation_id(context.caller.name, messages),
        tools=tools,
        tool_choice=choice,
        close_cut_calls=bool(body.close_cut_calls),
        grammar=None if choice.forced else grammar_of_format(_format(body.text), "text.format"),  # a format is for text
        policy=PromptPolicy(overflow="trim" if body.truncation == "auto" else "refuse"),
    )


CHAT_PATHS = {
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "messages": "input",
}
CHAT_TOOL = ".function"  # between a tool and its name, or its parameters


def own_path(param: str) -> str:
    """``param``, a path in the body of a chat, as it is called here."""
    return CHAT_PATHS.get(param, param.replace(CHAT_TOOL, "", 1) if param.startswith("tools[") else param)


def _function(tool: FlatTool) -> FunctionDefinition:
    return FunctionDefinition(
        name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict
    )


def _format(text: TextOptions | None) -> ResponseFormat | None:
    if text is None or text.format is None:
        return None
    flat = text.format
    schema = JsonSchemaFormat(name=flat.name, schema=flat.schema_, strict=flat.strict)
    return ResponseFormat(type=flat.type, json_schema=schema)


def left_out(body: ResponsesRequest) -> list[str]:
    """The paths of the input's items that say nothing to this model, but for thoughts, which say so themselves."""
    items = enumerate(body.input) if isinstance(body.input, list) else ()
    return [f"input[{index}]" for index, item in items if item.is_left_out and item.type != "reasoning"]


def _messages(body: ResponsesRequest) -> tuple[Message, ...]:
    items = [InputItem(role="user", content=body.input)] if isinstance(body.input, str) else body.input
    sources: list[MessageSource] = []
    for index, item in enumerate(items):
        path = f"input[{index}]"
        turn = sources[-1] if sources and sources[-1].body.role == "assistant" else None
        if item.is_left_out:
            continue
        if turn is not None and item.is_call:
            sources[-1] = replace(turn, body=_with_call(turn.body, item, path), calls=path)
        elif turn is not None and turn.body.tool_calls and item.role == "assistant":
            sources[-1] = replace(turn, body=_with_text(turn.body, item, path))
        else:
            sources.append(MessageSource(_message(item, path), f"{path}.content", path, f"{path}.call_id"))
    messages = messages_of(sources)
    if body.instructions:
        messages = (Message("system", body.instructions), *messages)
    if not messages:
        raise RequestError("The input holds no message.", param="input")
    return messages


def _message(item: InputItem, path: str) -> ChatMessage:
    if item.type == "message":
        if item.role is None:
            raise RequestError("A message needs its role.", param=f"{path}.role")
        return ChatMessage(role=item.role, content=item.content)
    if item.is_call:
        return _with_call(ChatMessage(role="assistant"), item, path)
    if item.type.endswith(RESULT):
        if item.call_id is None:
            raise RequestError("An output needs the call_id it answers.", param=f"{path}.call_id")
        return ChatMessage(role="tool", content=item.output, tool_call_id=item.call_id)
    raise RequestError(
        f"Input items of type '{item.type}' are not read here. Send what they hold as messages, calls and outputs.",
        param=f"{path}.type",
    )


def _with_text(message: ChatMessage, item: InputItem, path: str) -> ChatMessage:
    """``message`` whose text goes on after its calls: results may follow only later, as they do for one message."""
    part = ContentPart(type="text", text=text_of(item.content, f"{path}.content"))
    if isinstance(message.content, list):
        message.content.append(part)  # as with calls
        return message
    said = [ContentPart(type="text", text=message.content)] if message.content else []
    return message.model_copy(update={"content": [*said, part]})


def _with_call(message: ChatMessage, item: InputItem, path: str) -> ChatMessage:
    if item.call_id is None or item.tool_name is None:
        raise RequestError("A function call needs call_id and name.", param=path)
    call = MessageToolCall(id=item.call_id, function=FunctionCall(name=item.tool_name, arguments=item.call_text))
    if message.tool_calls is None:
        return message.model_copy(update={"tool_calls": [call]})
    message.tool_calls.append(call)  # the list is ours: a copy for each call would be quadratic
    return message
