from __future__ import annotations

import json
import math

import pytest

from qwen_app.errors import EngineError
from qwen_app.messages import GenerationRequest, JsonObject, Message
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.next_token.distribution import MOST_TOKENS, next_tokens
from qwen_app.ui.next_token.panel import picture_json
from qwen_app.ui.shared.strings import Texts

pytestmark = pytest.mark.anyio
ASKED = GenerationRequest("r", (Message("user", "hi"),), grammar=JsonObject())


async def test_one_token_is_asked_for_and_the_likeliest_come_first() -> None:
    engine = ScriptedEngine()
    service = Service(engine)
    tokens = await next_tokens(service, ASKED)
    assert len(tokens) == MOST_TOKENS
    assert [token.logprob for token in tokens] == sorted((token.logprob for token in tokens), reverse=True)
    (request,) = engine.requests
    assert (request.sampling.max_tokens, request.grammar) == (1, None)
    said = json.loads(picture_json(tokens, service, Texts("zh")))
    assert said["tokens"][0] == ["Hello", round(math.log(0.5), 4)]
    assert said["top_k"] == 20


async def test_what_goes_wrong_is_raised() -> None:
    service = Service(ScriptedEngine(Script(error=EngineError("Not today."))))
    with pytest.raises(EngineError, match=r"Not today\."):
        await next_tokens(service, ASKED)


async def test_a_model_that_says_nothing_has_no_next_token() -> None:
    with pytest.raises(EngineError, match="ends the answer here"):
        await next_tokens(Service(ScriptedEngine(Script(text=()))), ASKED)
