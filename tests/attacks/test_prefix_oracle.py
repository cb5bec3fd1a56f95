"""What is held of one user's prompts tells nobody else what he sent: neither by a figure nor by a faster answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_app.engine.local.build import build_local_engine
from tests.api.serving import Api, running_api
from tests.engine.local.tiny import load_talkative

SECRET = "The door opens with 7391, and nobody else must know. " * 6


@pytest.fixture(scope="module", params=[1, 4], ids=["one slot", "slots enough"])
def api(request: pytest.FixtureRequest, tiny_qwen_dir: Path) -> Iterator[Api]:
    engine = build_local_engine(load_talkative(tiny_qwen_dir), slots=request.param, context_tokens=1024)
    with running_api(engine, api_keys="mallory,alice") as running:
        yield running


def reused_tokens(api: Api, key: str, path: str, **fields: object) -> int:
    """How many tokens the holder of ``key`` is told to have been there already."""
    body = {"model": "default", "max_tokens": 2, **fields}
    answer = api.post(path, body, headers={"authorization": f"Bearer {key}"}).json()
    return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])


def chat(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}]}


def test_a_guess_of_anothers_sentence_is_told_nothing(api: Api) -> None:
    reused_tokens(api, "alice", "/v1/chat/completions", **chat(SECRET))
    assert reused_tokens(api, "mallory", "/v1/chat/completions", **chat(SECRET)) == 0
    wrong = reused_tokens(api, "mallory", "/v1/chat/completions", **chat(SECRET.replace("7391", "0111")))
    right = reused_tokens(api, "mallory", "/v1/chat/completions", **chat(SECRET))
    assert wrong > 0, "what a user sent himself is reused"
    assert right > 0


def test_nor_is_a_guess_of_a_plain_prompt(api: Api) -> None:
    reused_tokens(api, "alice", "/v1/completions", prompt=SECRET)
    assert reused_tokens(api, "mallory", "/v1/completions", prompt=SECRET) == 0
    assert reused_tokens(api, "mallory", "/v1/completions", prompt=SECRET) > 0
