"""Arguments of tools that take for ever, or all memory: they end their own call, and everybody else is served.

The page's own loop runs them: the model is made to call a built-in tool with what the visitor wants.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from qwen_app.messages import GenerationRequest, ToolCallDelta
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.uploads.table_store import UPLOAD_PATH
from tests.browser.serving import running_page

BYSTANDER_S = 10  # generous: two busy cores are no fault of the server's
RUN_S = 40

EXPRESSIONS = [
    "round(1,-999999999)",
    "round(7**400,-(9**9))",
    "9**9**9**9",
    "(2**4000)**(2**12)",
    "(1)**(10**300*10**300*10**300)",
    "2**-999999999",
    "round(1.5, 9**99)",
    "9" * 299,
    "*".join(["9**99"] * 40),
]


def act(request: GenerationRequest) -> Script:
    """The question is the call."""
    last = request.messages[-1]
    if last.role == "tool":
        return Script((last.content[:2000],))
    name, _, arguments = last.content.partition(" ")
    return Script((), [ToolCallDelta(0, "call_1", name, arguments)])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_page(ScriptedEngine(act)) as url:
        yield url


@pytest.fixture
def web(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, timeout=RUN_S) as web:
        yield web


def ask(web: httpx.Client, prompt: str, session: str) -> str:
    """All that the page is told in answer to a click on the button that runs the tools tab."""
    config = web.get("/config").json()
    ids = {one["props"].get("elem_id"): one["id"] for one in config["components"]}
    values = {one["id"]: one["props"].get("value") for one in config["components"]} | {ids["tools-prompt"]: prompt}
    event = next(one for one in config["dependencies"] if [ids["run-tools"], "click"] in one["targets"])
    data = [values[component] for component in event["inputs"]]
    body = {"fn_index": event["id"], "data": data, "session_hash": session}
    web.post("/gradio_api/queue/join", json=body).raise_for_status()
    with web.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        said = ""
        for line in stream.iter_lines():
            said += line
            if '"process_completed"' in line:
                break
    return said


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_hostile_expression_ends_its_own_call(web: httpx.Client, expression: str) -> None:
    with ThreadPoolExecutor(1) as thread:
        prompt = "calculate " + json.dumps({"expression": expression})
        running = thread.submit(ask, web, prompt, f"attack-{EXPRESSIONS.index(expression)}")
        while not running.done():
            asked = time.monotonic()
            assert web.get("/health", timeout=BYSTANDER_S).status_code == 200
            assert time.monotonic() - asked < BYSTANDER_S
            time.sleep(0.1)
    assert "process_completed" in running.result()
    assert "run-line" in running.result()


def test_twelve_wide_tables_cost_their_bytes(web: httpx.Client) -> None:
    """Short rows under a wide header: once a string a cell, in every session."""
    header = ",".join(f"c{number}" for number in range(99))
    row = ",".join("x" for _ in range(33))
    table = (header + "\n" + (row + "\n") * 20_000).encode()
    sent = 0
    for number in range(12):
        response = web.post(UPLOAD_PATH, content=table, headers={"x-file-name": f"{number}.csv"})
        assert response.status_code in (200, 400), response.text
        sent += response.status_code == 200
    assert sent == 12
    assert web.get("/health", timeout=BYSTANDER_S).status_code == 200
