"""What must hold of calls and results in a conversation before a template may see it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from qwen_app.errors import RequestError
from qwen_app.messages import Message, ToolCall


def results_in_call_order(messages: Sequence[Message]) -> tuple[Message, ...]:
    """``messages`` with the results of each round of calls in the order of the calls.

    The template prints no ids, so a model can tell results apart by their order alone. Raises RequestError for a result
    that answers no call of the assistant message before it, for a second result of one call, for a round that is only
    partly answered, and for arguments that are no JSON object.
    """
    arranged: list[Message] = []
    index = 0
    while index < len(messages):
        message = messages[index]
        if message.role == "tool":
            raise _unmatched(message, index)
        _check_calls(message, index)
        end = index + 1
        while end < len(messages) and messages[end].role == "tool":
            end += 1
        arranged += [message, *_round(message, messages, index + 1, end)]
        index = end
    return tuple(arranged)


def _round(caller: Message, messages: Sequence[Message], start: int, end: int) -> list[Message]:
    """The results ``messages[start:end]`` in the order in which ``caller`` made its calls."""
    results: dict[str, Message] = {}
    ids = [call.id for call in caller.tool_calls]
    for index in range(start, end):
        result = messages[index]
        if result.tool_call_id not in ids:
            raise _unmatched(result, index)
        if result.tool_call_id in results:
            raise RequestError(
                f"The call {result.tool_call_id!r} has two results. Send one for each call.",
                param=f"messages[{index}].tool_call_id",
            )
        results[str(result.tool_call_id)] = result
    missing = [call_id for call_id in ids if call_id not in results]
    if results and missing:
        raise RequestError(
            f"The call {missing[0]!r} has no result. Send one tool message for each call of an assistant message.",
            param=f"messages[{start - 1}].tool_calls",
        )
    return [results[call_id] for call_id in ids] if results else []


def _unmatched(message: Message, index: int) -> RequestError:
    return RequestError(
        f"The assistant message before this result made no call {message.tool_call_id!r}. "
        "Send that message with its tool_calls first, then one result for each call.",
        param=f"messages[{index}].tool_call_id",
    )


def _check_calls(message: Message, index: int) -> None:
    if message.tool_calls and message.role != "assistant":
        raise RequestError("Only assistant messages can hold tool_calls.", param=f"messages[{index}].tool_calls")
    ids = [call.id for call in message.tool_calls]
    if len(set(ids)) < len(ids):
        raise RequestError("Two tool calls have the same id.", param=f"messages[{index}].tool_calls")
    for position, call in enumerate(message.tool_calls):
        if parsed_arguments(call) is None:
            raise RequestError(
                f"The arguments of the call of {call.name} must be the text of a JSON object.",
                param=f"messages[{index}].tool_calls[{position}].function.arguments",
            )


def parsed_arguments(call: ToolCall) -> dict[str, object] | None:
    """The arguments as templates want them, or None. Given a string, a template would encode it a second time."""
    try:
        value: object = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
