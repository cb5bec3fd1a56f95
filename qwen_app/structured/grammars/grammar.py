"""Grammars: what may come next, as a mask over the vocabulary, from llguidance.

A grammar is compiled off the worker thread, once; every answer then has a state of its own. Taking the interpreter lock
back after a call into llguidance can cost a thread switch interval: a process with other busy threads should lower it
(``sys.setswitchinterval(0.0005)``), and all rows of a batch should be filled in one call (``fill_masks``).
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import Any

import numpy as np
from llguidance import LLExecutor, LLMatcher
from numpy.typing import NDArray

from qwen_app.errors import SchemaError
from qwen_app.messages import GrammarSpec, Tool, ToolChoice
from qwen_app.structured.closing.completion_search import PATIENT, EndingSearch, encode_ending
from qwen_app.structured.grammars.compile import CompiledGrammar, compile_spec, parser_limits
from qwen_app.structured.grammars.tool_grammar import compile_tools
from qwen_app.structured.json_text import StringTracker
from qwen_app.structured.vocabulary import Vocabulary
from qwen_app.tools.prompt_format import OPEN, described

CACHE_ENTRIES = 64
MASK_THREADS = 2
UNBOUNDED = 1 << 30
COMMITMENT_SLACK = 16  # brackets that one token can open


class GrammarState:
    """Where one answer stands in its grammar. Belongs to one request and is used by one thread at a time."""

    __slots__ = ("_matcher", "_vocabulary", "grammar", "token_ids")

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary, matcher: LLMatcher, token_ids: list[int]) -> None:
        self.grammar = grammar
        self.token_ids = token_ids
        self._vocabulary = vocabulary
        self._matcher = matcher

    def accept(self, token_id: int) -> None:
        """Go on by one token. Raises SchemaError when the grammar does not allow it or outgrew its limits."""
        if not self._matcher.consume_token(token_id):
            raise SchemaError(self.error or f"Token {token_id} is not allowed here by the grammar.")
        self.token_ids.append(token_id)

    @property
    def error(self) -> str:
        """Why this answer cannot go on; empty while it can. The mask of such a state allows only the end."""
        return f"The answer outgrew the limits of its grammar: {self._problem()}" if self._matcher.is_error() else ""

    def _problem(self) -> str:
        return str(self._matcher.get_error()).splitlines()[0]

    def is_done(self) -> bool:
        """Nothing but an end token may follow."""
        return bool(self._matcher.is_stopped())

    def may_end(self) -> bool:
        """The text so far is a whole answer, though more may follow."""
        return bool(self._matcher.is_accepting())

    def text(self) -> bytes:
        """All that was accepted, end tokens left out. May end inside a character."""
        return self._vocabulary.decode(self.token_ids)

    def strings(self) -> StringTracker | None:
        """Whether the answer stands inside a JSON string; None for grammars that are not JSON."""
        return self.grammar.compiled.track(self.text())

    def closing_bytes(self) -> bytes | None:
        """The shortest legal ending found from here; None when the search gave up."""
        return self.grammar.search.shortest(self._matcher, self.strings())

    def closing_tokens(self, guess: bytes | None = None) -> list[int]:
        """A short legal ending from here as token ids, end token left out; empty when it may end now.

        ``guess`` is taken where it is legal, which is much cheaper than a search: endings change little from token to
        token. Raises SchemaError when no ending was found in reasonable time.
        """
        if not self.token_ids:
            return list(self.grammar.smallest)
        if self.may_end():
            return []
        if guess is not None and (guessed := self._whole_ending(guess)) is not None:
            return guessed
        ending = self.closing_bytes()
        token_ids = None if ending is None else encode_ending(self._matcher, self._vocabulary, ending)
        if token_ids is None:
            raise SchemaError("No legal ending of this answer was found in reasonable time. Use a simpler schema.")
        return token_ids

    def _whole_ending(self, ending: bytes) -> list[int] | None:
        token_ids = encode_ending(self._matcher, self._vocabulary, ending)
        matcher = self._matcher.deep_copy()
        return token_ids if token_ids and matcher.consume_tokens(token_ids) and matcher.is_accepting() else None

    def copy(self) -> GrammarState:
        return GrammarState(self.grammar, self._vocabulary, self._matcher.deep_copy(), list(self.token_ids))


class Grammar:
    """A compiled grammar, shared by all answers that use it.

    ``smallest`` is the smallest whole answer as token ids. ``commitment_tokens`` is about how much longer the shortest
    ending can become by one more token. ``exact`` is False when the schema was compiled leniently: the finished text
    must then be put to ``validate``.
    """

    def __init__(self, compiled: CompiledGrammar, vocabulary: Vocabulary) -> None:
        self.compiled = compiled
        self.exact = compiled.exact
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        self._matcher = LLMatcher(vocabulary.ll, compiled.source, log_level=0, limits=parser_limits())
        self.search = EndingSearch(vocabulary, compiled.endings)
        self.smallest = tuple(self._smallest())
        self.commitment_tokens = self._commitment()

    @property
    def end_token(self) -> int:
        return min(self._vocabulary.eos_ids)

    def ends(self, token_id: int) -> bool:
        return token_id in self._vocabulary.eos_ids

    def text_of(self, token_ids: Sequence[int]) -> bytes:
        return self._vocabulary.decode(token_ids)

    def byte_token(self, byte: int) -> int:
        return self._vocabulary.byte_ids[byte]

    @property
    def minimum_tokens(self) -> int:
        """Tokens of the smallest whole answer, end token left out. A smaller budget cannot be kept."""
        return len(self.smallest)

    def _smallest(self) -> list[int]:
        found = [text for text in (self._searched(), self.compiled.example) if text is not None]
        endings = [encode_ending(self._matcher, self._vocabulary, text) for text in found]
        whole = [token_ids for token_ids in endings if token_ids is not None and self._is_whole(token_ids)]
        if not whole:
            raise SchemaError("No answer that satisfies this grammar was found. Use a simpler one.")
        return min(whole, key=len)

    def _commitment(self) -> int:
        if self.compiled.commitment is None:
            return UNBOUNDED
        return len(self._vocabulary.encode(self.compiled.commitment)) + COMMITMENT_SLACK

    def _searched(self) -> bytes | None:
        return self.search.shortest(self._matcher, self.compiled.track(b""), PATIENT)

    def _is_whole(self, token_ids: list[int]) -> bool:
        matcher = self._matcher.deep_copy()
        return bool(matcher.consume_tokens(token_ids) and matcher.is_accepting())

    def new_state(self) -> GrammarState:
        with self._lock:
            return GrammarState(self, self._vocabulary, self._matcher.deep_copy(), [])

    def validate(self, text: str) -> str | None:
        """What is wrong with a finished ``text``, as a sentence with the place; None when nothing is.

        For ``exact`` grammars only duplicate keys can be found. Ask the model once more with the sentence appended,
        then give up with it as the error.
        """
        return self.compiled.validate(text)


class GrammarCompiler:
    """Compiles what answers must look like, for one tokenizer and logits width. Thread-safe; call it off the worker.

    Nothing is built before the first use. The last grammars used are kept.
    """

    def __init__(self, tokenizer: Any, *, vocab_size: int, eos_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._eos_ids = tuple(eos_ids)
        self._lock = threading.Lock()
        self._vocabulary: Vocabulary | None = None
        self._cache: OrderedDict[Hashable, Grammar] = OrderedDict()

    @property
    def vocabulary(self) -> Vocabulary:
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = Vocabulary(self._tokenizer, vocab_size=self._vocab_size, eos_ids=self._eos_ids)
            return self._vocabulary

    def compile(self, spec: GrammarSpec) -> Grammar:
        """Raises SchemaError that names the keyword and its JSON pointer when ``spec`` cannot be enforced."""
        return self._cached(spec, lambda vocabulary: compile_spec(spec, vocabulary))

    def compile_tools(self, tools: Sequence[Tool], choice: ToolChoice, answer: GrammarSpec | None = None) -> Grammar:
        """The grammar of answers that call ``tools`` as ``choice`` says; for ``none`` see ``banned_token_ids``.

        ``answer`` is the format of answers that call nothing. Raises SchemaError that names the tool and the keyword.
        """
        if choice.mode == "none":
            raise ValueError("tool_choice none has no grammar: ban the tokens that open a call")
        key = (json.dumps([described(tool) | {"strict": tool.strict} for tool in tools]), choice, answer)
        return self._cached(key, lambda vocabulary: compile_tools(tools, choice, answer, vocabulary))

    def banned_token_ids(self, choice: ToolChoice) -> tuple[int, ...]:
        """Ids that may never be drawn under ``choice``: for ``none`` the token that opens a call, where it is one."""
        opener = self.vocabulary.token_id(OPEN) if choice.mode == "none" else None
        return () if opener is None else (opener,)

    def _cached(self, key: Hashable, build: Callable[[Vocabulary], CompiledGrammar]) -> Grammar:
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


@cache
def _executor() -> LLExecutor:
    return LLExecutor(num_threads=MASK_THREADS)


def fill_masks(states: Sequence[GrammarState], rows: NDArray[np.int32]) -> None:
    """Fill ``rows[i]`` with what ``states[i]`` allows next: bit ``k`` of the row is set when token ``k`` may come.

    ``rows`` is C-contiguous int32 ``[len(states), ceil(vocab_size / 32)]``. One call for all rows.
    """
    if len(states) == 1:
        states[0]._matcher.unsafe_compute_mask_ptr(rows.ctypes.data, rows.shape[1] * 4)
    elif states:
        pairs = [(state._matcher, index) for index, state in enumerate(states)]
        _executor().unsafe_compute_mask_ptr(pairs, rows.ctypes.data, rows.shape[1] * 4, len(states))
