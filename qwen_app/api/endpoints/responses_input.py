"""The body of ``POST /v1/responses`` and what it asks for, in the engine's terms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.protocol.request_bodies import (
    MAX_MESSAGES,
    MAX_PARTS,
    MAX_TOKENS,
    MAX_TOOLS,
    AtMost,
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
from qwen_app.api.protocol.request_translation import (
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

MAX_METADATA = 16  # OpenAI's


class InputItem(Part):
    """A message, a call the model made or a call's result. ``type`` may be left out for a message."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | Annotated[list[ContentPart], AtMost(MAX_PARTS)] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | Annotated[list[ContentPart], AtMost(MAX_PARTS)] | None = None


class FlatTool(Part):
    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class FlatToolChoice(Part):
    type: Literal["function"]
    name: str


class TextFormat(Part):
    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "answer"
    schema_: dict[str, object] | None = Field(None, alias="schema")
    strict: bool | None = None


class TextOptions(Part):
    format: TextFormat | None = None


class ResponsesRequest(SamplingFields):
    input: str | Annotated[list[InputItem], AtMost(MAX_MESSAGES)]
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1, le=MAX_TOKENS)
    text: TextOptions | None = None
    tools: Annotated[list[FlatTool], AtMost(MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | FlatToolChoice | None = None
    parallel_tool_calls: bool | None = True
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


def responses_request(service: Service, body: ResponsesRequest, context: RequestContext) -> GenerationRequest:
    """Raises RequestError for what this server cannot do, naming the field."""
    if body.previous_response_id is not None:
        raise RequestError(
            "This server keeps no responses. Send the whole conversation as input.", param="previous_response_id"
        )
    if body.background:
        raise RequestError("This server answers at once or not at all. Leave out background.", param="background")
    tools = tools_of([_tool(tool) for tool in body.tools or ()], path="tools[{}].name")
    tool_choice = tool_choice_of(_tool_choice(body.tool_choice), tools, parallel=body.parallel_tool_calls is not False)
    grammar = grammar_of(_format(body.text), tool_choice, param="text.format")
    messages = _messages(body)
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
        tool_choice=tool_choice,
        grammar=grammar,
        policy=PromptPolicy(overflow="trim" if body.truncation == "auto" else "refuse"),
    )


def _tool_choice(choice: str | FlatToolChoice | None) -> str | NamedToolChoice | None:
    if isinstance(choice, FlatToolChoice):
        return NamedToolChoice(type="function", function=NamedFunction(name=choice.name))
    return choice


def _tool(tool: FlatTool) -> ToolDefinition:
    function = FunctionDefinition(
        name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict
    )
    return ToolDefinition(type="function", function=function)


def _format(text: TextOptions | None) -> ResponseFormat | None:
    if text is None or text.format is None:
        return None
    flat = text.format
    schema = JsonSchemaFormat(name=flat.name, schema=flat.schema_, strict=flat.strict)
    return ResponseFormat(type=flat.type, json_schema=schema)


def _messages(body: ResponsesRequest) -> tuple[Message, ...]:
    items = [InputItem(role="user", content=body.input)] if isinstance(body.input, str) else body.input
    bodies: list[ChatMessage] = []
    paths: list[str] = []
    for index, item in enumerate(items):
        path = f"input[{index}]"
        if item.type == "function_call" and bodies and bodies[-1].role == "assistant":
            bodies[-1] = _with_call(bodies[-1], item, path)
        elif item.type != "reasoning":  # another model's thoughts; this one has none
            bodies.append(_message(item, path))
            paths.append(path)
    messages = messages_of(bodies, paths)
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
    if message.tool_calls is None:
        return message.model_copy(update={"tool_calls": [call]})
    message.tool_calls.append(call)  # the list is ours: a copy for each call would be quadratic
    return message
