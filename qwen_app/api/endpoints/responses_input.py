"""The body of ``POST /v1/responses`` and what it asks for, in the engine's terms."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from qwen_app.api.access.request_guard import Visit
from qwen_app.api.protocol.schema import (
    MAX_TOKENS,
    MAX_TOOLS,
    ChatMessage,
    ContentPart,
    FunctionCall,
    FunctionDefinition,
    JsonSchemaFormat,
    MessageToolCall,
    Name,
    NamedFunction,
    NamedToolChoice,
    Part,
    ResponseFormat,
    SamplingFields,
    ToolDefinition,
)
from qwen_app.api.protocol.translate import (
    conversation_id,
    grammar_of,
    messages_of,
    sampling_of,
    tool_choice_of,
    tools_of,
)
from qwen_app.errors import RequestError
from qwen_app.messages import GenerationRequest, Message, PromptPolicy
from qwen_app.service import Service


class InputItem(Part):
    """A message, a call the model made or a call's result. ``type`` may be left out for a message."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[ContentPart] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[ContentPart] | None = None


class FlatTool(Part):
    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FlatToolChoice(Part):
    type: Literal["function"]
    name: str


class TextFormat(Part):
    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "answer"
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class TextOptions(Part):
    format: TextFormat | None = None


class ResponsesRequest(SamplingFields):
    input: str | list[InputItem]
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    text: TextOptions | None = None
    tools: list[FlatTool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: Literal["none", "auto", "required"] | FlatToolChoice | None = None
    parallel_tool_calls: bool | None = True
    top_logprobs: int | None = Field(None, ge=0, le=20)
    include: list[str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = Field(None, description="nothing is stored, whatever this says")
    previous_response_id: str | None = Field(None, description="not supported: nothing is stored")
    background: bool | None = Field(None, description="true is not supported: nothing is stored")

    @property
    def wants_logprobs(self) -> bool:
        return bool(self.top_logprobs) or "message.output_text.logprobs" in (self.include or ())


def responses_request(service: Service, body: ResponsesRequest, visit: Visit) -> GenerationRequest:
    if body.previous_response_id is not None:
        raise RequestError(
            "This server keeps no responses. Send the whole conversation as input.", param="previous_response_id"
        )
    if body.background:
        raise RequestError("This server answers at once or not at all. Leave out background.", param="background")
    tools = tools_of([_tool(tool) for tool in body.tools or ()], path="tools[{}].name")
    given = body.tool_choice
    if isinstance(given, FlatToolChoice):
        choice = NamedToolChoice(type="function", function=NamedFunction(name=given.name))
    tool_choice = tool_choice_of(
        choice if isinstance(given, FlatToolChoice) else given, tools, parallel=body.parallel_tool_calls is not False
    )
    grammar = grammar_of(_format(body.text), tool_choice, param="text.format")
    messages = _messages(body)
    return GenerationRequest(
        visit.request_id,
        messages,
        sampling=sampling_of(
            body,
            service,
            max_tokens=body.max_output_tokens,
            logprobs=body.wants_logprobs,
            top_logprobs=body.top_logprobs or 0,
        ),
        user=visit.caller.name,
        conversation_id=conversation_id(visit.caller.name, messages),
        tools=tools,
        tool_choice=tool_choice,
        grammar=grammar,
        policy=PromptPolicy(overflow="trim" if body.truncation == "auto" else "refuse"),
    )


def _tool(tool: FlatTool) -> ToolDefinition:
    function = FunctionDefinition(
        name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict
    )
    return ToolDefinition(type="function", function=function)


def _format(text: TextOptions | None) -> ResponseFormat | None:
    if text is None or text.format is None:
        return None
    given = text.format
    schema = JsonSchemaFormat(name=given.name, schema=given.schema_, strict=given.strict)
    return ResponseFormat(type=given.type, json_schema=schema)


def _messages(body: ResponsesRequest) -> tuple[Message, ...]:
    items = [InputItem(role="user", content=body.input)] if isinstance(body.input, str) else body.input
    given: list[ChatMessage] = []
    paths: list[str] = []
    for index, item in enumerate(items):
        path = f"input[{index}]"
        if item.type == "function_call" and given and given[-1].role == "assistant":
            given[-1] = _with_call(given[-1], item, path)
        elif item.type != "reasoning":  # another model's thoughts; this one has none
            given.append(_message(item, path))
            paths.append(path)
    messages = messages_of(given, paths)
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
    if item.type == "function_call":
        return _with_call(ChatMessage(role="assistant"), item, path)
    if item.type == "function_call_output":
        return ChatMessage(role="tool", content=item.output, tool_call_id=item.call_id)
    raise RequestError(f"Input items of type '{item.type}' are not supported.", param=f"{path}.type")


def _with_call(message: ChatMessage, item: InputItem, path: str) -> ChatMessage:
    if item.call_id is None or item.name is None or item.arguments is None:
        raise RequestError("A function call needs call_id, name and arguments.", param=path)
    call = MessageToolCall(id=item.call_id, function=FunctionCall(name=item.name, arguments=item.arguments))
    return message.model_copy(update={"tool_calls": [*(message.tool_calls or ()), call]})
