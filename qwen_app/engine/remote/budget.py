"""What fits: the prompt's tokens, and what the context leaves for the answer."""

from __future__ import annotations

import logging

import httpx2

from qwen_app.engine.remote.server_info import Peer
from qwen_app.engine.remote.tokens import EstimatedTokens, estimate
from qwen_app.engine.remote.upstream_client import Link
from qwen_app.errors import ContextLengthExceeded, RequestError
from qwen_app.messages import GenerationRequest

log = logging.getLogger(__name__)

TEMPLATE_BYTES = 256  # more tokens than any template adds around one message
DEFAULT_ROOM_TOKENS = 1024  # where neither side names a context and the server's own default would be a few words
TOKENIZER_ERRORS = (httpx2.HTTPError, KeyError, TypeError, ValueError, OSError, RequestError)


class Budget:
    """For one request. ``own_limit_tokens`` is the operator's, 0 for none."""

    def __init__(self, link: Link, own_limit_tokens: int) -> None:
        self._link = link
        self._own_limit_tokens = own_limit_tokens
        self.counted = 0

    def limit_tokens(self, request: GenerationRequest) -> int:
        """The smallest context that anybody set, 0 where nobody did."""
        peer = self._link.peer
        limits = (peer.context_tokens if peer else 0, self._own_limit_tokens, request.context_tokens or 0)
        return min((limit for limit in limits if limit), default=0)

    async def room(self, request: GenerationRequest, peer: Peer) -> int | None:
        """Tokens left for the answer, None where the server's own default will do.

        Raises ContextLengthExceeded where nothing is left. A server that would find that itself is trusted to, unless
        only we know of the limit.
        """
        limit_tokens = self.limit_tokens(request)
        asked_tokens = request.sampling.max_tokens
        if request.policy.cap_answer and asked_tokens:
            return await self._capped(request, asked_tokens, limit_tokens)
        ours = limit_tokens != peer.context_tokens or peer.dialect.truncates
        unbounded = asked_tokens is None and (ours or peer.dialect.needs_max_tokens or request.prompt is not None)
        if not limit_tokens:
            return DEFAULT_ROOM_TOKENS if unbounded else None
        if not unbounded and _most_tokens(request) + (asked_tokens or 1) <= limit_tokens:
            return None
        prompt_tokens = await self.prompt_tokens(request)
        over = prompt_tokens + (asked_tokens or 1) > limit_tokens
        if over and (ours or self._link.tokens.exact):
            raise ContextLengthExceeded(prompt_tokens, asked_tokens or 1, limit_tokens)
        return max(1, limit_tokens - prompt_tokens) if unbounded else None

    async def _capped(self, request: GenerationRequest, asked_tokens: int, limit_tokens: int) -> int | None:
        """``asked_tokens`` or the room that is left; None where all of them surely fit."""
        if not limit_tokens or _most_tokens(request) + asked_tokens <= limit_tokens:
            return None
        room_tokens = limit_tokens - await self.prompt_tokens(request)
        if room_tokens < 1 and self._link.tokens.exact:
            raise ContextLengthExceeded(limit_tokens - room_tokens, 1, limit_tokens)
        return max(1, min(asked_tokens, room_tokens))

    async def prompt_tokens(self, request: GenerationRequest) -> int:
        """Counted as well as it can be; once."""
        if not self.counted:
            self.counted = await self._count(request)
        return self.counted

    async def text_tokens(self, text: str) -> int:
        try:
            return len(await self._link.tokens.encode(text))
        except TOKENIZER_ERRORS:
            return estimate(text)

    async def _count(self, request: GenerationRequest) -> int:
        if request.prompt is not None:
            return await self.text_tokens(request.prompt)
        try:
            return await self._link.tokens.count(request.messages, request.tools)
        except TOKENIZER_ERRORS as error:
            log.warning("the remote tokenizer failed, estimating: %s", error)
            return await EstimatedTokens().count(request.messages, request.tools)


def _most_tokens(request: GenerationRequest) -> int:
    """More tokens than the prompt can have: a byte is never more than one."""
    texts = [request.prompt or "", *(message.content for message in request.messages)]
    texts += [call.arguments for message in request.messages for call in message.tool_calls]
    texts += [f"{tool}" for tool in request.tools]
    return sum(len(text.encode()) for text in texts) + TEMPLATE_BYTES * (len(request.messages) + 1)
