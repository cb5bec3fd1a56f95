"""A chat answer as a stream of chunks of kind ``chat.completion.chunk``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qwen_app.api.protocol.answer import call_head, finish_reason, legacy_reason, logprobs_body
from qwen_app.api.protocol.chunk_stream import ChunkStream
from qwen_app.api.protocol.response_bodies import AnswerHead, Reason, Truncation
from qwen_app.messages import Finished, Thought, TokenLogprob, ToolCallDelta, ToolChoice


class ChatStream(ChunkStream):
    """What was left out of the prompt is reported in the first chunk."""

    def __init__(
        self,
        head: AnswerHead,
        tool_choice: ToolChoice,
        truncation: Truncation | None,
        *,
        with_usage: bool,
        legacy: bool,
    ) -> None:
        """``legacy`` answers ``functions``: there a call has a form of its own."""
        super().__init__(head, '"delta":{"content":', "}", with_usage=with_usage)
        self._tool_choice = tool_choice
        self._truncation = truncation
        self._legacy = legacy
        self._called: dict[int, set[int]] = {}

    def opening(self, index: int) -> bytes:
        content = None if self._tool_choice.forced else ""
        part = {"delta": {"role": "assistant", "content": content, "refusal": None}}
        return self.chunk(index, part, top=None if self._truncation is None else {"truncation": self._truncation})

    def text_part(self, text: str) -> Mapping[str, object]:
        return {"delta": {"content": text} if text else {}}

    def logprobs(self, index: int, tokens: Sequence[TokenLogprob]) -> Mapping[str, object]:
        return logprobs_body(tokens)

    def call(self, index: int, delta: ToolCallDelta) -> bytes:
        seen = self._called.setdefault(index, set())
        call: Mapping[str, object] = {"index": delta.index, "function": {"arguments": delta.arguments}}
        if delta.index not in seen:
            seen.add(delta.index)
            head = call_head(delta)
            call = {"index": delta.index, **head, "function": {**head["function"], "arguments": delta.arguments}}
        if self._legacy:
            return self.chunk(index, {"delta": {"function_call": call["function"]}}) if delta.index == 0 else b""
        return self.chunk(index, {"delta": {"tool_calls": [call]}})

    def thought(self, index: int, thought: Thought) -> bytes:
        return self.chunk(index, {"delta": {"reasoning_content": thought.text}})

    def reason(self, index: int, end: Finished) -> Reason:
        reason = finish_reason(end, self._tool_choice, called=index in self._called)
        return legacy_reason(reason) if self._legacy else reason
