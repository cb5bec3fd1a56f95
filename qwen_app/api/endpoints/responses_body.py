"""The body of an answer of ``/v1/responses``: a list of items, each a message or a function call."""

from __future__ import annotations

import time
from typing import Literal

from pydantic import BaseModel
from typing_extensions import TypedDict

from qwen_app.api.endpoints.responses_input import ResponsesRequest
from qwen_app.api.protocol.answer import Answer, finish_reason, logprobs_body
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


class ResponseBody(TypedDict):
    """``output`` holds messages and function calls; much of the rest repeats what was asked."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["in_progress", "completed", "incomplete"]
    error: None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[MessageItem | FunctionCallItem]
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


def response_draft(body: ResponsesRequest, model: str, request_id: str) -> ResponseBody:
    """A response before its first word."""
    choice = body.tool_choice
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
        "tool_choice": choice.model_dump(exclude_unset=True) if isinstance(choice, BaseModel) else choice or "auto",
        "tools": [{"strict": None, **tool.model_dump()} for tool in body.tools or ()],
        "top_p": body.top_p,
        "truncation": body.truncation or "disabled",
        "usage": None,
        "user": body.user,
    }


def whole_response(draft: ResponseBody, answer: Answer, choice: ToolChoice) -> ResponseBody:
    """``draft`` with all that was answered."""
    calls = answer.ordered_calls()
    output: list[MessageItem | FunctionCallItem] = []
    if answer.text or not calls:
        output.append(message_item(draft["id"], "completed", [output_text(answer.text, answer)]))
    output += [call_item(draft["id"], index, call, "completed") for index, call in enumerate(calls)]
    output[-1]["status"] = status_of(answer.end, choice)  # what a limit cuts is the last item
    return ended_response(draft, output, answer.end, choice)


def ended_response(
    draft: ResponseBody, output: list[MessageItem | FunctionCallItem], end: Finished, choice: ToolChoice
) -> ResponseBody:
    """``draft`` with its output, and how it ended."""
    ended = draft.copy()
    ended["status"] = status_of(end, choice)
    ended["incomplete_details"] = {"reason": "max_output_tokens"} if ended["status"] == "incomplete" else None
    ended["output"] = output
    ended["usage"] = _usage(end.usage)
    return ended


def status_of(end: Finished, choice: ToolChoice) -> Literal["completed", "incomplete"]:
    """Of the answer and of the last item in it."""
    return "incomplete" if finish_reason(end, choice, called=False) == "length" else "completed"


def message_item(response_id: str, status: ItemStatus, content: list[OutputText]) -> MessageItem:
    """The answer's text; there is one such item in a response at most at a time."""
    return {
        "type": "message",
        "id": response_id.replace("resp_", "msg_"),
        "role": "assistant",
        "status": status,
        "content": content,
    }


def call_item_id(response_id: str, index: int) -> str:
    """The id of the item, which is another than that of the call."""
    return f"{response_id.replace('resp_', 'fc_')}_{index}"


def call_item(response_id: str, index: int, call: ToolCallBody, status: ItemStatus) -> FunctionCallItem:
    """Call ``index`` of the answer as an item."""
    return {
        "type": "function_call",
        "id": call_item_id(response_id, index),
        "call_id": call["id"],
        "name": call["function"]["name"],
        "arguments": call["function"]["arguments"],
        "status": status,
    }


def output_text(text: str, answer: Answer) -> OutputText:
    """``text`` with the log-probabilities of ``answer``."""
    logprobs = logprobs_body(answer.logprobs)["content"] or []
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _usage(usage: Usage) -> ResponseUsage:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.reused_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
