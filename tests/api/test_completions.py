"""Plain completions: prompts of every form, several answers, logprobs, echo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types import Completion
from tokenizers import processors

from qwen_app.engine.local.build import build_local_engine
from qwen_app.messages import Delta, GenerationRequest, TokenLogprob
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.scripts import LoggedEngine, byte_token
from tests.api.sdk import events_of, sdk, strictly
from tests.api.serving import Api, running_api
from tests.engine.local.tiny import load_talkative


@pytest.fixture(scope="module")
def opening_api(tiny_qwen_dir: Path) -> Iterator[Api]:
    """Of a model that reads BOS before any text."""
    loaded = load_talkative(tiny_qwen_dir)
    loaded.tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 256)]
    )
    with running_api(build_local_engine(loaded, slots=1, context_tokens=256)) as api:
        yield api


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
def test_what_is_read_before_a_prompt_is_counted_and_takes_no_room_in_the_text(opening_api: Api, stream: bool) -> None:
    tokens = opening_api.post("/tokenize", {"prompt": "Once"}).json()["tokens"]
    assert tokens[0] == 256
    fields: dict[str, Any] = {"echo": True, "logprobs": 0, "max_tokens": 2, "temperature": 0, "stream": stream}
    fields |= {"stream_options": {"include_usage": True}} if stream else {}
    answers = []
    for prompt in ("Once", "<|endoftext|>Once", tokens):
        response = complete(opening_api, prompt, **fields)
        bodies = events_of(response) if stream else [response.json()]
        choices = [choice for body in bodies for choice in body["choices"]]
        found = [choice["logprobs"] for choice in choices if choice["logprobs"]]
        assert bodies[-1]["usage"]["prompt_tokens"] == len(tokens)
        spelled = [token for one in found for token in one["tokens"]]
        offsets = [offset for one in found for offset in one["text_offset"]]
        assert spelled[:2] == ["<|endoftext|>", "O"]
        text = "".join(choice["text"] for choice in choices)
        assert all(text[at:].startswith(token) for token, at in zip(spelled[1:], offsets[1:], strict=True))
        answers.append((text, offsets, [value for one in found for value in one["token_logprobs"]]))
    (bare, offsets, likely), begun, ids = answers
    assert bare.startswith("Once")
    assert begun == ids == ("<|endoftext|>" + bare, [0, *(13 + at for at in offsets[1:])], likely)
    assert offsets[:2] == [0, 0]


def test_tokens_begin_as_a_prompt_does_where_that_is_asked_for(opening_api: Api) -> None:
    def first(**body: Any) -> int:
        token: int = opening_api.post("/tokenize", body).json()["tokens"][0]
        return token

    assert (
        first(prompt="x") == first(content="x", add_special=True) == first(content="x", add_special_tokens=True) == 256
    )
    assert (
        first(content="x") == first(prompt="x", add_special_tokens=False) == first(prompt="x", add_special=False) != 256
    )
    assert first(prompt="x", parse_special=False) == 256


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
