"""What fits: the prompt's tokens, and what the context leaves for the answer."""

from __future__ import annotations

import logging

from qwen_app.engine.remote.connection.server_info import ServerInfo
from qwen_app.engine.remote.connection.token_counter import NO_COUNT, EstimatedTokenCounter, estimate_tokens
from qwen_app.engine.remote.connection.upstream_client import UpstreamClient
from qwen_app.engine.remote.connection.upstream_errors import UpstreamFailure, words_of
from qwen_app.engine.remote.tools_as_prompt import written_out
from qwen_app.errors import AppError, ContextLengthExceeded, RequestError
from qwen_app.messages import GenerationRequest, Usage

log = logging.getLogger(__name__)

TEMPLATE_BYTES = 256  # more tokens than any template adds around one message
DEFAULT_ROOM_TOKENS = 1024  # where neither side names a context and the server's own default would be a few words
TOKENIZER_ERRORS = (*NO_COUNT, OSError, RequestError)


class ContextBudget:
    """For one request. ``own_limit_tokens`` is the operator's, 0 for none."""

    def __init__(self, upstream: UpstreamClient, own_limit_tokens: int) -> None:
        self._upstream = upstream
        self._own_limit_tokens = own_limit_tokens
        self._counted_tokens = 0

    def limit_tokens(self, request: GenerationRequest) -> int:
        """The smallest context that anybody set, 0 where nobody did."""
        server = self._upstream.server
        limits = (server.context_tokens if server else 0, self._own_limit_tokens, request.context_tokens or 0)
        return min((limit for limit in limits if limit), default=0)

    async def room_tokens(self, request: GenerationRequest, server: ServerInfo) -> int | None:
        """Tokens left for the answer, None where the server's own default will do.

        Raises ContextLengthExceeded where nothing is left. A server that would find that itself is trusted to, unless
        only we know of the limit.
        """
        limit_tokens = self.limit_tokens(request)
        max_tokens = request.sampling.max_tokens
        if request.policy.cap_answer and max_tokens:
            return await self._capped_tokens(request, max_tokens, limit_tokens)
        profile = server.profile
        ours = limit_tokens != server.context_tokens or profile.truncates
        unbounded = max_tokens is None and (ours or profile.needs_max_tokens or request.prompt is not None)
        if not limit_tokens:
            return DEFAULT_ROOM_TOKENS if unbounded else None
        if not unbounded and _most_tokens(request) + (max_tokens or 1) <= limit_tokens:
            return None
        prompt_tokens = await self.prompt_tokens(request)
        over = prompt_tokens + (max_tokens or 1) > limit_tokens
        if over and (ours or self._upstream.token_counter.exact):
            raise ContextLengthExceeded(prompt_tokens, max_tokens or 1, limit_tokens)
        return max(1, limit_tokens - prompt_tokens) if unbounded else None

    async def _capped_tokens(self, request: GenerationRequest, max_tokens: int, limit_tokens: int) -> int | None:
        """``max_tokens`` or the room that is left; None where all of them surely fit."""
        if not limit_tokens or _most_tokens(request) + max_tokens <= limit_tokens:
            return None
        room_tokens = limit_tokens - await self.prompt_tokens(request)
        if room_tokens < 1 and self._upstream.token_counter.exact:
            raise ContextLengthExceeded(limit_tokens - room_tokens, 1, limit_tokens)
        return max(1, min(max_tokens, room_tokens))

    async def prompt_tokens(self, request: GenerationRequest) -> int:
        """Counted as well as it can be; once."""
        if not self._counted_tokens:
            self._counted_tokens = await self._count(request)
        return self._counted_tokens

    async def text_tokens(self, text: str) -> int:
        try:
            return len(await self._upstream.token_counter.encode(text))
        except TOKENIZER_ERRORS:
            return estimate_tokens(text)

    def estimated_usage(self, request: GenerationRequest, completion_tokens: int) -> Usage:
        """For an answer cut short, when there is no time left to ask."""
        prompt = request.prompt or ""
        texts = [*([prompt] if isinstance(prompt, str) else []), *(message.content for message in request.messages)]
        ids = 0 if isinstance(prompt, str) else len(prompt)
        return Usage(self._counted_tokens or ids + sum(map(estimate_tokens, texts)), completion_tokens)

    async def explain(self, failure: UpstreamFailure, request: GenerationRequest) -> AppError:
        """``failure`` as our error: a prompt that is too long with both its numbers, where they can be had."""
        if failure.overflow:
            prompt_tokens = failure.prompt_tokens or await self.prompt_tokens(request)
            limit_tokens = failure.limit_tokens or self.limit_tokens(request)
            if limit_tokens:
                return ContextLengthExceeded(prompt_tokens, request.sampling.max_tokens or 1, limit_tokens)
        return failure.as_error(self._upstream.title)

    async def _count(self, request: GenerationRequest) -> int:
        if isinstance(request.prompt, str):
            return await self.text_tokens(request.prompt)
        if request.prompt is not None:
            return len(request.prompt)
        if self._upstream.refuses_tools:
            request = written_out(request)
        try:
            return await self._upstream.token_counter.count(request.messages, request.tools)
        except TOKENIZER_ERRORS as error:
            log.warning("the remote tokenizer failed, estimating: %s", words_of(error))
            return await EstimatedTokenCounter().count(request.messages, request.tools)


def _most_tokens(request: GenerationRequest) -> int:
    """More tokens than the prompt can have: a byte is never more than one."""
    prompt = request.prompt or ""
    texts = [prompt if isinstance(prompt, str) else " " * len(prompt), *(one.content for one in request.messages)]
    texts += [call.arguments for message in request.messages for call in message.tool_calls]
    texts += [f"{tool}" for tool in request.tools]
    return sum(len(text.encode()) for text in texts) + TEMPLATE_BYTES * (len(request.messages) + 1)
