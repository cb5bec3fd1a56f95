"""A schema, pattern or tool of a caller costs his own request: nobody waits, nothing swells, nothing is fetched.

Answers to hostile schemas that end the process (recursion in native code), stop it (backtracking, quadratic searches),
fill its memory (multiplied examples) or make it fetch addresses (references).
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from qwen_app.engine.local.build import build_local_engine
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.serving import Api, running_api
from tests.engine.local.tiny import load_talkative

BYSTANDER_S = 20.0  # generous: the machine may be busy with other tests; the faults took minutes
SWELL_BYTES = 400 * 2**20
STRING: dict[str, object] = {"type": "string"}


def nested_alternatives(depth: int) -> dict[str, object]:
    schema: dict[str, object] = STRING
    for _ in range(depth):
        schema = {"anyOf": [{"items": schema}, {"items": schema, "minItems": 1}]}
    return schema


def chain_of_required(length: int) -> dict[str, object]:
    """Definitions that each require the next, from which the first follows last."""
    links: dict[str, object] = {
        f"d{i}": {"type": "object", "properties": {"a": {"$ref": f"#/$defs/d{i + 1}"}}, "required": ["a"]}
        for i in range(length)
    }
    return {"$defs": links | {f"d{length}": STRING}, "$ref": "#/$defs/d0"}


HOSTILE: dict[str, dict[str, object]] = {
    "30,000 required": {"required": [f"k{i}" for i in range(30_000)]},
    "900 required": {"type": "object", "required": [f"k{i}" for i in range(900)]},
    "long enum strings": {"enum": ["a" * 60_000, "b" * 60_000]},
    "enum strings just in bounds": {"enum": ["a" * 999 + str(i) for i in range(90)]},
    "repeats of repeats": {"type": "string", "pattern": "(((a{256}){256}){256}){256}"},
    "repeats just in bounds": {"type": "string", "pattern": "((a{100}){100}){1,2}"},
    "a pattern that backtracks": {"type": "string", "pattern": "^(a+)+$"},
    "items of items": {"type": "array", "minItems": 32_768, "items": {"type": "string", "minLength": 65_536}},
    "items in items": {"type": "array", "minItems": 999, "items": {"type": "array", "minItems": 999, "items": STRING}},
    "alternatives below alternatives": nested_alternatives(12),
    "definitions that double": {
        "$defs": {f"d{i}": {"items": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(30)},
        "$ref": "#/$defs/d0",
    },
    "a chain of required": chain_of_required(1_900),
    "all of all": {"allOf": [{"properties": {f"k{i}": {"pattern": "(.*a){30}"}}} for i in range(190)]},
    "recursion": {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
    "lookahead": {"type": "string", "pattern": "(?=(a+))a*b\\1"},
    "unicode classes": {"type": "string", "pattern": "[\\p{L}\\p{N}]{1,5000}x"},
}


@pytest.fixture(scope="module")
def api(tiny_qwen_dir: Path) -> Iterator[Api]:
    engine = build_local_engine(load_talkative(tiny_qwen_dir), slots=2, context_tokens=1024)
    with running_api(engine, api_keys="mallory,ada") as running:
        yield running


def ask(api: Api, key: str, **fields: object) -> int:
    """The status of a short chat of the holder of ``key``."""
    body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, **fields}
    return api.post("/v1/chat/completions", body, headers={"authorization": f"Bearer {key}"}, timeout=120).status_code


def format_of(schema: dict[str, object], *, strict: bool) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": strict}}


def held_bytes() -> int:
    return int(psutil.Process(os.getpid()).memory_info().rss)


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_costs_its_own_request(api: Api, name: str, strict: bool) -> None:
    before = held_bytes()
    fields: dict[str, object] = {"response_format": format_of(HOSTILE[name], strict=strict)}
    with ThreadPoolExecutor(2) as pool:
        attack = [pool.submit(ask, api, "mallory", **fields) for _ in range(2)]
        started = time.monotonic()
        assert ask(api, "ada") == 200
        assert api.post("/tokenize", {"content": "x"}, headers={"authorization": "Bearer ada"}).status_code == 200
        assert time.monotonic() - started < BYSTANDER_S
        assert {one.result() for one in attack} <= {200, 400, 429}
    assert held_bytes() - before < SWELL_BYTES


@pytest.mark.parametrize("name", ["30,000 required", "repeats of repeats", "items of items", "long enum strings"])
def test_a_hostile_tool_costs_its_own_request(api: Api, name: str) -> None:
    """One that is not strict is called with what its schema leaves, once what is costly in it is left out."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": HOSTILE[name]}}}}
    assert ask(api, "mallory", tools=[tool], tool_choice="required") in (200, 400)
    assert ask(api, "ada") == 200


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "not": {"pattern": "^(a+)+$"}},
        {"type": "string", "not": {"pattern": "^(a|a)*$"}},
        {"not": {"patternProperties": {"(x+x+)+y": {}}}},
    ],
)
def test_no_pattern_backtracks_without_end(schema: dict[str, object]) -> None:
    """The answer is what a steered model might say: text that a backtracking engine never gets over."""
    answer = json.dumps("a" * 60 + "!")
    with running_api(ScriptedEngine(Script(text=(answer,)))) as api:
        started = time.monotonic()
        response = api.chat("Hi", response_format=format_of(schema, strict=False))
        assert response.status_code in (200, 400)
        assert time.monotonic() - started < BYSTANDER_S


class Listener:
    """Counts who connects to it."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/x"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def referring(url: str) -> list[dict[str, object]]:
    return [
        {"$ref": url},
        {"x": {"$ref": url}},
        {"examples": [{"$ref": url}]},
        {"$dynamicRef": url},
        {"$recursiveRef": url},
        {"properties": {"a": {"not": {"$ref": url}}}},
        {"$id": url, "$ref": "other"},
        {"$id": url, "$anchor": "a", "$ref": "#b"},
        {"$schema": url},
        {"not": {"$ref": "file:///etc/passwd"}},
        {"$id": "file:///etc/", "$ref": "passwd"},
    ]


@pytest.mark.parametrize("number", range(len(referring(""))))
def test_nothing_is_fetched(listener: Listener, number: int) -> None:
    schema = referring(listener.url)[number]
    with running_api(ScriptedEngine(Script(text=('{"a": 1}',)))) as api:
        for strict in (True, False):
            response = api.chat("Hi", response_format=format_of(schema, strict=strict))
            assert response.status_code in (200, 400), response.text
    assert listener.connections == 0
