"""The page's one public endpoint, ``/chat``, for gradio_client: messages and settings in, the answer's text out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import gradio as gr

from qwen_app.messages import Failed, GenerationRequest, JsonObject, Message
from qwen_app.service import Service
from qwen_app.ui.shared.context import PageContext, visitor
from qwen_app.ui.shared.generation_controls import DEFAULT_ANSWER_TOKENS, HOTTEST, SEED_MAX
from qwen_app.ui.shared.stream import follow

ROLES = ("system", "user", "assistant")


def add_endpoint(page: PageContext) -> None:
    """Offer ``/chat``. It keeps nothing: the whole conversation comes with every call."""
    service = page.service

    async def chat(
        request: gr.Request,
        messages: list[dict[str, object]],
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int = DEFAULT_ANSWER_TOKENS,
        seed: int | None = None,
        json_mode: bool = False,
    ) -> AsyncGenerator[str, None]:
        """Stream the answer to ``messages`` (dicts with role and content), each item the text so far."""
        _check("temperature", temperature, 0, HOTTEST)
        _check("top_p", top_p, 0.01, 1)
        _check("max_tokens", max_tokens, 1, service.info().context_tokens, whole=True)
        _check("seed", seed, 0, SEED_MAX, whole=True)
        generation = GenerationRequest(
            request_id=service.new_request_id(),
            messages=_messages(messages),
            sampling=service.sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed),
            user=visitor(request),
            grammar=JsonObject() if json_mode else None,
        )
        async with aclosing(_texts(service, generation)) as texts:
            async for text in texts:
                yield text

    gr.events.api(chat, api_name="chat")


async def _texts(service: Service, request: GenerationRequest) -> AsyncGenerator[str, None]:
    async with (
        aclosing(service.generate(request)) as events,
        aclosing(follow(events, asyncio.Event())) as snapshots,
    ):
        async for progress in snapshots:
            if isinstance(progress.end, Failed):
                raise _refusal(progress.end.error.message)
            yield progress.text


def _messages(messages: object) -> tuple[Message, ...]:
    if not isinstance(messages, list) or not messages:
        raise _refusal("messages must be a list with at least one message in it.")
    return tuple(_message(message, number) for number, message in enumerate(messages))


def _message(message: object, number: int) -> Message:
    role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
    if role not in ROLES or not isinstance(content, str):
        raise _refusal(f"messages[{number}] must be a dict with a role ({', '.join(ROLES)}) and a content text.")
    return Message(role, content)


def _check(name: str, value: object, low: float, high: float, *, whole: bool = False) -> None:
    kind = int if whole else int | float
    if value is not None and not (isinstance(value, kind) and low <= value <= high):
        raise _refusal(f"{name} must be a number from {low} to {high}{', without a fraction' if whole else ''}.")


def _refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)
