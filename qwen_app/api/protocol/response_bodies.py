"""Response bodies of chat and what every endpoint shares, as OpenAI's OpenAPI description has them.

They are typed dictionaries: the same definitions type the JSON that is sent and describe it in our OpenAPI document.
"""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from qwen_app.openai_format import FunctionCallBody, ToolCallBody

Reason = Literal["stop", "length", "tool_calls", "function_call"]


class TokenDetails(TypedDict):
    cached_tokens: int


class CompletionDetails(TypedDict):
    """Models here think aloud or not at all."""

    reasoning_tokens: Literal[0]


class UsageBody(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: TokenDetails
    completion_tokens_details: CompletionDetails


class LogprobBody(TypedDict):
    token: str
    logprob: float
    bytes: list[int] | None


class TopLogprobsBody(LogprobBody):
    top_logprobs: list[LogprobBody]


class LogprobsBody(TypedDict):
    content: list[TopLogprobsBody] | None
    refusal: None


class AnswerMessage(TypedDict):
    """``reasoning_content`` is not OpenAI's: vLLM's and DeepSeek's servers name thoughts so, and clients read it."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[ToolCallBody]]
    function_call: NotRequired[FunctionCallBody]


class Choice(TypedDict):
    index: int
    message: AnswerMessage
    logprobs: LogprobsBody | None
    finish_reason: Reason


class Truncation(TypedDict):
    """What ``truncation: "auto"`` left out."""

    dropped_messages: int
    prompt_tokens: int


class AnswerHead(TypedDict):
    """What every body and chunk of one answer repeats."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str


class ChatCompletion(AnswerHead):
    choices: list[Choice]
    usage: UsageBody
    truncation: NotRequired[Truncation]


class ErrorDetail(TypedDict):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    error: ErrorDetail
