"""Models, tokens, health, metrics and docs."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from contextlib import aclosing
from typing import Any

import pytest
from openai.types import Model
from prometheus_client.parser import text_string_to_metric_families

from qwen_app.engine import fair_queue
from qwen_app.errors import OutOfDeviceMemory
from qwen_app.messages import GenerationRequest, Message
from qwen_app.metrics import Telemetry
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.sdk import sdk, strictly
from tests.api.serving import Api, running_api


def test_models(scripted_api: Api) -> None:
    body = scripted_api.request("GET", "/v1/models").json()
    assert [strictly(Model, one).id for one in body["data"]] == ["scripted"]
    assert body["data"][0]["max_model_len"] == 8192
    with sdk(scripted_api) as client:
        assert [model.id for model in client.models.list()] == ["scripted"]
        assert client.models.retrieve("default").id == "scripted"


def test_ids_with_a_slash_are_found() -> None:
    class Named(ScriptedEngine):
        def info(self) -> Any:
            return dataclasses.replace(ScriptedEngine.info(self), model="Qwen/Qwen2.5-7B-Instruct")

    with running_api(Named()) as api:
        found = api.request("GET", "/v1/models/Qwen/Qwen2.5-7B-Instruct").json()
        assert (found["id"], found["owned_by"]) == ("Qwen/Qwen2.5-7B-Instruct", "Qwen")
        assert api.chat(model="Qwen/Qwen2.5-7B-Instruct").status_code == 200


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("field", ["prompt", "content"])
def test_tokens_there_and_back(scripted_api: Api, prefix: str, field: str) -> None:
    body = scripted_api.post(f"{prefix}/tokenize", {field: "Hé"}).json()
    assert body == {"count": 3, "max_model_len": 8192, "tokens": [72, 195, 169]}
    back = scripted_api.post(f"{prefix}/detokenize", {"tokens": body["tokens"], "model": "default"}).json()
    assert back == {"prompt": "Hé", "content": "Hé"}


def test_conversations_are_counted_with_their_template(scripted_api: Api) -> None:
    body = scripted_api.post("/tokenize", {"messages": [{"role": "user", "content": "two words"}]}).json()
    assert (body["count"], body["tokens"]) == (6, None)


CHAT_OF_TOOLS = {
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": [{"type": "web_search"}, *[{"type": "function", "function": {"name": "f"}}] * 2],
}


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": "x", "content": "x"}, "prompt"),
        ("/tokenize", CHAT_OF_TOOLS, "tools[2].function.name"),
        ("/detokenize", {"tokens": [-1]}, "tokens[0]"),
        ("/detokenize", {"tokens": [256]}, "tokens"),
        ("/detokenize", {}, "tokens"),
    ],
)
def test_bad_tokens_are_400(scripted_api: Api, path: str, body: dict[str, Any], param: str) -> None:
    response = scripted_api.post(path, body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize("state", ["loading", "stalled", "draining", "stopped"])
def test_ready_says_why_not(state: str) -> None:
    with running_api(ScriptedEngine(state=state)) as api:
        ready = api.request("GET", "/ready")
        assert ready.status_code == 503
        assert ready.json()["status"] == state
        assert ready.json()["reason"]
        assert ready.headers["retry-after"]
        assert api.request("GET", "/health").status_code == 200


def test_ready_when_ready(scripted_api: Api) -> None:
    response = scripted_api.request("GET", "/ready")
    assert (response.status_code, response.json()["status"]) == (200, "ready")


def test_ready_tells_what_goes_another_way_than_it_should() -> None:
    service = Service(ScriptedEngine())
    service.notice("Saved chats begin anew.")
    service.notice("Files begin anew.")
    health = service.health()
    assert (health.ready, health.reason) == (True, "Saved chats begin anew. Files begin anew.")


def test_draining_refuses_new_requests_and_says_when_to_come_back() -> None:
    with running_api(ScriptedEngine()) as api:
        asyncio.run(api.service.drain(0))
        response = api.chat()
        assert response.status_code == 503
        assert response.headers["retry-after"]
        assert api.request("GET", "/ready").status_code == 503


def samples_of(api: Api) -> dict[str, float]:
    return samples_in(api.request("GET", "/metrics").text)


def samples_in(text: str) -> dict[str, float]:
    families = list(text_string_to_metric_families(text))
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_count_what_happened() -> None:
    failing = Script(error=OutOfDeviceMemory("No memory."), error_at=1)
    engine = ScriptedEngine(lambda request: failing if request.sampling.seed == 1 else Script())
    with running_api(engine, fresh=True) as api:
        api.chat()
        api.chat(stream=True)
        api.chat(seed=1)
        api.chat(n=17)
        samples = samples_of(api)
    assert samples["qwen_ready"] == 1
    assert samples["qwen_requests_admitted_total"] == 3
    assert samples["qwen_requests_ended_total outcome=stop"] == 2
    assert samples["qwen_requests_ended_total outcome=out_of_memory"] == 1
    assert samples["qwen_completion_tokens_total"] == 8
    assert samples["qwen_first_token_seconds_count"] == 2
    path = "route=/v1/chat/completions"
    assert samples[f"qwen_http_responses_total {path} status=200"] == 2
    assert samples[f"qwen_http_responses_total {path} status=400"] == 1
    assert samples[f"qwen_http_responses_total {path} status=503"] == 1


class Clock:
    """Half a second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


