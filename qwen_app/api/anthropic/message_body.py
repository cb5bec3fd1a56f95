"""The body of an answer of ``/v1/messages``: a list of blocks, each text or a tool's use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from pydantic_core import from_json
from typing_extensions import TypedDict

from qwen_app.api.protocol.answer import Answer
from qwen_app.errors import EngineUnavailable
from qwen_app.messages import Finished, ToolCall, Usage
from qwen_app.openai_format import ToolCallBody
from qwen_app.tools.messages import parsed_arguments

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """What bounds an answer: the tokens asked for, and the context that prompt and answer share."""

    max_tokens: int
    context_tokens: int

    def ended_by_context(self, end: Finished) -> bool:
        """Whether the context had no room for all that was asked."""
        return end.usage.prompt_tokens + self.max_tokens > self.context_tokens


class TextBlock(TypedDict):
    type: Literal["text"]
    text: str


class ToolUseBlock(TypedDict):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, object]


class MessageUsage(TypedDict):
    """``input_tokens`` leaves out those of the cache: the three of the input add up to the prompt."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int


class MessageHead(TypedDict):
    """What is known before the first word."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str


class AnthropicMessage(MessageHead):
    content: list[TextBlock | ToolUseBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: MessageUsage


class TokenCount(TypedDict):
    input_tokens: int


def message_head(request_id: str, model: str) -> MessageHead:
    return {"id": f"msg_{request_id}", "type": "message", "role": "assistant", "model": model}


def whole_message(head: MessageHead, answer: Answer, limits: AnswerLimits) -> AnthropicMessage:
    """All that was answered."""
    content = list(_blocks(answer))
    reason = stop_reason(answer.end, limits, called=any(block["type"] == "tool_use" for block in content))
    return {
        **head,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": answer.end.stop if reason == "stop_sequence" else None,
        "usage": usage_of_message(answer.end.usage),
    }


def _blocks(answer: Answer) -> Iterator[TextBlock | ToolUseBlock]:
    """Text and calls in the order in which they were written, as a stream has them."""
    cut = answer.ordered_calls()[-1:] if answer.end.reason in ("length", "deadline") else []
    for is_text, parts in groupby(answer.parts, lambda part: isinstance(part, str)):
        if not is_text:
            yield from _called((part for part in parts if not isinstance(part, str)), cut)
        elif text := "".join(part for part in parts if isinstance(part, str)):
            yield {"type": "text", "text": text}


def _called(calls: Iterable[ToolCallBody], cut: Sequence[ToolCallBody]) -> Iterator[TextBlock | ToolUseBlock]:
    """Calls that can be made, and the one that the limit ``cut``: the stop reason says that its input is not all.

    One whose input is no object is text: a call of it would have no form here, and an answer without it nothing.
    """
    for call in calls:
        function = call["function"]
        arguments = parsed_arguments(ToolCall(call["id"], function["name"], function["arguments"]))
        if arguments is None and call in cut:
            arguments = _begun(function["arguments"])
        if arguments is None:
            yield {"type": "text", "text": f"{function['name']}({function['arguments']})"}
        else:
            yield {"type": "tool_use", "id": call["id"], "name": function["name"], "input": arguments}


def _begun(arguments: str) -> dict[str, object]:
    """What stands there of an object that was cut, as Anthropic's SDK reads it from a stream."""
    try:
        begun: object = from_json(arguments, allow_inf_nan=False, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return begun if isinstance(begun, dict) else {}


def stop_reason(end: Finished, limits: AnswerLimits, *, called: bool) -> StopReason:
    """Anthropic's word for how the answer ended. Raises EngineUnavailable for one the server itself cut short."""
    if end.reason == "cancelled":
        raise EngineUnavailable("The server stopped before the answer was complete. Try again in a minute.")
    if end.reason in ("length", "deadline"):
        by_context = end.reason == "length" and limits.ended_by_context(end)
        return "model_context_window_exceeded" if by_context else "max_tokens"
    if called:
        return "tool_use"
    return "end_turn" if end.stop is None else "stop_sequence"


def usage_of_message(usage: Usage) -> MessageUsage:
    return {
        "input_tokens": usage.prompt_tokens - usage.reused_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.reused_tokens,
        "output_tokens": usage.completion_tokens,
    }
