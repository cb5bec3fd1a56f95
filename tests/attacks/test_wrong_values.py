"""The class: values of the wrong kind. No 500, no trace, no word of a visitor in the log, no path of the server."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from qwen_app.serve.logs import LineFormatter
from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.attacks.page_client import API, PageClient, page_client
from tests.browser.serving import ROOT, running_page

CANARY = "canary-3f9a"
WRONG: list[Any] = [
    None,
    -1e308,
    CANARY,
    [CANARY],
    {CANARY: CANARY, "value": CANARY, "path": CANARY},
    [[{"role": CANARY, "content": {CANARY: [CANARY]}}]],
]
EVENTS: list[Any] = [
    None,
    CANARY,
    [CANARY],
    {"index": CANARY, "value": CANARY},
    {"index": [-5, CANARY], "value": {CANARY: 1}, "previous_value": CANARY},
]
PAGES = [
    "/?page=" + CANARY,
    "/?deep_link=" + CANARY,
    "/config?page=" + CANARY,
    f"/config?deep_link=../../{CANARY}",
    "/static/" + CANARY * 600,
    "/assets/" + CANARY * 600,
    "/static/%00" + CANARY,
    f"/svelte/..%2f..%2f{CANARY}",
    f"{API}/info?page={CANARY}",
    f"{API}/info?all_endpoints={CANARY}",
    f"{API}/upload_progress",
    f"{API}/queue/data?session_hash={CANARY}-nobody",
    f"/{CANARY}",
    f"/pwa_icon/{CANARY}",
    f"/custom_component/{CANARY}/a/b/c",
]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LineFormatter())
    logging.getLogger().addHandler(handler)
    try:
        yield written
    finally:
        logging.getLogger().removeHandler(handler)


@pytest.fixture
def client() -> Iterator[PageClient]:
    with running_page(ScriptedEngine()) as url, page_client(url, "wrongvalues") as browser:
        yield browser


def handlers(client: PageClient) -> list[dict[str, Any]]:
    found = [one for one in client.config["dependencies"] if one["backend_fn"]]
    assert len(found) >= 15
    return found


def check(answer: httpx.Response) -> None:
    assert answer.status_code != 500, answer.request.url
    assert str(ROOT) not in answer.text
    assert "site-packages" not in answer.text
    assert "Traceback" not in answer.text


def check_log(written: str, capfd: pytest.CaptureFixture[str]) -> None:
    printed = "".join(capfd.readouterr())
    for text in (written, printed):
        assert CANARY not in text
        assert "Traceback" not in text


@pytest.mark.slow
def test_wrong_values_into_every_handler(
    client: PageClient, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    for handler in handlers(client):
        size = len(handler["inputs"])
        for number, wrong in enumerate(WRONG):
            for length in {size, 0 if number == 0 else size, size + 2 if number == 2 else size}:
                call = {"fn_index": handler["id"], "session_hash": client.session, "data": [wrong] * length}
                call["event_data"] = EVENTS[number % len(EVENTS)]
                check(client.direct(call))
                if handler["queue"]:
                    check(client.join(call))
    if True:  # what was queued is read to its end
        for message in client.read():
            assert str(ROOT) not in str(message)
            if message["msg"] == "close_stream":
                break
    check_log(log.getvalue(), capfd)


def test_calls_that_name_nothing(client: PageClient, log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    calls: list[dict[str, Any]] = [
        {"fn_index": 10_000, "data": []},
        {"fn_index": -1, "data": [CANARY]},
        {"data": [CANARY]},
        {"fn_index": 0, "data": [], "trigger_id": 10**6},
        {"fn_index": 0, "data": [], "batched": True},
        {"fn_index": CANARY, "data": []},
        {"fn_index": 0, "data": CANARY},
        {"fn_index": 0, "data": [], "event_id": CANARY, "simple_format": True},
    ]
    for call in calls:
        check(client.direct(call))
        check(client.direct(call | {"session_hash": client.session}))
        check(client.join(call | {"session_hash": client.session}))
    for path, body in [
        ("call/chat", {"data": []}),
        ("call/chat", {"data": [CANARY, CANARY]}),
        ("call/chat", {}),
        ("call/v2/chat", {}),
        ("call/v2/chat", {CANARY: CANARY}),
        ("call/v2/chat", {"messages": CANARY}),
        ("call/v2/chat", {"messages": [{"role": "user", "content": CANARY}], "max_tokens": CANARY}),
        ("cancel", {"session_hash": client.session, "fn_index": CANARY, "event_id": CANARY}),
        ("reset", {"event_id": CANARY}),
    ]:
        check(client.http.post(f"{API}/{path}", json=body))
    for page in PAGES:
        with client.http.stream("GET", page) as answer:
            if "event-stream" not in answer.headers.get("content-type", ""):
                answer.read()
                check(answer)
            assert answer.status_code != 500, page
    check_log(log.getvalue(), capfd)


def test_a_refusal_says_what_to_do(client: PageClient) -> None:
    answer = client.direct({"fn_index": 10_000, "data": []})
    assert answer.status_code == 400
    assert "Reload the page" in answer.json()["detail"] == answer.json()["error"]


def test_one_answer_for_all_names_no_visitors_host(client: PageClient) -> None:
    liar = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https", "x-gradio-server": "http://evil.example"}
    for path in (f"{API}/info", "/config", "/", f"{API}/info?page="):
        assert "evil.example" not in client.http.get(path, headers=liar).text
    client.http.post(f"{API}/call/v2/chat", json={}, headers=liar)
    assert "evil.example" not in client.http.get(f"{API}/info").text
    port = str(client.http.base_url.port)
    client.http.get(f"{API}/info", headers={"host": f"127.0.0.7:{port}"})
    assert "127.0.0.7" not in client.http.get(f"{API}/info").text
