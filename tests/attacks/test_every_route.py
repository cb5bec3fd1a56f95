"""Whatever body a guest sends to whatever route, everybody else goes on: the walk takes the app's own list of routes.

A new route is attacked the day it is added. What is measured is the longest time in which the event loop came to
nothing else: half a second is too long, and was three and a half where chats are brought in.
"""

from __future__ import annotations

import gc
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from fastapi import FastAPI

from qwen_app.http.paths import API_PATHS
from qwen_app.http.root_path import root_of
from qwen_app.saved_chats.saved_chats import open_saved_chats
from qwen_app.serve.asgi import build_asgi
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.attacks.loop_clock import LIMIT_S, LoopClock, longest_wait_s
from tests.browser.serving import serving

LIMIT_BYTES = 4 * 2**20
CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
NOT_THERE = (404, 405)
LOGIN = {"username": "guest", "password": "two"}
HEADERS = {"content-type": "application/json", "x-file-name": "a.csv"}
# What has tests of its own beside this one is sent a few: the API in ``test_bodies.py``.
ELSEWHERE = API_PATHS.also("/uploads")
FEW = ("many keys", "nesting", "escapes", "a whole chat")
SCRIPTED = ("/tokenize", "/v1/tokenize")  # where a sound body is counted, which the scripted engine does in one piece


def routes_of(router: object) -> Iterator[tuple[str, str]]:
    """Method and path of every route, those of mounted apps and included routers too."""
    routes: Iterable[object] = getattr(router, "routes", ())
    for route in routes:
        inside = getattr(route, "original_router", None) or getattr(route, "app", None)
        methods: Iterable[str] = getattr(route, "methods", None) or ()
        yield from ((method, str(getattr(route, "path", ""))) for method in methods)
        if not methods and inside is not None:
            yield from routes_of(inside)


def filled(head: str, unit: str, tail: str, most: int = LIMIT_BYTES) -> bytes:
    count = min(most, (LIMIT_BYTES - len(head) - len(tail)) // (len(unit) + 1))
    return (head + ",".join([unit] * count) + tail).encode()


def chat_of(count: int) -> bytes:
    """A sound chat of so many messages."""
    messages = [
        {
            "id": str(number),
            "parent_id": str(number - 1) if number else None,
            "role": ("user", "assistant")[number % 2],
            "content": "x" * (3_500_000 // count),
        }
        for number in range(count)
    ]
    return json.dumps({"format": "qwen-chat", "version": 1, "title": "t", "messages": messages}).encode()


def bodies() -> dict[str, bytes]:
    keys = ",".join(f'"k{number}":0' for number in range(300_000))
    call = '{"session_hash":"abc","fn_index":0,"data":['
    chat = '{"format":"qwen-chat","version":1,"title":"a","messages":['
    said = '{"id":"a","role":"user","content":"","settings":{'
    return {
        "many keys": f"{{{keys}}}".encode()[:LIMIT_BYTES],
        "keys within the bounds": ("{" + ",".join(f'"k{number}":0' for number in range(49_000)) + "}").encode(),
        "objects": filled("[", "{}", "]"),
        "lists": filled('{"data":[', "[]", "]}"),
        "nesting": b"[" * 2_000_000 + b"]" * 2_000_000,
        "nested objects": b'{"a":' * 600_000 + b"1" + b"}" * 600_000,
        "one text": b'"' + b"a" * (LIMIT_BYTES - 2) + b'"',
        "escapes": b'{"a":"' + b"\\u0041" * 690_000 + b'"}',
        "half characters": filled("[", '"\\ud800"', "]"),
        "long numbers": filled("[", "9" * 4000, "]"),
        "nearly a path": b'{"path"' + b" " * (LIMIT_BYTES - 10) + b"}",
        "no text": b"\0" * LIMIT_BYTES,
        "a form": b"a=b&" * (LIMIT_BYTES // 4),
        "a call": filled(call, "[]", "]}", 690_000),
        "a call within the bounds": filled(call, "{}", "]}", 9_000),
        "a chat of settings": f"{chat}{said}{keys[:3_900_000]}}}}}]}}".encode(),
        "a chat within the bounds": f"{chat}{said}{keys[:600_000].rpartition(',')[0]}}}}}]}}".encode(),
        "a chat of nothing": filled(chat, '{"id":"a","role":"user","content":""}', "]}"),
        "a whole chat": chat_of(4_900),
    }


@pytest.fixture(scope="module")
def app_and_url() -> Iterator[tuple[FastAPI, str]]:
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), auth="guest:two")
        built: list[FastAPI] = []

        def build() -> FastAPI:
            app = build_asgi(Service(ScriptedEngine()), settings, open_saved_chats(settings.data_dir, ""))
            LoopClock(app)
            built.append(app)
            gc.freeze()  # as at the end of a start
            return app

        try:
            with serving(build, settings) as url:
                yield built[0], url
        finally:
            gc.unfreeze()


@pytest.fixture(scope="module")
def guest(app_and_url: tuple[FastAPI, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app_and_url[1], trust_env=False, timeout=60, headers=HEADERS) as client:
        client.post("/login", data=LOGIN, headers={"content-type": "application/x-www-form-urlencoded"})
        yield client


def test_no_proxys_path_begins_as_a_route_does(app_and_url: tuple[FastAPI, str]) -> None:
    segments = {path.strip("/").partition("/")[0] for _, path in routes_of(app_and_url[0])} - {""}
    assert {segment for segment in segments if root_of(f"/{segment}") or root_of(f"/{segment}/below")} == set()


def test_no_body_to_any_route_holds_up_the_others(app_and_url: tuple[FastAPI, str], guest: httpx.Client) -> None:
    app, url = app_and_url
    waits: dict[str, tuple[float, str]] = {}
    sent = bodies()
    for method, template in sorted(set(routes_of(app))):
        path = re.sub(r"\{[^}]*\}", "x", template)
        if method not in CHANGES or guest.request(method, path, content=b"{}").status_code in NOT_THERE:
            continue
        for name, body in sent.items():
            if (ELSEWHERE.holds(path) and name not in FEW) or (path in SCRIPTED and name == "a whole chat"):
                continue
            longest_wait_s(url)
            answer = guest.request(method, path, content=body)
            assert answer.status_code < 500, (method, path, name, answer.text[:300])
            assert len(answer.content) < 4096, (method, path, name)
            waits[f"{method} {path}"] = max(waits.get(f"{method} {path}", (0.0, "")), (longest_wait_s(url), name))
    for route, (wait_s, name) in waits.items():
        sys.stdout.write(f"{route}: {wait_s * 1000:.0f} ms with {name}\n")
    assert len(waits) >= 20
    assert max(waits.values())[0] < LIMIT_S, max(waits.items(), key=lambda item: item[1])
