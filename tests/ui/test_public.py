"""The one public endpoint, called as programs call it: with gradio_client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gradio_client import Client  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]

from qwen_app.chat.json_hint import JSON_HINT
from qwen_app.errors import EngineError
from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.browser.serving import running_page

pytestmark = pytest.mark.slow  # the whole page, and Gradio's client, which leaves slowly

HELLO = [{"role": "user", "content": "hello"}]


def say(request: GenerationRequest) -> Script:
    if "break" in request.messages[-1].content:
        return Script(text=("half",), error=EngineError("The engine broke."), error_at=0)
    return Script(text=("You ", "said ", request.messages[-1].content), token_s=0.15)


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine(say)


@pytest.fixture(scope="module")
def client(engine: ScriptedEngine) -> Iterator[Client]:
    with running_page(engine, auth="ada:secret") as url:
        client = Client(url, auth=("ada", "secret"), verbose=False)
        yield client
        client.close()


def test_an_answer(client: Client, engine: ScriptedEngine) -> None:
    messages = [{"role": "system", "content": "be brief"}, *HELLO]
    answer = client.predict(messages, 0.3, 0.5, 20, 7, True, api_name="/chat")
    assert answer == "You said hello"
    request = engine.requests[-1]
    assert [(m.role, m.content) for m in request.messages] == [
        ("system", f"be brief\n\n{JSON_HINT}"),
        ("user", "hello"),
    ]
    assert (request.sampling.temperature, request.sampling.top_p) == (0.3, 0.5)
    assert (request.sampling.max_tokens, request.sampling.seed) == (20, 7)
    assert request.grammar is not None
    assert request.user == "ada"


def test_it_streams(client: Client) -> None:
    texts = list(client.submit(HELLO, api_name="/chat"))
    assert texts[-1] == "You said hello"
    assert any(0 < len(text) < len("You said hello") for text in texts)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([], "messages must be a list"),
        ("hello", "messages must be a list"),
        ([{"role": "wizard", "content": "x"}], r"messages\[0\] must be a dict with a role"),
        ([*HELLO, {"role": "user", "content": 3}], r"messages\[1\]"),
        ([*HELLO, "hi"], r"messages\[1\]"),
        ([{"role": "user", "content": "break"}], "The engine broke."),
    ],
)
def test_errors_are_sentences(client: Client, messages: Any, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(messages, api_name="/chat")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"temperature": -1}, "temperature must be a number from 0 to 2"),
        ({"temperature": "hot"}, "temperature must be"),
        ({"top_p": 0}, "top_p must be"),
        ({"max_tokens": 0}, "max_tokens must be a number from 1 to 8192"),
        ({"seed": 2**70}, "seed must be"),
    ],
)
def test_bad_settings_are_sentences(client: Client, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(HELLO, **settings, api_name="/chat")


@pytest.mark.parametrize("name", ["/send", "/measure", "/translate"])
def test_nothing_else_is_offered(client: Client, name: str) -> None:
    with pytest.raises(ValueError, match="Cannot find a function"):
        client.predict(api_name=name)
