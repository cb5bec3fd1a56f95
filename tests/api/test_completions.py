"""Plain completions: prompts of every form, several answers, logprobs, echo."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import Completion

from qwen_app.messages import Delta, GenerationRequest, TokenLogprob
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.scripts import LoggedEngine, byte_token
from tests.api.sdk import events_of, sdk, strictly
from tests.api.serving import Api, running_api


def complete(api: Api, prompt: Any = "Once", **fields: Any) -> Any:
    return api.post("/v1/completions", {"model": "default", "prompt": prompt, **fields})


def repeat(request: GenerationRequest) -> Script:
    prompt = request.prompt or ""
    return Script(("<", prompt if isinstance(prompt, str) else repr(list(prompt)), ">"))


def as_chunk(event: dict[str, Any]) -> Completion:
    """The SDK has no type for chunks; its type for whole bodies fits but for a reason that is still to come."""
    open_choices = [choice for choice in event["choices"] if choice["finish_reason"] is None]
    for choice in open_choices:
        choice["finish_reason"] = "stop"
    completion: Completion = strictly(Completion, event)
    return completion


def test_whole_answer_fits_the_sdk(scripted_api: Api) -> None:
    completion = strictly(Completion, complete(scripted_api).json())
    assert completion.choices[0].text == "Hello, world."
    assert completion.choices[0].finish_reason == "stop"


def test_stream_fits_the_sdk(scripted_api: Api) -> None:
    response = complete(scripted_api, stream=True, stream_options={"include_usage": True})
    assert response.text.endswith("data: [DONE]\n\n")
    chunks = [as_chunk(event) for event in events_of(response)]
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == "Hello, world."
    assert chunks[-1].usage.completion_tokens == 4


def test_sdk_client(scripted_api: Api) -> None:
    with sdk(scripted_api) as client:
        assert client.completions.create(model="scripted", prompt="x").choices[0].text == "Hello, world."
        stream = client.completions.create(model="scripted", prompt="x", stream=True)
        assert "".join(chunk.choices[0].text for chunk in stream) == "Hello, world."


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([104, 105], ["[104, 105]"]),
        ([[104], [105, 106]], ["[104]", "[105, 106]"]),
    ],
)
def test_prompts_of_every_form(prompt: Any, meant: list[str], stream: bool) -> None:
    with running_api(ScriptedEngine(repeat)) as api:
        response = complete(api, prompt, n=2, stream=stream)
    texts = [""] * (2 * len(meant))
    for body in events_of(response) if stream else [response.json()]:
        for choice in body["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == [f"<{text}>" for text in meant for _ in range(2)]


def test_each_prompt_counts_once() -> None:
    with running_api(ScriptedEngine(repeat)) as api:
        whole = complete(api, ["a", "b"], n=2).json()["usage"]
        events = events_of(complete(api, ["a", "b"], n=2, stream=True, stream_options={"include_usage": True}))
    assert whole["completion_tokens"] == 12
    assert events[-1]["usage"] == whole


@pytest.mark.parametrize("stream", [False, True])
def test_echo(scripted_api: Api, stream: bool) -> None:
    response = complete(scripted_api, echo=True, stream=stream)
    bodies = events_of(response) if stream else [response.json()]
    assert "".join(body["choices"][0]["text"] for body in bodies) == "OnceHello, world."


def test_sixteen_tokens_unless_more_are_asked_for() -> None:
    engine = ScriptedEngine()
    with running_api(engine) as api:
        complete(api)
        complete(api, max_tokens=99, stop="x")
    assert [request.sampling.max_tokens for request in engine.requests] == [16, 99]
    assert engine.requests[1].sampling.stop == ("x",)
    assert engine.requests[0].prompt == "Once"


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs(stream: bool) -> None:
    tokens = [byte_token(byte) for byte in (b"H", b"i", b"!")]
    engine = LoggedEngine([Delta(token.text, (token.token_id,), (token,)) for token in tokens])
    with running_api(engine) as api:
        response = complete(api, logprobs=2, stream=stream)
    bodies = [as_chunk(body) for body in (events_of(response) if stream else [response.json()])]
    found = [body.choices[0].logprobs for body in bodies if body.choices[0].logprobs]
    assert [token for one in found for token in one.tokens] == ["H", "i", "!"]
    assert [offset for one in found for offset in one.text_offset] == [0, 1, 2]
    assert found[0].top_logprobs[0] == {"x": -9999.0}


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_that_are_parts_of_a_character_are_told_apart_and_lie_where_it_does(stream: bool) -> None:
    parts = [b"a", b"\xe4\xbd", b"\xa0", "好".encode(), b"!"]
    tops = (TokenLogprob(1, "\ufffd", b"\xe4", -1.0), TokenLogprob(2, "\ufffd", b"\xe5", -2.0))
    tokens = [TokenLogprob(0, part.decode(errors="replace"), part, -0.5, tops) for part in parts]
    engine = LoggedEngine([Delta("a你好!", tuple(token.token_id for token in tokens), tuple(tokens))])
    with running_api(engine) as api:
        response = complete(api, logprobs=2, stream=stream)
    bodies = [as_chunk(body) for body in (events_of(response) if stream else [response.json()])]
    found = [body.choices[0].logprobs for body in bodies if body.choices[0].logprobs]
    assert [offset for one in found for offset in one.text_offset] == [0, 1, 1, 2, 3]
    assert [token for one in found for token in one.tokens] == ["a", "bytes:\\xe4\\xbd", "bytes:\\xa0", "好", "!"]
    assert found[0].top_logprobs[0] == {"bytes:\\xe4": -1.0, "bytes:\\xe5": -2.0}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": ["x"] * 65}, "prompt"),
        ({"prompt": ["x"] * 5, "n": 16}, "prompt"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": None}, "prompt"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 6}, "logprobs"),
        ({"stop": ["x"] * 17}, "stop"),
    ],
)
def test_bad_field_is_400_with_its_path(scripted_api: Api, fields: dict[str, Any], param: str) -> None:
    response = complete(scripted_api, **{"prompt": "x", **fields})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
