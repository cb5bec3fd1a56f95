"""Schemas, patterns and answers that are dear to compile or to check, on the page: their own check fails, no more."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from qwen_app.messages import Finished, Timings, Usage
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.ui.json_lab.result import validate_answer
from tests.attacks.page_client import PageClient
from tests.browser.serving import running_page

BYSTANDER_S = 10  # generous: two busy cores are no fault of the server's
CHECK_S = 40
END = Finished("stop", Usage(1, 1), Timings(0, 0, 0))

HOSTILE: dict[str, Any] = {
    "required": {"type": "object", "required": [f"k{number}" for number in range(30_000)]},
    "enum": {"enum": ["a" * 60_000, "b" * 60_000]},
    "repeats": {"type": "string", "pattern": "^((((a{256}){256}){256}){256})$"},
    "backtracking": {"not": {"pattern": "^(a+)+$"}},
    "items": {"type": "array", "minItems": 32_768, "items": {"type": "string", "minLength": 65_536}},
    "reference": {"x": {"$ref": "http://127.0.0.1:1/"}},
    "alternatives": {"anyOf": [{"pattern": "(.*a){20}" + "b" * number} for number in range(900)]},
    "deep": "[" * 100_000,
}


@pytest.fixture(scope="module")
def web() -> Iterator[httpx.Client]:
    with (
        running_page(ScriptedEngine()) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=CHECK_S) as web,
    ):
        yield web


def check(web: httpx.Client, editor: str, text: str) -> str:
    """What the page is told when ``text`` stands in the editor with this id."""
    session = secrets.token_hex(8)  # of its own: what an earlier check changed of the page's menus is not repeated here
    page = PageClient(web, session, web.get("/config").json())
    page.join(page.body(editor, "change", **{editor: text})).raise_for_status()
    return json.dumps(list(page.read()))


@pytest.mark.parametrize("editor", ["schema", "definitions"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_is_a_sentence_and_holds_nobody_up(web: httpx.Client, editor: str, name: str) -> None:
    schema = HOSTILE[name]
    if editor == "definitions" and isinstance(schema, dict):
        parameters = {"type": "object", "properties": {"a": schema}}
        schema = [{"type": "function", "function": {"name": "find", "parameters": parameters}}]
    text = schema if isinstance(schema, str) else json.dumps(schema)
    with ThreadPoolExecutor(1) as thread:
        checking = thread.submit(check, web, editor, text)
        while not checking.done():
            asked = time.monotonic()
            assert web.get("/health", timeout=BYSTANDER_S).status_code == 200
            assert time.monotonic() - asked < BYSTANDER_S
            time.sleep(0.1)
    assert '"success": true' in checking.result()
    assert "check bad" in checking.result() or "check good" in checking.result()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"not": {"pattern": "^(a+)+$"}}, json.dumps("a" * 5_000 + "!")),
        ({"pattern": "^(a|a)*$"}, json.dumps("a" * 5_000 + "!")),
        ({}, "[" * 1_000_000),
        ({"type": "array", "uniqueItems": True}, json.dumps([[number] for number in range(20_000)])),
    ],
)
async def test_an_answer_is_checked_within_limits(schema: dict[str, object], text: str) -> None:
    started = time.monotonic()
    assert (await validate_answer(text, schema, END, "mallory")).outcome in ("valid", "wrong", "unchecked")
    assert time.monotonic() - started < CHECK_S
