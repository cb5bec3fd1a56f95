"""Request processor: from a request to a sequence the worker can run. Everything that can be refused is, here."""

from __future__ import annotations

import itertools
import math
import secrets
import time
from collections.abc import Callable

from tokenizers import Tokenizer

from qwen_app.chat.template import PromptEncoder
from qwen_app.engine.local.detokenize import Detokenizer
from qwen_app.engine.local.event_queue import EventQueue
from qwen_app.engine.local.sequence import Constraint, SequenceState
from qwen_app.errors import ContextLengthExceeded, RequestError
from qwen_app.messages import GenerationRequest, Tool
from qwen_app.structured.closing.budget_closer import BudgetCloser
from qwen_app.structured.grammars.compiler import GrammarCompiler


class RequestProcessor:
    """Encodes prompts, checks limits, compiles grammars, for one model. ``clock`` is the worker's, in seconds.

    Thread-safe, and slow enough (long prompts, schemas) to keep off event loops.
    """

    def __init__(
        self,
        encoder: PromptEncoder,
        compiler: GrammarCompiler,
        tokenizer: Tokenizer,
        *,
        eos_ids: frozenset[int],
        context_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._encoder = encoder
        self._compiler = compiler
        self._tokenizer = tokenizer
        self._eos_ids = eos_ids
        self._context_tokens = context_tokens
        self._clock = clock
        self._numbers = itertools.count()

    def process(self, request: GenerationRequest, events: EventQueue) -> SequenceState:
        """``request`` as a sequence that answers into ``events``.

        Raises RequestError where the request cannot be answered as it is.
        """
        banned_ids = self._banned_ids(request)
        prompt_ids = self._prompt_ids(request, banned_ids)
        limit_tokens = self._limit_tokens(request, len(prompt_ids))
        now = self._clock()
        seed = request.sampling.seed
        return SequenceState(
            request_id=f"{request.request_id}#{next(self._numbers)}",
            user=request.user,
            prompt_ids=prompt_ids,
            params=request.sampling,
            seed=secrets.randbelow(2**31) if seed is None else seed,
            limit_tokens=limit_tokens,
            deadline=math.inf if request.timeout_s is None else now + request.timeout_s,
            submitted=now,
            eos_ids=self._eos_ids,
            detokenizer=Detokenizer(self._tokenizer, request.sampling.stop),
            events=events,
            constraint=self._constraint(request, limit_tokens),
            banned_ids=banned_ids,
        )

    def _banned_ids(self, request: GenerationRequest) -> tuple[int, ...]:
        return self._compiler.banned_token_ids(request.tool_choice) if request.tools else ()

    def _prompt_ids(self, request: GenerationRequest, banned_ids: tuple[int, ...]) -> list[int]:
        if request.prompt is None:
            if not request.messages:
                raise RequestError("There is nothing to answer: give messages or a prompt.", param="messages")
            return self._encoder.encode(request.messages, _shown_tools(request, banned_ids))
        ids = self._encoder.encode_text(request.prompt)
        if not ids:
            raise RequestError("The prompt is empty. Give it some text to continue.", param="prompt")
        return ids

    def _limit_tokens(self, request: GenerationRequest, prompt_tokens: int) -> int:
        context = min(self._context_tokens, request.context_tokens or self._context_tokens)
        max_tokens = request.sampling.max_tokens
        room = context - prompt_tokens
        if max_tokens and request.policy.cap_answer:
            max_tokens = min(max_tokens, max(1, room))
        if room < (max_tokens or 1):
            param = "messages" if request.prompt is None else "prompt"
            raise ContextLengthExceeded(prompt_tokens, max_tokens or 1, context, param=param)
        return max_tokens or room

    def _constraint(self, request: GenerationRequest, limit_tokens: int) -> Constraint | None:
        grammar = self._compiler.compile_request(request)
        if grammar is None:
            return None
        if limit_tokens < grammar.minimum_tokens:
            raise RequestError(
                f"The smallest answer this schema allows takes {grammar.minimum_tokens} tokens, and there is room for "
                f"{limit_tokens}. Allow more tokens.",
                param="max_tokens",
            )
        free_text = bool(request.tools) and request.tool_choice.mode == "auto" and request.grammar is None
        return Constraint(grammar.new_state(), BudgetCloser(), free_text)


def _shown_tools(request: GenerationRequest, banned_ids: tuple[int, ...]) -> tuple[Tool, ...]:
    """With choice ``none`` the prompt keeps the tools, and its cached beginning, only where a ban holds calls back."""
    return request.tools if request.tool_choice.mode != "none" or banned_ids else ()
