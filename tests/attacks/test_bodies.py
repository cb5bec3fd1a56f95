"""A body that is wrong a million times costs no more than reading it: its sender is refused and nobody else waits.

Bodies of 4 MiB whose shape makes more work than their size: a million wrong items (an error for each), objects, keys
or texts, numbers whose digits are squared, nesting, calls that are copied for every call. What holds the event loop
holds everybody, so its longest wait is measured, for every route that reads a body.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.api.serving import Api, running_api
from tests.attacks.loop_clock import LIMIT_S, LoopClock, longest_wait_s

LIMIT_BYTES = 4 * 2**20
BYSTANDER_S = 10.0
JSON = {"content-type": "application/json"}
ROUTES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/tokenize",
    "/detokenize",
    "/v1/tokenize",
    "/v1/detokenize",
)
LISTS = {  # where each route takes a list
    "/v1/chat/completions": ("messages", "tools", "stop"),
    "/v1/completions": ("prompt", "stop"),
    "/v1/responses": ("input", "tools", "include"),
    "/v1/messages": ("messages", "system", "tools", "stop_sequences"),
    "/v1/messages/count_tokens": ("messages", "system", "tools"),
    "/tokenize": ("messages", "tools"),
    "/detokenize": ("tokens",),
    "/v1/tokenize": ("messages",),
    "/v1/detokenize": ("tokens",),
}
REST = {
    "/v1/chat/completions": {"model": "default", "messages": [{"role": "user", "content": "x"}]},
    "/v1/completions": {"model": "default", "prompt": "x"},
    "/v1/responses": {"model": "default", "input": "x"},
    "/v1/messages": {"model": "default", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]},
    "/v1/messages/count_tokens": {"model": "default", "messages": [{"role": "user", "content": "x"}]},
    "/tokenize": {"model": "default"},
    "/detokenize": {"model": "default", "tokens": []},
}


def filled(head: str, unit: str, tail: str, most: int = LIMIT_BYTES) -> bytes:
    """As many of ``unit`` as fit, with commas between them."""
    count = min(most, (LIMIT_BYTES - len(head) - len(tail)) // (len(unit) + 1))
    return (head + ",".join([unit] * count) + tail).encode()


def rest_of(route: str) -> str:
    """What else a body for ``route`` needs."""
    return json.dumps(REST[route.removeprefix("/v1") if route.endswith("tokenize") else route])[1:-1]


def lists_of(route: str, field: str) -> Iterator[tuple[str, bytes]]:
    head = f'{{{rest_of(route)}, "{field}": ['
    for unit in ("{}", "[]", '""', "{", "null", "-1", '{"a":{}}', "9" * 40, '"\\ud800"', "true", "0.5"):
        yield f"{field} of {unit[:9]}", filled(head, unit, "]}")
    yield f"{field} of lists of objects", filled(head + "[", "{}", "]]}")
    yield f"{field} of objects, just in bounds", filled(head, "{}", "]}", 30_000)
    yield f"{field} of nulls, just in bounds", filled(head, "null", "]}", 250_000)
    yield f"{field} of lists, just in bounds", filled(head, "[{}]", "]}", 15_000)
    yield f"{field} of halves, just in bounds", filled(head, '"\\ud800"', "]}", 65_000)


def bodies_of(route: str) -> Iterator[tuple[str, bytes]]:
    """Those that are wrong elsewhere."""
    rest = rest_of(route)
    yield "nesting of lists", f'{{{rest}, "x": '.encode() + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}"
    yield "nesting of objects", f'{{{rest}, "x": '.encode() + b'{"a":' * 500_000 + b"1" + b"}" * 500_000 + b"}"
    yield (
        "many keys, just in bounds",
        f"{{{rest}, ".encode() + ",".join(f'"k{n}":0' for n in range(130_000)).encode() + b"}",
    )
    yield "many keys", f"{{{rest}, ".encode() + ",".join(f'"k{n}":0' for n in range(250_000)).encode() + b"}"
    yield "a long key that is a list", f'{{{rest}, "'.encode() + b"k" * 4_000_000 + b'": [}'
    yield "a number of 4,000 digits", f'{{{rest}, "seed": '.encode() + b"9" * 4000 + b"}"
    yield "numbers of 4,000 digits", filled(f'{{{rest}, "seed": [', "9" * 4000, "]}")


def bodies_of_one_route() -> Iterator[tuple[str, str, bytes]]:
    chat = '{"model": "default", "messages": [{"role": "user", "content": '
    call = '{"type":"function_call","call_id":"a","name":"f","arguments":"{}"}'
    yield "/v1/chat/completions", "parts", filled(chat + "[", '{"type":"x"}', "]}]}")
    yield "/v1/chat/completions", "parts, just in bounds", filled(chat + "[", '{"type":1}', "]}]}", 32_000)
    yield "/v1/chat/completions", "tool calls", filled(chat + '"", "tool_calls": [', "{}", "]}]}", 32_000)
    yield "/v1/completions", "lists of wrong ids", filled('{"model":"default","prompt": [[', "-1", "]]}", 250_000)
    yield "/v1/completions", "texts", filled('{"model":"default","prompt": [', '"a"', "]}", 250_000)
    yield "/v1/responses", "calls", filled('{"model":"default","input": [', call, "]}", 32_000)
    yield "/v1/responses", "just too few calls", filled('{"model":"default","input": [{},', call, "]}", 9_000)
    pairs = ",".join(f'"k{n}":0' for n in range(250_000))
    yield "/v1/responses", "metadata", f'{{"model":"default","input":"x","metadata":{{{pairs}}}}}'.encode()
    arguments = json.dumps(json.dumps({"a": [{}] * 700_000}, separators=(",", ":")))
    one = f'{{"id":"a","function":{{"name":"f","arguments":{arguments}}}}}'
    for route in ("/v1/messages", "/v1/messages/count_tokens"):
        yield route, "calls and all but one of their results", messages_of_calls(4_600)
    yield "/v1/chat/completions", "arguments", f'{chat}"", "tool_calls": [{one}]}}]}}'.encode()
    properties = {f"k{n}": 1 for n in range(34_000)}
    for schema in (json.dumps({"enum": [{}] * 30_000, "properties": properties}), f'{{"x":[{"0," * 250_000}0]}}'):
        wanted = f'{{"type":"json_schema","json_schema":{{"schema":{schema}}}}}'
        yield "/v1/chat/completions", f"schema {schema[:6]}", f'{chat}"x"}}], "response_format": {wanted}}}'.encode()


def messages_of_calls(count: int, most: int = 1_000) -> bytes:
    """A conversation in Anthropic's form: ``count`` calls in a turn, ``most`` in a message, and a result for each but
    the last."""
    calls = [{"type": "tool_use", "id": f"c{n}", "name": "f"} for n in range(count)]
    results = [{"type": "tool_result", "tool_use_id": f"c{n}"} for n in range(count - 1)]
    messages = [
        {"role": role, "content": blocks[start : start + most]}
        for role, blocks in (("assistant", calls), ("user", results))
        for start in range(0, count, most)
    ]
    return json.dumps({"model": "default", "max_tokens": 1, "messages": messages}).encode()


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    gc.freeze()  # as at the end of a start: a look through all that the tests loaded took most of a second
    try:
        with running_api(ScriptedEngine()) as running:
            LoopClock(running.app)
            yield running
    finally:
        gc.unfreeze()


class Bystander:
    """Asks for ``/health`` until the block ends."""

    def __init__(self, api: Api) -> None:
        self._url = f"{api.url}/health"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.longest_s = 0.0
        self.answers: list[int] = []

    def _ask(self) -> None:
        with httpx.Client(timeout=60) as http:
            while not self._over.is_set():
                started = time.perf_counter()
                self.answers.append(http.get(self._url).status_code)
                self.longest_s = max(self.longest_s, time.perf_counter() - started)
                self._over.wait(0.01)

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


def cases() -> Iterator[tuple[str, str]]:
    for route in ROUTES:
        yield from ((route, field) for field in LISTS[route])
        yield route, ""


@pytest.mark.parametrize(("route", "field"), list(cases()))
def test_a_hostile_body_is_refused_and_nobody_waits(api: Api, route: str, field: str) -> None:
    other = [*bodies_of(route), *((name, body) for at, name, body in bodies_of_one_route() if at == route)]
    waits: dict[str, float] = {}
    with Bystander(api) as bystander:
        for name, body in lists_of(route, field) if field else other:
            assert len(body) <= LIMIT_BYTES, name
            longest_wait_s(api.url)
            response = api.request("POST", route, content=body, headers=JSON)
            assert 400 <= response.status_code < 500, (name, response.text)
            assert len(response.text) < 2000
            waits[name] = longest_wait_s(api.url)
    name = max(waits, key=lambda name: waits[name])
    sys.stdout.write(f"{route}: the loop was busy for {waits[name] * 1000:.0f} ms with {name}\n")
    assert waits[name] < LIMIT_S, waits
    assert set(bystander.answers) == {200}
    assert bystander.longest_s < BYSTANDER_S
