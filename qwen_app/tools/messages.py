"""What must hold of calls and results in a conversation before a template may see it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from qwen_app.errors import RequestError
from qwen_app.messages import Message, ToolCall
from qwen_app.structured.json_text import finite_number, whole_characters

Place = tuple[str, str]  # the paths of a message's calls and of the call it answers, in the body it came in
SHORT_ID = 9


def results_in_call_order(messages: Sequence[Message], places: Sequence[Place] | None = None) -> tuple[Message, ...]:
    """``messages`` with the results of each round of calls in the order of the calls.

    Qwen's template prints no ids, so a model can tell results apart by their order alone. Raises RequestError, at the
    message's place, for a result that answers no call of the assistant message before it, for a second result of one
    call and for a round that is only partly answered.
    """
    if places is None:
        places = [
            (f"messages[{index}].tool_calls", f"messages[{index}].tool_call_id") for index in range(len(messages))
        ]
    arranged: list[Message] = []
    index = 0
    while index < len(messages):
        message = messages[index]
        if message.role == "tool":
            raise _unmatched(message, places[index])
        _check_calls(message, places[index])
        end = index + 1
        while end < len(messages) and messages[end].role == "tool":
            end += 1
        arranged += [message, *_round(message, messages[index + 1 : end], places[index:end])]
        index = end
    return tuple(arranged)


def _round(caller: Message, answers: Sequence[Message], places: Sequence[Place]) -> list[Message]:
    """``answers`` in the order in which ``caller`` made its calls; the first of ``places`` is the caller's."""
    results: dict[str, Message] = {}
    ids = [call.id for call in caller.tool_calls]
    for result, place in zip(answers, places[1:], strict=True):
        if result.tool_call_id not in ids:
            raise _unmatched(result, place)
        if result.tool_call_id in results:
            raise RequestError(
                f"The call {result.tool_call_id!r} has two results. Send one for each call.",
                param=place[1],
            )
        results[str(result.tool_call_id)] = result
    missing = [call_id for call_id in ids if call_id not in results]
    if results and missing:
        raise RequestError(
            f"The call {missing[0]!r} has no result. Send one tool message for each call of an assistant message.",
            param=places[0][0],
        )
    return [results[call_id] for call_id in ids] if results else []


def _unmatched(message: Message, place: Place) -> RequestError:
    return RequestError(
        f"The assistant message before this result made no call {message.tool_call_id!r}. "
        "Send that message with its tool_calls first, then one result for each call.",
        param=place[1],
    )


def _check_calls(message: Message, place: Place) -> None:
    if message.tool_calls and message.role != "assistant":
        raise RequestError("Only assistant messages can hold tool_calls.", param=place[0])
    ids = [call.id for call in message.tool_calls]
    if len(set(ids)) < len(ids):
        raise RequestError("Two tool calls have the same id.", param=place[0])


def with_short_ids(messages: Sequence[Message]) -> tuple[Message, ...]:
    """``messages`` with the ids of calls and results as Mistral's templates want them: nine letters and digits."""
    return tuple(
        replace(
            message,
            tool_calls=tuple(replace(call, id=_short(call.id)) for call in message.tool_calls),
            tool_call_id=None if message.tool_call_id is None else _short(message.tool_call_id),
        )
        for message in messages
    )


def _short(call_id: str) -> str:
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:SHORT_ID]


def shown_arguments(call: ToolCall) -> object:
    """The arguments of a call in the history as templates want them: a value, which they encode.

    They may be any text: a model's slip, or what a limit cut. None at all are those of a tool that takes none.
    """
    try:
        value: object = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return call.arguments
    return {} if value is None else value


def parsed_arguments(call: ToolCall) -> dict[str, object] | None:
    """The arguments to call a tool with, or None where they are no JSON object. Half characters, which JSON can write
    and UTF-8 cannot, become U+FFFD."""
    try:
        value: object = json.loads(call.arguments, parse_constant=finite_number, parse_float=finite_number)
        whole = whole_characters(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return None
    return json.loads(whole) if isinstance(value, dict) else None
