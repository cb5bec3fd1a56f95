"""Messages to token ids, through the model's own chat template.

Two things the template alone does not give: text inside messages can never become a control token, and answers the
model wrote keep the ids it wrote them with, so that what the cache holds stays a prefix of the next prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from qwen_app.chat.folded_system import with_system_folded
from qwen_app.chat.guard import ControlTokens, Guard, whole_text
from qwen_app.chat.model_template import ModelTemplate, TemplateRefusal
from qwen_app.chat.remembered_answers import RememberedAnswers
from qwen_app.chat.shown_messages import ShownMessages
from qwen_app.chat.splices import Splices
from qwen_app.errors import CHARACTERS_A_TOKEN, RequestError, TextTooLong
from qwen_app.messages import PLAIN_TEMPLATE, Message, TemplateOptions, Tool
from qwen_app.tools.messages import results_in_call_order, shown_arguments, with_short_ids
from qwen_app.tools.prompt_format import as_plain_messages, tool_definition

LONG_CHARACTERS = 4096  # encoded at a quarter of a million a second, in the worst case
SPARE_CHARACTERS = 4096
PRIVATE_USE = range(0xE000, 0xF8FF)  # no text has a meaning for these; one not in the conversation marks our places
FILL_IN_TOKENS = (  # before the prefix, before the suffix, before what is between: Qwen's, StarCoder's, DeepSeek's
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<\uff5cfim\u2581end\uff5c>"),
)


class PromptEncoder:
    """Encodes conversations for one tokenizer. Thread-safe; other threads run on while a long text is encoded.

    With ``context_tokens``, text that no such context holds is refused by its length, before it is encoded: what has
    more than CHARACTERS_A_TOKEN characters for each token, and SPARE_CHARACTERS.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, context_tokens: int | None = None) -> None:
        self._template = ModelTemplate(tokenizer)
        self._tokenizer = tokenizer
        self._context_tokens = context_tokens
        self._backend = tokenizer.backend_tokenizer
        self._opening = _opening_of(self._backend)
        added = tokenizer.added_tokens_decoder
        self._special_ids = {index for index, token in added.items() if token.special}
        control = {token for token in map(str, tokenizer.get_added_vocab()) if not token.isspace()}  # blanks are text
        shown = {str(token) for token in added.values() if not token.special and self._looks_for(str(token))}
        self._control = ControlTokens(control, self._template.sought)
        self._answer_control = ControlTokens(control - shown, self._template.sought)
        self._answers = RememberedAnswers()

    def encode(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: TemplateOptions = PLAIN_TEMPLATE
    ) -> list[int]:
        """Ids of the whole prompt, up to where the answer begins.

        Raises RequestError where the template does, and TextTooLong.
        """
        self._check_length(characters_of(messages))
        refusal: TemplateRefusal | None = None
        for spelt, shown_tools in self._spellings(results_in_call_order(messages), tools):
            try:
                return self._encoded(spelt, shown_tools, options)
            except TemplateRefusal as refused:
                refusal = refused
        assert refusal, "there is one spelling at least"
        raise refusal

    def _spellings(
        self, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> Iterator[tuple[Sequence[Message], Sequence[Tool]]]:
        """The conversation as the template may take it, the best first.

        Some templates want ids of Mistral's kind, some know one call at a time, and some take arguments apart and break
        at those of a call that went wrong. All take a conversation in which tools, calls and results are plain text.
        """
        calls = any(message.tool_calls for message in messages)
        if self._template.knows_tools:
            yield messages, tools
            if calls:
                yield with_short_ids(messages), tools
        if calls or tools or not self._template.knows_tools:
            yield as_plain_messages(messages, tools), ()

    def _encoded(self, messages: Sequence[Message], tools: Sequence[Tool], options: TemplateOptions) -> list[int]:
        if not self._template.takes_system:
            messages = with_system_folded(messages)
        cut, joint, splice, end = _unused_characters(_all_text(messages, tools, options.variables), 4)
        guard, answer_guard = (Guard(control, cut, joint) for control in (self._control, self._answer_control))
        splices = Splices(splice, self._template.sought)
        shown = ShownMessages(guard, answer_guard, self._answers, splices).of(messages)
        if options.continue_final:
            shown[-1]["content"] += end
        shown_tools = [guard.entries(tool_definition(tool)) for tool in tools]
        rendered = self._template.render(shown, shown_tools, guard.entries(options.variables), options)
        rendered = rendered.split(end)[0]
        marks = sum(map(rendered.count, (cut, joint, splice)))
        self._check_length(len(rendered) - marks)  # with the tools, as they are shown
        ids: list[int] = []
        for part in splices.parts(rendered):
            ids += self._encode_parts(guard.parts(part)) if isinstance(part, str) else part
        return ids

    def encode_prompt(self, text: str, *, opened: bool = True) -> list[int]:
        """Ids of a prompt that its author wrote whole: control tokens in it are control tokens.

        What the model reads before any text, as BOS, is put before it unless it is there. Raises TextTooLong.
        """
        self._check_length(len(text), param="prompt")
        return self._opened(self._ids(whole_text(text)), opened)

    def filled_in(self, prefix: str | Sequence[int], suffix: str) -> list[int]:
        """The prompt for what is to stand between ``prefix``, of which ids are read as they are, and ``suffix``.

        Raises RequestError where the model has no tokens for that, and TextTooLong.
        """
        vocabulary = self._tokenizer.get_added_vocab()
        for names in FILL_IN_TOKENS:
            if all(name in vocabulary for name in names):
                before, between, after = (vocabulary[name] for name in names)
                begun = self.encode_prompt(prefix, opened=False) if isinstance(prefix, str) else prefix
                ids = [before, *begun, between, *self.encode_prompt(suffix, opened=False), after]
                return self._opened(ids, isinstance(prefix, str))
        raise RequestError("This model cannot write towards a suffix. Leave it out.", param="suffix")

    def encode_text(self, text: str, *, opened: bool = False) -> list[int]:
        """Ids of plain text; what looks like a control token in it is text. Raises TextTooLong."""
        self._check_length(len(text), param="prompt")
        guard = Guard(self._control, *_unused_characters(text, 2))
        return self._opened(self._encode_parts(guard.parts(guard.text(text))), opened)

    def remember(self, text: str, ids: Sequence[int]) -> None:
        """Keep the ids the model wrote ``text`` with, for when the text comes back as an assistant's message.

        Control tokens it wrote do not show in the text; such an answer comes back as its text alone.
        """
        if text and ids and self._special_ids.isdisjoint(ids):
            self._answers.add(text, ids)

    def _looks_for(self, token: str) -> bool:
        """Whether the template looks for ``token``, which is then read as it is where an assistant wrote it."""
        return any(token in text for text in self._template.sought)

    def _opened(self, ids: list[int], opened: bool) -> list[int]:
        return [*self._opening, *ids] if opened and ids[: len(self._opening)] != self._opening else ids

    def _encode_parts(self, parts: Iterable[str]) -> list[int]:
        return [token_id for part in parts for token_id in self._ids(part)]

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


def _opening_of(tokenizer: Tokenizer) -> list[int]:
    """The ids that ``tokenizer`` puts before a text. What some put behind it would end what is to be continued."""
    encoding = tokenizer.encode("x", add_special_tokens=True)
    return list(encoding.ids[: [*encoding.special_tokens_mask, 0].index(0)])


def characters_of(messages: Sequence[Message]) -> int:
    """How long a conversation is, roughly: the texts of its messages and the arguments of its calls."""
    arguments = sum(len(call.arguments) for message in messages for call in message.tool_calls)
    return arguments + sum(len(message.content) for message in messages)


def _all_text(messages: Sequence[Message], tools: Sequence[Tool], variables: Mapping[str, object]) -> str:
    """All that comes from outside and that a template may print, as it prints it: escapes in arguments undone."""
    calls = [(call.id, call.name, shown_arguments(call)) for message in messages for call in message.tool_calls]
    contents = [message.content for message in messages]
    return json.dumps([contents, calls, [tool_definition(tool) for tool in tools], dict(variables)], ensure_ascii=False)


def _unused_characters(text: str, count: int) -> list[str]:
    present = set(text)
    unused = list(islice((chr(code) for code in PRIVATE_USE if chr(code) not in present), count))
    if len(unused) < count:
        raise RequestError("The text uses every private-use character there is. Remove some.", param="messages")
    return unused