async def _listen(service: Service, request: GenerationRequest, events: int) -> None:
    """Read so many events of an answer, then leave."""
    async with aclosing(service.generate(request)) as answer:
        for _ in range(events):
            await anext(answer)


def test_metrics_measure_the_gaps_between_pieces_and_count_who_left() -> None:
    service = Service(ScriptedEngine(Script(("a", "b", "c", "d"))))
    telemetry = Telemetry(service, Clock())
    request = GenerationRequest("x", (Message("user", "Hi"),))
    asyncio.run(_listen(service, request, 3 + 4 + 1))  # planned, queued, prefill; pieces; the end
    asyncio.run(_listen(service, request, 3 + 2))
    samples = samples_in(telemetry.exposition().decode())
    assert samples["qwen_inter_token_seconds_count"] == 3 + 1
    assert samples["qwen_inter_token_seconds_sum"] == 0.5 * 4
    assert samples["qwen_requests_ended_total outcome=stop"] == 1
    assert samples["qwen_requests_ended_total outcome=left"] == 1


def test_a_request_that_moves_up_in_the_queue_is_admitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "LOOK_S", 0.001)  # each move is told
    service = Service(ScriptedEngine(Script(token_s=0.01), slots=1))
    telemetry = Telemetry(service)

    async def ask_three() -> None:
        requests = [GenerationRequest(name, (Message("user", "Hi"),), user=name) for name in "abc"]
        await asyncio.gather(*(_listen(service, request, 8 + place) for place, request in enumerate(requests)))

    asyncio.run(ask_three())
    assert samples_in(telemetry.exposition().decode())["qwen_requests_admitted_total"] == 3


def test_metrics_tell_of_memory_and_room(scripted_api: Api) -> None:
    samples = samples_of(scripted_api)
    assert samples["qwen_slots"] == 4
    assert samples["process_resident_memory_bytes"] > 10e6
    assert samples["process_open_fds"] > 3
    assert {"qwen_weights_bytes", "qwen_cache_bytes"} <= samples.keys()


def test_unknown_paths_make_no_new_series(scripted_api: Api) -> None:
    for number in range(5):
        scripted_api.request("GET", f"/v1/made-up-{number}")
    assert not [name for name in samples_of(scripted_api) if "made-up" in name]


def test_metrics_hold_nobodys_text() -> None:
    with running_api(ScriptedEngine(Script(("canary-answer",)))) as api:
        api.chat("canary-question", user="canary-user", stop="canary-stop")
        assert "canary" not in api.request("GET", "/metrics").text


def test_docs_show_every_path_and_load_nothing_from_elsewhere(scripted_api: Api) -> None:
    page = scripted_api.request("GET", "/v1/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in scripted_api.request("GET", "/v1/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in page.text
    assert "repetition_penalty" in page.text
    assert f'base_url="{scripted_api.url}/v1"' in page.text.replace("&quot;", '"')
    assert not re.findall(r'(?:src|href)="(?!openapi\.json)', page.text)
    assert "<script" not in page.text


def test_docs_do_not_repeat_markup_from_the_host_header(scripted_api: Api) -> None:
    page = scripted_api.request("GET", "/v1/docs", headers={"host": 'x"><script>alert(1)</script>'})
    assert "<script>" not in page.text
