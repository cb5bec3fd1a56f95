"""What a body of Anthropic's Messages API asks for, in the engine's terms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from qwen_app.api.access.request_guard import RequestContext
from qwen_app.api.anthropic.blocks import PathBlock, assistant_message, blocks_of, text_of_blocks, user_messages
from qwen_app.api.anthropic.message_request import (
    ClientTool,
    CountTokensRequest,
    MessageParam,
    MessagesRequest,
    ToolUseChoice,
)
from qwen_app.api.protocol.long_lists import converted
from qwen_app.api.protocol.request_translation import conversation_id, stops_of
from qwen_app.errors import RequestError, SchemaError
from qwen_app.messages import (
    GenerationRequest,
    GrammarSpec,
    Message,
    PromptPolicy,
    TemplateOptions,
    Tool,
    ToolChoice,
)
from qwen_app.service import Service
from qwen_app.structured.schema_check import json_schema

# Claude Code's first system block; it differs from request to request, and would keep every prompt out of the cache.
BILLING_HEADER = "x-anthropic-billing-header"
OPENAIS = "function"  # the type of a tool in OpenAI's form


class ThreadUnsupported(RequestError):
    """By this code the SDK knows that it must send the whole conversation itself."""

    code = "thread_unsupported_request"


async def generation_request(service: Service, body: MessagesRequest, context: RequestContext) -> GenerationRequest:
    """Raises RequestError for what this server cannot do, naming the field.

    ``max_tokens`` is "at most": agents ask for tens of thousands whatever the context, as that of Claude allows.
    """
    if body.thread is not None:
        raise ThreadUnsupported("This server keeps no threads. Send the whole conversation.", param="thread")
    tools = tools_of(body.tools)
    choice = choice_of(body.tool_choice, tools)
    messages = await conversation(body)
    grammar = grammar_of_format(body, choice)
    template = template_of(messages)
    if template.continue_final:
        _check_beginning(messages[-1], grammar, body)
    return GenerationRequest(
        context.request_id,
        messages,
        sampling=service.sampling(
            temperature=body.temperature,
            top_p=None if body.top_p is None else max(body.top_p, 1e-6),
            top_k=None if body.top_k is None else max(body.top_k, 0),
            max_tokens=body.max_tokens,
            stop=stops_of(body.stop_sequences),
        ),
        user=context.caller.name,
        conversation_id=conversation_id(context.caller.name, messages),
        tools=tools,
        tool_choice=choice,
        close_cut_calls=bool(body.close_cut_calls),
        template=template,
        grammar=grammar,
        policy=PromptPolicy(cap_answer=True),
    )


def template_of(messages: Sequence[Message]) -> TemplateOptions:
    """What the assistant said last is the beginning of the answer."""
    return TemplateOptions(continue_final=messages[-1].role == "assistant")


def _check_beginning(beginning: Message, grammar: GrammarSpec | None, body: MessagesRequest) -> None:
    """The assistant's message at the end is the beginning of the answer. Raises RequestError where it cannot be."""
    param = f"messages[{len(body.messages) - 1}].content"
    if beginning.tool_calls:
        raise RequestError("The conversation ends with a tool_use. Send its tool_result after it.", param=param)
    if beginning.content != beginning.content.rstrip():
        raise RequestError("The beginning of an answer cannot end with blanks. Leave them out.", param=param)
    if grammar is not None:
        raise RequestError("A format is that of a whole answer. Leave it out to go on with one.", param=param)


async def conversation(body: CountTokensRequest) -> tuple[Message, ...]:
    """As ``_conversation``. It is as long as it has blocks: a few messages may hold thousands."""
    blocks = sum(1 if isinstance(turn.content, str) else len(turn.content) for turn in body.messages)
    return await converted(blocks, _conversation, body)


def _conversation(body: CountTokensRequest) -> tuple[Message, ...]:
    """The system prompt and the turns. Turns of one role in a row are one, as at Anthropic."""
    messages: list[Message] = []
    if body.system:
        messages.append(Message("system", _system_text(body)))
    numbered = enumerate(body.messages)
    for role, group in groupby(numbered, key=lambda numbered: numbered[1].role):
        messages += _messages_of(role, list(group), messages)
    return tuple(messages)


def _messages_of(role: str, turns: Sequence[tuple[int, MessageParam]], before: Sequence[Message]) -> list[Message]:
    blocks = [block for index, turn in turns for block in blocks_of(turn.content, f"messages[{index}].content")]
    if role == "assistant":
        return [assistant_message(blocks)]
    if role == "system":
        return [Message("system", text_of_blocks(blocks))]
    return user_messages(blocks, before[-1].tool_calls if before else ())


def _system_text(body: CountTokensRequest) -> str:
    blocks = blocks_of(body.system or "", "system")
    return text_of_blocks([placed for placed in blocks if not _is_billing_header(placed)], between="\n\n")


def _is_billing_header(placed: PathBlock) -> bool:
    return (placed.block.text or "").startswith(BILLING_HEADER)


def is_ours(tool: ClientTool) -> bool:
    """Whether the caller runs ``tool`` and says what it takes. The others are left out: nothing here can run them."""
    return tool.type in (None, "custom")


def tools_of(definitions: Sequence[ClientTool] | None) -> tuple[Tool, ...]:
    """The tools of a request that can be called. Raises RequestError for a name used twice, or none."""
    tools: dict[str, Tool] = {}
    for index, tool in enumerate(definitions or ()):
        if tool.type == OPENAIS:
            raise RequestError(
                "This is OpenAI's form of a tool. Here its name, description and input_schema stand side by side.",
                param=f"tools[{index}].type",
            )
        if not is_ours(tool):
            continue
        if tool.name is None or tool.input_schema is None:
            missing = "name" if tool.name is None else "input_schema"
            raise RequestError("A tool needs a name and an input_schema.", param=f"tools[{index}].{missing}")
        if tool.name in tools:
            raise RequestError(f"Two tools are called '{tool.name}'.", param=f"tools[{index}].name")
        strict = tool.strict is True
        tools[tool.name] = Tool(tool.name, tool.description or "", tool.input_schema, strict=strict)
    return tuple(tools.values())


def choice_of(choice: ToolUseChoice | None, tools: Sequence[Tool]) -> ToolChoice:
    """Whether and which tools are called. Raises RequestError for a choice that none of ``tools`` fits."""
    if choice is None:
        return ToolChoice()
    parallel = not choice.disable_parallel_tool_use
    if choice.type == "tool":
        if choice.name is None:
            raise RequestError("tool_choice 'tool' needs the name of one.", param="tool_choice.name")
        if choice.name not in {tool.name for tool in tools}:
            raise RequestError(f"tool_choice names '{choice.name}', which is none of the tools.", param="tool_choice")
        return ToolChoice("named", choice.name, parallel)
    if choice.type == "any":
        if not tools:
            raise RequestError("tool_choice 'any' needs tools that can be called.", param="tool_choice")
        return ToolChoice("required", None, parallel)
    return ToolChoice(choice.type, None, parallel)


def grammar_of_format(body: CountTokensRequest, choice: ToolChoice) -> GrammarSpec | None:
    """What the answer's text must look like. A forced call wins over it: then there is no text."""
    nested = body.output_config.format if body.output_config else None
    wanted = nested or body.output_format
    if wanted is None or choice.mode in ("required", "named"):
        return None
    param = "output_config.format.schema" if nested else "output_format.schema"
    try:
        return json_schema(wanted.schema_, strict=False)
    except SchemaError as error:
        raise SchemaError(str(error), pointer=error.pointer, param=param) from error
