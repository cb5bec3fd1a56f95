"""The body of an answer of ``/v1/responses``: a list of items, each a message or a function call."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Literal

from typing_extensions import TypedDict

from qwen_app.api.endpoints.responses_input import ResponsesRequest
from qwen_app.api.protocol.answer import finish_reason
from qwen_app.api.protocol.api_error import ApiError
from qwen_app.api.protocol.request_bodies import ToolChoiceBody
from qwen_app.api.protocol.response_bodies import TopLogprobsBody
from qwen_app.messages import Finished, ToolChoice, Usage
from qwen_app.openai_format import ToolCallBody

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(TypedDict):
    type: Literal["output_text"]
    text: str
    annotations: list[str]
    logprobs: list[TopLogprobsBody]


class MessageItem(TypedDict):
    type: Literal["message"]
    id: str
    role: Literal["assistant"]
    status: ItemStatus
    content: list[OutputText]


class FunctionCallItem(TypedDict):
    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus


OutputItem = MessageItem | FunctionCallItem


class InputDetails(TypedDict):
    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(TypedDict):
    reasoning_tokens: int


class ResponseUsage(TypedDict):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class IncompleteDetails(TypedDict):
    reason: Literal["max_output_tokens"]


class ResponseError(TypedDict):
    """OpenAI's codes say no more."""

    code: Literal["server_error", "rate_limit_exceeded"]
    message: str


class ResponseBody(TypedDict):
    """``output`` holds messages and function calls; much of the rest repeats what was asked."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: None
    store: Literal[False]
    temperature: float | None
    text: dict[str, object]
    tool_choice: str | dict[str, object]
    tools: list[dict[str, object]]
    top_p: float | None
    truncation: Literal["auto", "disabled"]
    usage: ResponseUsage | None
    user: str | None


def response_draft(body: ResponsesRequest, choice: ToolChoice, model: str, request_id: str) -> ResponseBody:
    """A response before its first word. ``choice`` is what was made of that in the body."""
    return {
        "id": f"resp_{request_id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "store": False,
        "temperature": body.temperature,
        "text": body.text.model_dump(by_alias=True, exclude_none=True) if body.text else {"format": {"type": "text"}},
        "tool_choice": _choice_echo(body, choice),
        "tools": [{"strict": None, **tool.model_dump()} for tool in body.tools or ()],
        "top_p": body.top_p,
        "truncation": body.truncation or "disabled",
        "usage": None,
        "user": body.user,
    }


def _choice_echo(body: ResponsesRequest, choice: ToolChoice) -> str | dict[str, object]:
    """As Responses has it, in whatever form it was asked for: strict clients read no other."""
    asked = body.tool_choice
    if isinstance(asked, ToolChoiceBody) and asked.type == "allowed_tools":
        allowed = asked.allowed_tools or asked
        tools = [{"type": tool.type, "name": tool.tool_name} for tool in allowed.tools or ()]
        return {"type": "allowed_tools", "mode": allowed.mode, "tools": tools}
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


def ended_response(draft: ResponseBody, output: list[OutputItem], end: Finished, choice: ToolChoice) -> ResponseBody:
    """``draft`` with its output, and how it ended."""
    ended = draft.copy()
    ended["status"] = status_of(end, choice)
    ended["incomplete_details"] = {"reason": "max_output_tokens"} if ended["status"] == "incomplete" else None
    ended["output"] = output
    ended["usage"] = _usage(end.usage)
    return ended


def failed_response(draft: ResponseBody, shown: ApiError) -> ResponseBody:
    """``draft`` with what it failed with."""
    failed = draft.copy()
    failed["status"] = "failed"
    too_many = shown.status == HTTPStatus.TOO_MANY_REQUESTS
    failed["error"] = {"code": "rate_limit_exceeded" if too_many else "server_error", "message": shown.message}
    return failed


def status_of(end: Finished, choice: ToolChoice) -> Literal["completed", "incomplete"]:
    """Of the answer and of the last item in it."""
    return "incomplete" if finish_reason(end, choice, called=False) == "length" else "completed"


def message_item(response_id: str, position: int) -> MessageItem:
    """Text of the answer, before its first word, as item ``position`` of the output."""
    return {
        "type": "message",
        "id": _item_id("msg", response_id, position),
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }


def call_item(response_id: str, position: int, call: ToolCallBody) -> FunctionCallItem:
    """A call of the answer, before its arguments, as item ``position`` of the output."""
    return {
        "type": "function_call",
        "id": _item_id("fc", response_id, position),
        "call_id": call["id"],
        "name": call["function"]["name"],
        "arguments": "",
        "status": "in_progress",
    }


def _item_id(kind: str, response_id: str, position: int) -> str:
    """Unlike that of any other item. That of a call's item is another than the call's."""
    return f"{kind}_{response_id.removeprefix('resp_')}_{position}"


def output_text(text: str, logprobs: list[TopLogprobsBody]) -> OutputText:
    """The content of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _usage(usage: Usage) -> ResponseUsage:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.reused_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
