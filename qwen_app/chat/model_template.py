"""A model's own chat template: what it takes, and the text it makes of a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError
from transformers import PreTrainedTokenizerBase

from qwen_app.chat.bounded_template import BoundedTemplate, TemplateTooCostly
from qwen_app.errors import ModelFilesError, RequestError
from qwen_app.messages import PLAIN_TEMPLATE, TemplateOptions

GIVEN_VARIABLES = {"messages", "tools", "documents", "add_generation_prompt"}  # by us; no request gives them otherwise
REFUSALS = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)  # a template's own
TemplateDict = dict[str, Any]  # as transformers' own types have it
QUESTION: TemplateDict = {"role": "user", "content": "x"}
SYSTEM_TEXT = "Answer in one word."


class TemplateRefusal(RequestError):
    """What a chat template says of a conversation that it does not take."""


class ModelTemplate:
    """The template of one tokenizer. Raises ModelFilesError for one that no conversation gets through.

    ``knows_tools`` says that it prints tools, calls and results itself, ``takes_system`` that it prints
    a system message: some refuse any. ``sought`` are the texts that it looks for in those of messages, as templates of
    models that think do, to leave out thoughts.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.chat_template:
            raise ModelFilesError("The model's tokenizer has no chat template. Choose an -Instruct or -Chat model.")
        self._tokenizer = tokenizer
        self._templates: dict[str, BoundedTemplate] = {}
        self.knows_tools = "tools" in str(tokenizer.chat_template)
        self.takes_system = self._takes_system()
        self.sought = frozenset().union(*self._all_sought())

    def render(
        self,
        messages: list[TemplateDict],
        tools: list[TemplateDict],
        variables: Mapping[str, object],
        options: TemplateOptions = PLAIN_TEMPLATE,
    ) -> str:
        """The text of a conversation. Raises TemplateRefusal."""
        try:
            template = self._template(bool(tools))
            known = {name: variables[name] for name in template.variables - GIVEN_VARIABLES if name in variables}
            values = {
                **self._tokenizer.special_tokens_map,
                **known,
                "messages": messages,
                "tools": tools or None,
                "documents": None,
                "add_generation_prompt": options.open_answer and not options.continue_final,
            }
            return template.render(values)
        except REFUSALS as refused:
            raise TemplateRefusal(
                f"The model's chat template refuses this conversation: {refused}", param="messages"
            ) from refused

    def _takes_system(self) -> bool:
        """Whether a system message shows. A template that refuses even a question alone does not tell."""
        if self._tried([QUESTION]) is None:
            return True
        return SYSTEM_TEXT in (self._tried([{"role": "system", "content": SYSTEM_TEXT}, QUESTION]) or "")

    def _tried(self, messages: list[TemplateDict]) -> str | None:
        try:
            return self.render(messages, [], {})
        except TemplateRefusal as refusal:
            if isinstance(refusal.__cause__, TemplateTooCostly | TemplateSyntaxError):
                raise ModelFilesError(
                    f"The model's chat template cannot be used: {refusal.__cause__} Mend it, or choose another model."
                ) from refusal
        except Exception:  # the template's own mistake: the conversations that meet it are told
            pass
        return None

    def _all_sought(self) -> Iterator[frozenset[str]]:
        for with_tools in (False, True):
            with suppress(*REFUSALS):  # there may be none for both
                yield self._template(with_tools).sought

    def _template(self, with_tools: bool) -> BoundedTemplate:
        """The template that is for conversations with tools, or for those without: mostly the same one."""
        source = str(self._tokenizer.get_chat_template(tools=[{}] if with_tools else None))
        if source not in self._templates:
            self._templates[source] = BoundedTemplate(source)
        return self._templates[source]
