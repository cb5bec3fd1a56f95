"""Messages as templates want them."""

from __future__ import annotations

from collections.abc import Sequence

from qwen_app.chat.guard import Guard
from qwen_app.chat.model_template import TemplateDict
from qwen_app.chat.remembered_answers import RememberedAnswers
from qwen_app.chat.splices import Splices
from qwen_app.messages import Message, ToolCall
from qwen_app.tools.messages import shown_arguments


class ShownMessages:
    """Shows the messages of one conversation, all their text guarded.

    What assistants said is guarded by ``answer_guard``, and marked by ``splices`` where it is remembered.
    """

    def __init__(self, guard: Guard, answer_guard: Guard, answers: RememberedAnswers, splices: Splices) -> None:
        self._guard = guard
        self._answer_guard = answer_guard
        self._answers = answers
        self._splices = splices
        self._callees: dict[str, str] = {}  # the names of tools by the ids of the calls last made

    def of(self, messages: Sequence[Message]) -> list[TemplateDict]:
        return [self._message(message) for message in messages]

    def _message(self, message: Message) -> TemplateDict:
        shown: TemplateDict = {"role": message.role, "content": self._content(message)}
        if message.tool_calls:
            self._callees = {call.id: call.name for call in message.tool_calls}
            shown["tool_calls"] = [self._call(call) for call in message.tool_calls]
        if message.role == "tool":
            shown["tool_call_id"] = self._guard.text(message.tool_call_id or "")
            shown["name"] = self._guard.text(self._callees[message.tool_call_id or ""])
        return shown

    def _content(self, message: Message) -> str:
        if message.role != "assistant":
            return self._guard.text(message.content)
        said = self._answer_guard.text(message.content)
        answer = None if message.tool_calls else self._answers.ids_of(message.content)
        return self._splices.marked(said, answer) if answer else said

    def _call(self, call: ToolCall) -> TemplateDict:
        # The arguments are a value: the template encodes it, and would encode a string twice.
        function = {"name": call.name, "arguments": shown_arguments(call)}
        return {"type": "function", "id": self._guard.text(call.id), "function": self._guard.entries(function)}
