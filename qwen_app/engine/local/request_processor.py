"""Request processor: from a request to a sequence the worker can run. Everything that can be refused is, here."""

from __future__ import annotations

import itertools
import logging
import math
import secrets
from collections.abc import Sequence

from qwen_app.chat.template import PromptEncoder
from qwen_app.engine.local.steps.answer_text import AnswerText
from qwen_app.engine.local.steps.detokenize import Detokenizer
from qwen_app.engine.local.steps.event_queue import EventQueue
from qwen_app.engine.local.steps.sequence import Constraint, SequenceState
from qwen_app.engine.local.steps.spelling import Spelling
from qwen_app.errors import AppError, ContextLengthExceeded, EngineError, RequestError
from qwen_app.messages import GenerationRequest, Tool
from qwen_app.structured.closing.budget_closer import BudgetCloser, ClosableState
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.tools.prompt_format import CALL_OPEN
from qwen_app.tools.stop_search import StopSearch

log = logging.getLogger(__name__)


class RequestProcessor:
    """Encodes prompts, checks limits, compiles grammars, for one model.

    Ids below ``vocab_size`` can be read and drawn; on a card one beyond would end the process.

    Thread-safe, and slow enough (long prompts, schemas) to keep off event loops.
    """

    def __init__(
        self,
        encoder: PromptEncoder,
        compiler: GrammarCompiler,
        spelling: Spelling,
        *,
        vocab_size: int,
        eos_ids: frozenset[int],
        context_tokens: int,
        forces_tokens: bool,
    ) -> None:
        self._encoder = encoder
        self._compiler = compiler
        self._spelling = spelling
        self._vocab_size = vocab_size
        self._eos_ids = eos_ids
        self._context_tokens = context_tokens
        self._forces_tokens = forces_tokens
        self._numbers = itertools.count()

    def process(self, request: GenerationRequest, events: EventQueue, arrived: float) -> SequenceState:
        """``request``, which ``arrived`` then on the worker's clock, as a sequence that answers into ``events``.

        Raises RequestError where the request cannot be answered as it is, EngineError where the fault is ours.
        """
        try:
            return self._sequence_of(request, events, arrived)
        except AppError:
            raise
        except Exception as broken:  # the request's boundary: no exception of another kind leaves the engine
            log.exception("request %s could not be prepared", request.request_id)
            raise EngineError("The request could not be prepared. This is our fault; please report it.") from broken

    def _sequence_of(self, request: GenerationRequest, events: EventQueue, arrived: float) -> SequenceState:
        self._check_ids("logit_bias", [token_id for token_id, _ in request.sampling.logit_bias])
        self._check_ids("stop_token_ids", request.sampling.stop_token_ids)
        banned_ids = self._compiler.banned_token_ids(request.tool_choice) if request.tools else ()
        prompt_ids = self._prompt_ids(request, banned_ids)
        self._check_ids("messages" if request.prompt is None else "prompt", prompt_ids)
        limit_tokens = self._limit_tokens(request, len(prompt_ids))
        constraint = self._constraint(request, limit_tokens)
        seed = request.sampling.seed
        return SequenceState(
            request_id=f"{request.request_id}#{next(self._numbers)}",
            user=request.user,
            prompt_ids=prompt_ids,
            params=request.sampling,
            seed=secrets.randbelow(2**31) if seed is None else seed,
            limit_tokens=limit_tokens,
            deadline=math.inf if request.timeout_s is None else arrived + request.timeout_s,
            submitted=arrived,
            eos_ids=self._eos_ids,
            answer=self._answer(request, prompt_ids, constraint),
            events=events,
            constraint=constraint,
            banned_ids=banned_ids,
            forces_tokens=self._forces_tokens,
        )

    def _answer(
        self, request: GenerationRequest, prompt_ids: Sequence[int], constraint: Constraint | None
    ) -> AnswerText:
        """The text of an answer: a message's own, or one that goes on where the prompt ends. Where all of it is a
        grammar's, it is shown as the grammar reads it, the first blank too."""
        goes_on = request.prompt is not None or request.template.continue_final
        bound = constraint is not None and not constraint.free_text
        continues = bound or (goes_on and not self._spelling.control_ids.issuperset(prompt_ids))
        detokenizer = Detokenizer(self._spelling, continues=continues)
        return AnswerText(detokenizer, StopSearch(request.sampling.stop, _callable_names(request)))

    def _prompt_ids(self, request: GenerationRequest, banned_ids: tuple[int, ...]) -> list[int]:
        if request.prompt is None:
            if not request.messages:
                raise RequestError("There is nothing to answer: give messages or a prompt.", param="messages")
            return self._encoder.encode(request.messages, _shown_tools(request, banned_ids), request.template)
        if request.suffix is not None:
            ids = self._encoder.filled_in(request.prompt, request.suffix)
        elif isinstance(request.prompt, str):
            ids = self._encoder.encode_prompt(request.prompt)
        else:
            ids = list(request.prompt)
        if not ids:
            raise RequestError("The prompt is empty. Give it some text to continue.", param="prompt")
        return ids

    def _check_ids(self, param: str, token_ids: Sequence[int]) -> None:
        """Raises RequestError for token ids that the model does not have."""
        if (highest := max(token_ids, default=0)) >= self._vocab_size:
            raise RequestError(f"{highest} is no token: ids go from 0 to {self._vocab_size - 1}.", param=param)

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
        free_text = may_call(request) and request.grammar is None and not request.tool_choice.forced
        if may_call(request) and (free_text or request.tool_choice.forced) and not request.close_cut_calls:
            return Constraint(grammar.new_state(), BudgetCloser(closes=lambda state: False), free_text)
        if limit_tokens < grammar.minimum_tokens:
            raise RequestError(
                f"The smallest answer this schema allows takes {grammar.minimum_tokens} tokens, and there is room for "
                f"{limit_tokens}. Allow more tokens.",
                param="max_tokens",
            )
        closer = BudgetCloser() if request.close_cut_calls else BudgetCloser(closes=_is_document)
        return Constraint(grammar.new_state(), closer, free_text)


def may_call(request: GenerationRequest) -> bool:
    """Whether the answer may hold calls: there are tools, and calling them is not ruled out."""
    return bool(request.tools) and request.tool_choice.mode != "none"


def _callable_names(request: GenerationRequest) -> list[str]:
    return [tool.name for tool in request.tools] if may_call(request) else []


def _is_document(state: ClosableState) -> bool:
    """A call, which begins with its tag, is cut where the limit comes: made to look whole, somebody would make it."""
    return not state.grammar.text_of(state.token_ids[:1]).startswith(CALL_OPEN[:1].encode())


def _shown_tools(request: GenerationRequest, banned_ids: tuple[int, ...]) -> tuple[Tool, ...]:
    """With choice ``none`` the prompt keeps the tools, and its cached beginning, only where a ban holds calls back."""
    return request.tools if request.tool_choice.mode != "none" or banned_ids else ()
