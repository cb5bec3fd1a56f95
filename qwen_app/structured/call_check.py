"""Calls of tools that are not strict, checked afterwards: what of a schema no grammar enforces may not hold.

They reach the caller as they are, who is the one to refuse them; what was wrong is logged and counted.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from qwen_app.errors import AppError
from qwen_app.messages import Event, Finished, GenerationRequest, Tool, ToolCallDelta
from qwen_app.structured.reask import Validate
from qwen_app.structured.schema_bounds import is_plain

log = logging.getLogger(__name__)


def may_need_check(request: GenerationRequest) -> bool:
    return bool(_loose(request))


async def with_checked_calls(
    answer: AsyncGenerator[Event, None], request: GenerationRequest, validate: Validate
) -> AsyncGenerator[Event, None]:
    """The events of ``answer``, whose end says how many of its calls do not keep to their tool's schema."""
    loose = _loose(request)
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    async with aclosing(answer) as events:
        async for event in events:
            if isinstance(event, ToolCallDelta):
                names[event.index] = event.name or names.get(event.index, "")
                arguments[event.index] = arguments.get(event.index, "") + event.arguments
            if isinstance(event, Finished) and event.reason in ("stop", "tool_calls"):
                calls = [(loose[name], arguments[index]) for index, name in names.items() if name in loose]
                off = [await _is_off(tool, text, request, validate) for tool, text in calls]
                event = replace(event, calls_off_schema=sum(off))
            yield event


def _loose(request: GenerationRequest) -> Mapping[str, Tool]:
    """The tools whose schemas may hold what is not enforced."""
    tools = request.tools if request.tool_choice.mode != "none" else ()
    return {tool.name: tool for tool in tools if not tool.strict and not is_plain(tool.parameters)}


async def _is_off(tool: Tool, arguments: str, request: GenerationRequest, validate: Validate) -> bool:
    try:
        problem = await validate(arguments or "{}", tool.parameters)
    except AppError:  # no schema that anybody could check
        return False
    if problem is not None:
        log.info("a call of %s does not keep to its schema", tool.name, extra={"request_id": request.request_id})
    return problem is not None
