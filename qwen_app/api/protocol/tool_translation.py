"""The tools of a request and the choice among them, in the engine's terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qwen_app.api.protocol.request_bodies import (
    FunctionDefinition,
    NamedFunction,
    OtherTool,
    ToolChoiceBody,
    ToolDefinition,
    ToolReference,
)
from qwen_app.errors import RequestError
from qwen_app.messages import Tool, ToolChoice

NO_PARAMETERS: dict[str, object] = {"type": "object", "properties": {}}
CHOICE = "tool_choice"
WORDS = ("none", "auto", "required", "any")

Offer = tuple[tuple[Tool, ...], ToolChoice]


def tools_of(functions: Sequence[tuple[str, FunctionDefinition]]) -> tuple[Tool, ...]:
    """The tools of a request, each with the path of its name. Raises RequestError there for one used twice."""
    tools: dict[str, Tool] = {}
    for path, function in functions:
        if function.name in tools:
            raise RequestError(f"Two tools are called '{function.name}'.", param=path)
        parameters = function.parameters or NO_PARAMETERS
        tools[function.name] = Tool(
            function.name, function.description or "", parameters, strict=function.strict is True
        )
    return tuple(tools.values())


def chat_tools(tools: Iterable[ToolDefinition | OtherTool]) -> tuple[Tool, ...]:
    """Those of a chat's ``tools`` that are functions. Raises RequestError as ``tools_of`` does."""
    return tools_of(
        [
            (f"tools[{index}].function.name", tool.function)
            for index, tool in enumerate(tools)
            if isinstance(tool, ToolDefinition)
        ]
    )


def offer_of(
    tools: tuple[Tool, ...], choice: str | ToolChoiceBody | NamedFunction | None, *, parallel: bool, param: str = CHOICE
) -> Offer:
    """The tools that may be called and whether and which must be. Raises RequestError at ``param`` for a choice that
    none of ``tools`` can satisfy."""
    if isinstance(choice, ToolChoiceBody) and choice.type in WORDS:  # Anthropic's form, which Cursor sends here too
        choice = choice.type
    if isinstance(choice, NamedFunction):
        return tools, ToolChoice("named", _known(choice.name, tools, param), parallel)
    if isinstance(choice, ToolChoiceBody) and choice.type == "allowed_tools":
        return _allowed(tools, choice, parallel=parallel)
    if isinstance(choice, ToolChoiceBody):
        return tools, ToolChoice("named", _named(choice, tools, param), parallel)
    if choice in ("required", "any"):
        return tools, _required(tools, parallel=parallel)
    return tools, ToolChoice("none" if choice == "none" else "auto", None, parallel)


def _required(tools: Sequence[Tool], *, parallel: bool) -> ToolChoice:
    if not tools:
        raise RequestError("tool_choice 'required' needs tools that are functions.", param=CHOICE)
    return ToolChoice("required", None, parallel)


def _allowed(tools: tuple[Tool, ...], choice: ToolChoiceBody, *, parallel: bool) -> Offer:
    """OpenAI's ``allowed_tools``: the others are not offered this time."""
    below = choice.allowed_tools
    references, mode = (below.tools, below.mode) if below else (choice.tools, choice.mode)
    if references is None:
        raise RequestError("tool_choice 'allowed_tools' needs its tools.", param=f"{CHOICE}.allowed_tools")
    functions = [one for one in references if one.type == "function"]  # others are left out of the tools as well
    names = {_named(one, tools, CHOICE) for one in functions}
    allowed = tuple(tool for tool in tools if tool.name in names)
    if mode == "required":
        return allowed, _required(allowed, parallel=parallel)
    return allowed, ToolChoice("auto" if allowed else "none", None, parallel)


def _named(reference: ToolReference, tools: Sequence[Tool], param: str) -> str:
    if reference.type not in ("function", "tool"):  # the second is Anthropic's word
        raise RequestError(
            f"{param} asks for a tool of type '{reference.type}', which this server cannot run.", param=param
        )
    if reference.tool_name is None:
        raise RequestError(f"{param} needs the name of the function.", param=f"{param}.function")
    return _known(reference.tool_name, tools, param)


def _known(name: str, tools: Sequence[Tool], param: str) -> str:
    if name not in {tool.name for tool in tools}:
        raise RequestError(f"{param} names '{name}', which is none of the tools.", param=param)
    return name
