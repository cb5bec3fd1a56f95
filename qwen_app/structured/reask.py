"""Answers to schemas that a grammar cannot enforce: checked when whole, asked for once more, never wrong in silence."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Protocol

from qwen_app.errors import SchemaError, SchemaNotMet
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    GrammarSpec,
    JsonSchema,
    Message,
    Prefill,
    Queued,
    Timings,
)
from qwen_app.structured.schema_check import Schema


class Validate(Protocol):
    """What is wrong with ``text`` as a document for ``schema``; None where nothing is."""

    async def __call__(self, text: str, schema: Schema) -> str | None: ...


Generate = Callable[[GenerationRequest], AsyncGenerator[Event, None]]


def may_need_reask(grammar: GrammarSpec | None) -> bool:
    return isinstance(grammar, JsonSchema) and not grammar.strict


async def answer_with_reask(
    generate: Generate, request: GenerationRequest, validate: Validate
) -> AsyncGenerator[Event, None]:
    """The answer to ``request``, whose schema need not be enforceable. Same contract as ``generate``.

    Where the grammar can enforce all of the schema the answer streams as ever. Else its text is held back until it is
    whole; one that does not match the schema is asked for once more, with what was wrong; then the request fails. An
    answer that its token limit ended passes as it is: its reason says so. ``validate`` says what is wrong with a text
    as a document for a schema; what it raises is raised.
    """
    if not isinstance(request.grammar, JsonSchema):
        raise ValueError("only an answer that is held to a schema can be asked for once more")
    strict = dataclasses.replace(request, grammar=dataclasses.replace(request.grammar, strict=True))
    async with aclosing(generate(strict)) as events:
        first = await anext(events)
        if not _cannot_enforce(first):
            yield first
            async for event in events:
                yield event
            return
    async with aclosing(_checked(generate, request, partial(validate, schema=request.grammar.schema))) as events:
        async for event in events:
            yield event


def _cannot_enforce(event: Event) -> bool:
    return isinstance(event, Failed) and isinstance(event.error, SchemaError)


async def _checked(
    generate: Generate, request: GenerationRequest, validate: Callable[[str], Awaitable[str | None]]
) -> AsyncGenerator[Event, None]:
    first = _Draft(request)
    async with aclosing(first.write(generate)) as events:
        async for event in events:
            yield event
    problem = await first.problem(validate)
    if problem is None:
        for event in first.held:
            yield event
        return
    second = _Draft(_reask(request, first.text, problem))
    async with aclosing(second.write(generate)) as events:
        async for _ in events:  # its place in the queue and its prefill are no news
            pass
    problem = await second.problem(validate)
    if problem is not None:
        yield Failed(SchemaNotMet(problem))
        return
    for event in second.held:
        yield _with_cost_of(first.held[-1], event)


class _Draft:
    """An answer of which ``held`` keeps all that came after the prompt was read."""

    def __init__(self, request: GenerationRequest) -> None:
        self._request = request
        self.held: list[Event] = []

    async def write(self, generate: Generate) -> AsyncGenerator[Event, None]:
        """Hold the answer back; yields what comes before it."""
        async with aclosing(generate(self._request)) as events:
            async for event in events:
                if isinstance(event, Queued | Prefill):
                    yield event
                else:
                    self.held.append(event)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.held if isinstance(event, Delta))

    async def problem(self, validate: Callable[[str], Awaitable[str | None]]) -> str | None:
        """What is wrong with a whole answer. A failed or cut one and a tool call say themselves what they are."""
        end = self.held[-1]
        if not isinstance(end, Finished) or end.reason != "stop":
            return None
        return await validate(self.text)


def _reask(request: GenerationRequest, answer: str, problem: str) -> GenerationRequest:
    complaint = f"This does not match the schema. {problem} Answer again, with the corrected JSON alone."
    messages = (*request.messages, Message("assistant", answer), Message("user", complaint))
    return dataclasses.replace(request, request_id=f"{request.request_id}-again", messages=messages)


def _with_cost_of(first: Event, event: Event) -> Event:
    """``event``; an end tells what both tries cost together."""
    if not isinstance(first, Finished) or not isinstance(event, Finished):
        return event
    timings = Timings(
        first.timings.queued_s,
        first.timings.total_s + event.timings.first_token_s,
        first.timings.total_s + event.timings.total_s,
    )
    return dataclasses.replace(event, usage=first.usage + event.usage, timings=timings)
