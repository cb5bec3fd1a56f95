"""Messages to token ids, through the model's own chat template.

Two things the template alone does not give: text inside messages can never become a control token, and answers the
model wrote keep the ids it wrote them with, so that what the cache holds stays a prefix of the next prompt.
"""

from __future__ import annotations

import json
import re
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from qwen_app.errors import CHARACTERS_A_TOKEN, ModelFilesError, RequestError, TextTooLong
from qwen_app.messages import Message, Tool
from qwen_app.tools.messages import parsed_arguments, results_in_call_order
from qwen_app.tools.prompt_format import as_plain_messages, tool_definition

REMEMBERED_ANSWERS = 512
REMEMBERED_TOKENS = 1 << 20  # of all of them together: 4 MB
LONG_CHARACTERS = 4096  # encoded at a quarter of a million a second, in the worst case
SPARE_CHARACTERS = 4096
LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # no character, and nothing a tokenizer can encode
PRIVATE_USE = range(0xE000, 0xF8FF)  # no text has a meaning for these; one not in the conversation marks our places

TemplateDict = dict[str, Any]  # as transformers' own types have it


class PromptEncoder:
    """Encodes conversations for one tokenizer. Thread-safe; other threads run on while a long text is encoded.

    With ``context_tokens``, text that no such context holds is refused by its length, before it is encoded: what has
    more than CHARACTERS_A_TOKEN characters for each token, and SPARE_CHARACTERS.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, context_tokens: int | None = None) -> None:
        if not tokenizer.chat_template:
            raise ModelFilesError("The model's tokenizer has no chat template. Choose an -Instruct or -Chat model.")
        self._tokenizer = tokenizer
        self._context_tokens = context_tokens
        self._backend = tokenizer.backend_tokenizer
        self._knows_tools = "tools" in str(tokenizer.chat_template)
        self._control = _any_of(str(token) for token in tokenizer.get_added_vocab())
        self._special_ids = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._answers: OrderedDict[str, array[int]] = OrderedDict()
        self._remembered_tokens = 0
        self._lock = threading.Lock()

    def encode(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
        """Ids of the whole prompt, up to where the answer begins.

        Raises RequestError where the template does, and TextTooLong.
        """
        self._check_length(characters_of(messages))
        messages = results_in_call_order(messages)
        if not self._knows_tools:
            messages, tools = as_plain_messages(messages, tools), ()
        cut, splice = _unused_characters(_all_text(messages, tools), 2)
        answers: list[array[int]] = []
        shown = [self._shown(message, cut, splice, answers) for message in messages]
        rendered = self._render(shown, [self._guarded_dict(tool_definition(tool), cut) for tool in tools])
        self._check_length(len(rendered) - rendered.count(cut))  # with the tools, as they are shown
        ids: list[int] = []
        for index, part in enumerate(rendered.split(splice)):
            ids += answers[int(part)] if index % 2 else self._encode_parts(part, cut)
        return ids

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text; what looks like a control token in it is text. Raises TextTooLong."""
        self._check_length(len(text), param="prompt")
        (cut,) = _unused_characters(text, 1)
        return self._encode_parts(self._guarded_text(text, cut), cut)

    def remember(self, text: str, ids: Sequence[int]) -> None:
        """Keep the ids the model wrote ``text`` with, for when the text comes back as an assistant's message.

        Control tokens it wrote do not show in the text; such an answer comes back as its text alone.
        """
        if not text or not ids or not self._special_ids.isdisjoint(ids):
            return
        with self._lock:
            self._remembered_tokens += len(ids) - len(self._answers.pop(text, ()))
            self._answers[text] = array("I", ids)
            while len(self._answers) > REMEMBERED_ANSWERS or self._remembered_tokens > REMEMBERED_TOKENS:
                self._remembered_tokens -= len(self._answers.popitem(last=False)[1])

    def _shown(self, message: Message, cut: str, splice: str, answers: list[array[int]]) -> TemplateDict:
        """The message as templates want it."""
        shown: TemplateDict = {"role": message.role, "content": self._guarded_text(message.content, cut)}
        with self._lock:
            answer = self._answers.get(message.content)
        if message.role == "assistant" and answer and not message.tool_calls:
            shown["content"] = f"{splice}{len(answers)}{splice}"
            answers.append(answer)
        if message.tool_calls:
            shown["tool_calls"] = [
                {
                    "type": "function",
                    "id": self._guarded_text(call.id, cut),
                    # Parsed: the template encodes it, and would encode a string twice.
                    "function": self._guarded_dict({"name": call.name, "arguments": parsed_arguments(call)}, cut),
                }
                for call in message.tool_calls
            ]
        return shown

    def _render(self, shown: list[TemplateDict], tools: list[TemplateDict]) -> str:
        try:
            rendered = self._tokenizer.apply_chat_template(
                shown, tools=[*tools] or None, add_generation_prompt=True, tokenize=False
            )
        except TemplateError as refused:
            raise RequestError(
                f"The model's chat template refuses this conversation: {refused}", param="messages"
            ) from None
        return str(rendered)

    def _guarded_text(self, text: str, cut: str) -> str:
        """``text`` with a mark inside all that would otherwise be read as a control token."""
        text = LONE_SURROGATE.sub("\ufffd", text)
        return self._control.sub(lambda found: found[0][0] + cut + found[0][1:], text)

    def _guarded(self, value: object, cut: str) -> object:
        """``value`` with every text in it guarded."""
        if isinstance(value, str):
            return self._guarded_text(value, cut)
        if isinstance(value, dict):
            return self._guarded_dict(value, cut)
        if isinstance(value, list):
            return [self._guarded(item, cut) for item in value]
        return value

    def _guarded_dict(self, value: Mapping[str, object], cut: str) -> TemplateDict:
        return {self._guarded_text(key, cut): self._guarded(item, cut) for key, item in value.items()}

    def _encode_parts(self, text: str, cut: str) -> list[int]:
        return [token_id for part in text.split(cut) for token_id in self._ids(part)]

    def _ids(self, text: str) -> list[int]:
        if len(text) < LONG_CHARACTERS:
            return list(self._backend.encode(text, add_special_tokens=False).ids)
        (encoding,) = self._backend.encode_batch([text], add_special_tokens=False)  # this one lets other threads run
        return list(encoding.ids)

    def _check_length(self, characters: int, param: str = "messages") -> None:
        if self._context_tokens is None:
            return
        limit = self._context_tokens * CHARACTERS_A_TOKEN + SPARE_CHARACTERS
        if characters > limit:
            raise TextTooLong(characters, limit, self._context_tokens, param=param)


def characters_of(messages: Sequence[Message]) -> int:
    """How long a conversation is, roughly: the texts of its messages and the arguments of its calls."""
    arguments = sum(len(call.arguments) for message in messages for call in message.tool_calls)
    return arguments + sum(len(message.content) for message in messages)


def _all_text(messages: Sequence[Message], tools: Sequence[Tool]) -> str:
    """All that comes from outside and that a template may print, as it prints it: escapes in arguments undone."""
    calls = [(call.id, call.name, parsed_arguments(call)) for message in messages for call in message.tool_calls]
    contents = [message.content for message in messages]
    return json.dumps([contents, calls, [tool_definition(tool) for tool in tools]], ensure_ascii=False)


def _any_of(texts: Iterator[str]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(re.escape(text) for text in longest_first) or r"(?!)")


def _unused_characters(text: str, count: int) -> list[str]:
    present = set(text)
    unused = list(islice((chr(code) for code in PRIVATE_USE if chr(code) not in present), count))
    if len(unused) < count:
        raise RequestError("The text uses every private-use character there is. Remove some.", param="messages")
    return unused
