"""The likeliest next tokens after a prompt, from an answer of one token."""

from __future__ import annotations

import dataclasses
from contextlib import aclosing

from qwen_app.errors import EngineError
from qwen_app.messages import Delta, Failed, GenerationRequest, SamplingParams, TokenLogprob
from qwen_app.service import Service

MOST_TOKENS = 20  # as many as may be asked for


async def next_tokens(service: Service, request: GenerationRequest) -> tuple[TokenLogprob, ...]:
    """The likeliest tokens with which ``request`` could be answered, the likeliest first. Raises AppError.

    Log-probabilities are those before temperature and top-p, so that any of these can be applied to them.
    """
    sampling = SamplingParams(temperature=0.0, max_tokens=1, logprobs=True, top_logprobs=MOST_TOKENS)
    one_token = dataclasses.replace(request, sampling=sampling, grammar=None, request_id=service.new_request_id())
    found: tuple[TokenLogprob, ...] = ()
    async with aclosing(service.generate(one_token)) as events:
        async for event in events:
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Delta) and event.logprobs and not found:
                found = event.logprobs[0].top
    if not found:
        raise EngineError("The model ends the answer here.")
    return tuple(sorted(found, key=lambda token: -token.logprob))
