"""Servers as RemoteEngine meets them: what each sends, in its own shape."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.engine.remote.upstream import Reply, Request, Upstream

MODEL = "tiny"


def words(text: str) -> int:
    return len(text.split())


def count_messages(body: Mapping[str, Any]) -> int:
    """The pretend tokenizer: a word is a token, a message four more, a tool ten."""
    messages = body.get("messages") or ()
    return sum(4 + words(message["content"] or "") for message in messages) + 10 * len(body.get("tools") or ())


@dataclass
class VllmLike:
    """vLLM's surface over a model that says ``word0 word1 ...`` until it is cut."""

    context_tokens: int = 1024
    token_s: float = 0.002
    tokens_made: int = 0

    def upstream(self) -> Upstream:
        return Upstream(
            {
                "GET /v1/models": self.models,
                "GET /health": self.health,
                "GET /version": self.version,
                "POST /tokenize": self.tokenize,
                "POST /detokenize": self.detokenize,
                "POST /v1/chat/completions": self.complete,
                "POST /v1/completions": self.complete,
            }
        )

    async def models(self, request: Request, reply: Reply) -> None:
        entry = {"id": MODEL, "object": "model", "owned_by": "vllm", "max_model_len": self.context_tokens}
        await reply.json({"object": "list", "data": [entry]})

    async def health(self, request: Request, reply: Reply) -> None:
        await reply.raw(b"")

    async def version(self, request: Request, reply: Reply) -> None:
        await reply.json({"version": "0.32.0"})

    async def tokenize(self, request: Request, reply: Reply) -> None:
        if "messages" in request.body:
            await reply.json(
                {"count": count_messages(request.body), "max_model_len": self.context_tokens, "tokens": []}
            )
        else:
            ids = list(request.body["prompt"].encode())
            await reply.json({"count": len(ids), "max_model_len": 1, "tokens": ids})

    async def detokenize(self, request: Request, reply: Reply) -> None:
        await reply.json({"prompt": bytes(request.body["tokens"]).decode()})

    async def complete(self, request: Request, reply: Reply) -> None:
        body = request.body
        chat = "messages" in body
        prompt_tokens = count_messages(body) if chat else len(body["prompt"].encode())
        max_tokens = body.get("max_tokens")
        if prompt_tokens + (max_tokens or 1) > self.context_tokens:
            await self._refuse(reply, prompt_tokens, max_tokens or 1)
            return
        limit = max_tokens or self.context_tokens - prompt_tokens
        await reply.stream()
        for index in range(limit):
            await asyncio.sleep(self.token_s)
            if reply.gone:
                return
            self.tokens_made += 1
            await reply.event(piece(f"word{index} ", chat=chat))
        await reply.event(piece("", chat=chat, finish="length"))
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": limit, "total_tokens": prompt_tokens + limit}
        await reply.event({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        await reply.event("[DONE]")
        await reply.end()

    async def _refuse(self, reply: Reply, prompt_tokens: int, answer_tokens: int) -> None:
        message = (
            f"This model's maximum context length is {self.context_tokens} tokens. However, you requested "
            f"{prompt_tokens + answer_tokens} tokens ({prompt_tokens} in the messages, "
            f"{answer_tokens} in the completion)."
        )
        error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
        await reply.json({"error": error}, 400)


def piece(text: str, *, chat: bool = True, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of a stream."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
    choice |= {"delta": {"content": text}} if chat else {"text": text}
    kind = "chat.completion.chunk" if chat else "text_completion"
    return {"id": "c1", "object": kind, "created": 1, "model": MODEL, "choices": [choice | more]}
