"""Compiles grammars, off the worker thread and each but once: every answer then has a state of its own."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

from qwen_app.errors import SchemaError
from qwen_app.messages import GenerationRequest, GrammarSpec, Tool, ToolChoice
from qwen_app.structured.grammars.grammar import Grammar
from qwen_app.structured.grammars.grammar_source import GrammarSource, source_of
from qwen_app.structured.grammars.tool_grammar import tools_source, unbound
from qwen_app.structured.vocabulary import AnyTokenizer, Vocabulary
from qwen_app.tools.prompt_format import CALL_OPEN

CACHE_ENTRIES = 64


class GrammarCompiler:
    """Compiles what answers must look like, for one tokenizer and logits width. Thread-safe; call it off the worker.

    Nothing is built before the first use. The last grammars used are kept.
    """

    def __init__(self, tokenizer: AnyTokenizer, *, vocab_size: int, eos_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._eos_ids = tuple(eos_ids)
        self._lock = threading.Lock()
        self._vocabulary: Vocabulary | None = None
        self._cache: OrderedDict[Hashable, Grammar] = OrderedDict()

    def prepare(self) -> None:
        """Make what all grammars share, a second's work for a large vocabulary, in which Python's other threads stand
        still; else the first of them does. Raises SchemaError for a tokenizer that no grammar can be for."""
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = self._made()

    @property
    def vocabulary(self) -> Vocabulary:
        self.prepare()
        assert self._vocabulary is not None
        return self._vocabulary

    def _made(self) -> Vocabulary:
        try:
            return Vocabulary(self._tokenizer, vocab_size=self._vocab_size, eos_ids=self._eos_ids)
        except ValueError as unknown:  # llguidance reads bytes alone
            raise SchemaError(
                "This model cannot be held to a format, nor call tools: its tokenizer is of a kind that is not known "
                "here."
            ) from unknown

    def compile(self, spec: GrammarSpec) -> Grammar:
        """Raises SchemaError that names the keyword and its JSON pointer when ``spec`` cannot be enforced."""
        return self._cached(spec, lambda vocabulary: source_of(spec, vocabulary))

    def compile_tools(self, tools: Sequence[Tool], choice: ToolChoice, answer: GrammarSpec | None = None) -> Grammar:
        """The grammar of answers that call ``tools`` as ``choice`` says; for ``none`` see ``banned_token_ids``.

        ``answer`` is the format of answers that call nothing. Raises SchemaError that names the tool and the keyword,
        for strict tools alone: others are called with any object where their set as a whole is no grammar.
        """
        if choice.mode == "none":
            raise ValueError("tool_choice none has no grammar: ban the tokens that open a call")
        key = (json.dumps([[tool.name, tool.parameters, tool.strict] for tool in tools]), choice, answer)
        try:
            return self._cached(key, lambda vocabulary: tools_source(tools, choice, answer, vocabulary))
        except SchemaError:
            if all(tool.strict for tool in tools):
                raise
        return self._cached(key, lambda vocabulary: tools_source(unbound(tools), choice, answer, vocabulary))

    def compile_request(self, request: GenerationRequest) -> Grammar | None:
        """The grammar that the answer to ``request`` is held to, None where it is free. Raises SchemaError as above."""
        if request.tools and request.tool_choice.mode != "none":
            return self.compile_tools(request.tools, request.tool_choice, request.grammar)
        return self.compile(request.grammar) if request.grammar else None

    def banned_token_ids(self, choice: ToolChoice) -> tuple[int, ...]:
        """Ids that may never be drawn under ``choice``: for ``none`` the token that opens a call, where it is one."""
        opener = self.vocabulary.token_id(CALL_OPEN) if choice.mode == "none" else None
        return () if opener is None else (opener,)

    def _cached(self, key: Hashable, build: Callable[[Vocabulary], GrammarSource]) -> Grammar:
        vocabulary = self.vocabulary
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        grammar = Grammar(build(vocabulary), vocabulary)
        with self._lock:
            self._cache[key] = grammar
            while len(self._cache) > CACHE_ENTRIES:
                self._cache.popitem(last=False)
        return grammar
