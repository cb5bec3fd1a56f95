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

from jinja2 import Environment, TemplateError, TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from transformers import PreTrainedTokenizerBase

from qwen_app.chat.bounded_template import BoundedTemplate, TemplateTooCostly
from qwen_app.errors import CHARACTERS_A_TOKEN, ModelFilesError, RequestError, TextTooLong
from qwen_app.messages import Message, TemplateOptions, Tool
from qwen_app.tools.messages import results_in_call_order, shown_arguments
from qwen_app.tools.prompt_format import as_plain_messages, tool_definition

REMEMBERED_ANSWERS = 512
REMEMBERED_TOKENS = 1 << 20  # of all of them together: 4 MB
LONG_CHARACTERS = 4096  # encoded at a quarter of a million a second, in the worst case
SPARE_CHARACTERS = 4096
LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # no character, and nothing a tokenizer can encode
PRIVATE_USE = range(0xE000, 0xF8FF)  # no text has a meaning for these; one not in the conversation marks our places

PLAIN = TemplateOptions()
GIVEN_VARIABLES = {"messages", "tools", "documents", "add_generation_prompt"}  # by us; no request gives them otherwise
FILL_IN_TOKENS = (  # before the prefix, before the suffix, before what is between: Qwen's, StarCoder's, DeepSeek's
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<\uff5cfim\u2581end\uff5c>"),
)
REFUSALS = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)  # a template's own
TemplateDict = dict[str, Any]  # as transformers' own types have it


class TemplateRefusal(RequestError):
    """What a chat template says of a conversation that it does not take."""


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
        self._templates: dict[str, BoundedTemplate] = {}
        self._variables = _variables_of(str(tokenizer.chat_template)) - GIVEN_VARIABLES
        self._special_ids = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._answers: OrderedDict[str, array[int]] = OrderedDict()
        self._remembered_tokens = 0
        self._lock = threading.Lock()
        self._try_template()

    def encode(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: TemplateOptions = PLAIN
    ) -> list[int]:
        """Ids of the whole prompt, up to where the answer begins.

        Raises RequestError where the template does, and TextTooLong.
        """
        self._check_length(characters_of(messages))
        messages = results_in_call_order(messages)
        if not self._knows_tools:
            return self._encoded(as_plain_messages(messages, tools), (), options)
        try:
            return self._encoded(messages, tools, options)
        except TemplateRefusal:
            if all(isinstance(shown_arguments(call), dict) for message in messages for call in message.tool_calls):
                raise
        # Some templates take arguments apart, and break at those of a call that went wrong.
        return self._encoded(as_plain_messages(messages, tools), (), options)

    def _encoded(self, messages: Sequence[Message], tools: Sequence[Tool], options: TemplateOptions) -> list[int]:
        cut, splice, end = _unused_characters(_all_text(messages, tools, options.variables), 3)
        answers: list[array[int]] = []
        shown = [self._shown(message, cut, splice, answers) for message in messages]
        if options.continue_final:
            shown[-1]["content"] += end
        shown_tools = [self._guarded_dict(tool_definition(tool), cut) for tool in tools]
        rendered = self._render(shown, shown_tools, options, self._guarded_dict(options.variables, cut))
        rendered = rendered.split(end)[0]
        self._check_length(len(rendered) - rendered.count(cut))  # with the tools, as they are shown
        ids: list[int] = []
        for index, part in enumerate(rendered.split(splice)):
            ids += answers[int(part)] if index % 2 else self._encode_parts(part, cut)
        return ids

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of a prompt that its author wrote whole: control tokens in it are control tokens. Raises TextTooLong."""
        self._check_length(len(text), param="prompt")
        return self._ids(LONE_SURROGATE.sub("\ufffd", text))

    def filled_in(self, prefix_ids: Sequence[int], suffix: str) -> list[int]:
        """The prompt for what is to stand between a prefix and ``suffix``.

        Raises RequestError where the model has no tokens for that, and TextTooLong.
        """
        vocabulary = self._tokenizer.get_added_vocab()
        for names in FILL_IN_TOKENS:
            if all(name in vocabulary for name in names):
                before, between, after = (vocabulary[name] for name in names)
                return [before, *prefix_ids, between, *self.encode_prompt(suffix), after]
        raise RequestError("This model cannot write towards a suffix. Leave it out.", param="suffix")

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
                    # A value: the template encodes it, and would encode a string twice.
                    "function": self._guarded_dict({"name": call.name, "arguments": shown_arguments(call)}, cut),
                }
                for call in message.tool_calls
            ]
        return shown

    def _render(
        self, shown: list[TemplateDict], tools: list[TemplateDict], options: TemplateOptions, variables: TemplateDict
    ) -> str:
        known = {name: value for name, value in variables.items() if name in self._variables}
        values = {
            **self._tokenizer.special_tokens_map,
            **known,
            "messages": shown,
            "tools": tools or None,
            "documents": None,
            "add_generation_prompt": options.open_answer and not options.continue_final,
        }
        try:
            return self._template(bool(tools)).render(values)
        except REFUSALS as refused:
            raise TemplateRefusal(
                f"The model's chat template refuses this conversation: {refused}", param="messages"
            ) from None

    def _try_template(self) -> None:
        """Raises ModelFilesError for a template that no conversation gets through."""
        try:
            self._template(False).render(
                {"messages": [{"role": "user", "content": "x"}], "add_generation_prompt": True}
            )
        except (TemplateTooCostly, TemplateSyntaxError) as refused:
            raise ModelFilesError(
                f"The model's chat template cannot be used: {refused} Mend it, or choose another model."
            ) from refused
        except Exception:
            pass

    def _template(self, with_tools: bool) -> BoundedTemplate:
        """The template that is for conversations with tools, or for those without: mostly the same one."""
        source = str(self._tokenizer.get_chat_template(tools=[{}] if with_tools else None))
        if source not in self._templates:
            self._templates[source] = BoundedTemplate(source)
        return self._templates[source]

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


def _variables_of(template: str) -> set[str]:
    """The names that ``template`` reads and does not set."""
    try:
        return find_undeclared_variables(Environment(extensions=["jinja2.ext.loopcontrols"]).parse(template))
    except TemplateError:  # tags of transformers' own: such a template takes none
        return set()


def characters_of(messages: Sequence[Message]) -> int:
    """How long a conversation is, roughly: the texts of its messages and the arguments of its calls."""
    arguments = sum(len(call.arguments) for message in messages for call in message.tool_calls)
    return arguments + sum(len(message.content) for message in messages)


def _all_text(messages: Sequence[Message], tools: Sequence[Tool], variables: Mapping[str, object]) -> str:
    """All that comes from outside and that a template may print, as it prints it: escapes in arguments undone."""
    calls = [(call.id, call.name, shown_arguments(call)) for message in messages for call in message.tool_calls]
    contents = [message.content for message in messages]
    return json.dumps([contents, calls, [tool_definition(tool) for tool in tools], dict(variables)], ensure_ascii=False)


def _any_of(texts: Iterator[str]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(re.escape(text) for text in longest_first) or r"(?!)")


def _unused_characters(text: str, count: int) -> list[str]:
    present = set(text)
    unused = list(islice((chr(code) for code in PRIVATE_USE if chr(code) not in present), count))
    if len(unused) < count:
        raise RequestError("The text uses every private-use character there is. Remove some.", param="messages")
    return unused
