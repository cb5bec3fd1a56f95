"""What the page costs the server: an answer's snapshots, a visitor who waits, one who comes; beside plain Gradio.

    python -m bench.page_cost [--quick] [--json FILE]

Eight programs join the page as a browser would and read their streams, in a process of their own; the engine is
scripted to write 50 tokens a second. Counted is the processor's time of the process that serves.
"""

from __future__ import annotations

import multiprocessing
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

import gradio as gr
import httpx
from starlette.types import ASGIApp

from bench.long_chat import long_chat
from bench.report import Report, benchmark_parser
from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui import page
from qwen_app.ui.quick_blocks import QuickBlocks
from qwen_app.web import guarded
from qwen_app.web.kept_assets import KeptAssets
from tests.attacks.page_client import PageClient
from tests.browser.serving import running_page

CLIENTS = 8
TOKEN_S = 0.02
WAIT_S = 5.0
FILES = 85  # scripts and styles that Chromium asks for
PARAGRAPH = ("A", " sentence", " of", " **some**", " length", " with", " `code`", ".", "\n\n")


def answer(request: GenerationRequest) -> Script:
    """A question is the number of tokens of its answer; 0 waits."""
    tokens = int(request.messages[-1].content or 0)
    text = [PARAGRAPH[number % len(PARAGRAPH)] for number in range(tokens)]
    return Script(text or ["."], token_s=TOKEN_S, prefill_s=0.0 if tokens else WAIT_S)


def ask_all(url: str, turns: int, question: str, to_server: Connection) -> None:
    """In the process of the clients: open a chat of so many turns each, say so, ask, and tell how much came."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = list(pool.map(lambda _: opened(url, turns), range(CLIENTS)))
        to_server.send(0)
        to_server.recv()
        to_server.send(sum(pool.map(lambda client: snapshots(client, question), clients)))
        to_server.recv()


def opened(url: str, turns: int) -> PageClient:
    http = httpx.Client(base_url=url, trust_env=False, timeout=60)
    http.get("/").raise_for_status()  # which gives the browser's cookie
    client = PageClient(http, uuid.uuid4().hex[:11], http.get("/config").raise_for_status().json())
    command = {"do": "new"}
    if turns:
        made = client.http.post("/chats/import", json=long_chat(turns), headers={"origin": url}).raise_for_status()
        command = {"do": "open", "id": made.json()["id"]}
    client.join(client.body("chat-command", "click") | {"event_data": command}).raise_for_status()
    completed(client)
    return client


def snapshots(client: PageClient, question: str) -> int:
    client.ask(question)
    return completed(client)


def completed(client: PageClient) -> int:
    """Read until the event is over; its snapshots."""
    number = 0
    for message in client.read():
        number += message["msg"] == "process_generating"
        if message["msg"] == "process_completed":
            break
    return number


@contextmanager
def page_of(kind: type[gr.Blocks]) -> Iterator[str]:
    """The whole app with a page of this kind; its address."""
    engine = ScriptedEngine(answer, slots=2 * CLIENTS, context_tokens=65536)
    with patch.object(page, "QuickBlocks", kind), running_page(engine, chat_titles=False) as url:
        yield url


@contextmanager
def beside(clients: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """Run ``clients`` in a process of their own; how to talk to them."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=clients, args=(*arguments, theirs))
    process.start()
    yield ours
    process.join()


def cost(kind: type[gr.Blocks], turns: int, tokens: int) -> tuple[float, float, float]:
    """Processor seconds of the server: for all who come, for their answers; and how many snapshots those had."""
    with page_of(kind) as url:
        before_s = time.process_time()
        with beside(ask_all, url, turns, str(tokens)) as clients:
            clients.recv()
            came_s, before_s = time.process_time() - before_s, time.process_time()
            clients.send(None)
            number = clients.recv()
            used_s = time.process_time() - before_s
            clients.send(None)
    return came_s, used_s, number


def fetch_all(url: str, names: Sequence[str], to_server: Connection) -> None:
    """In the process of the clients: a browser after the other opens the page and asks for its files."""
    for client in range(1 + CLIENTS):
        with httpx.Client(base_url=url, trust_env=False, headers={"accept-encoding": "gzip, deflate, br"}) as browser:
            for name in ["", *names]:
                browser.get(f"/{name}").raise_for_status()
        if client == 0:  # the first of all
            to_server.send(None)
            to_server.recv()
    to_server.send(None)


def files_cost(keep: Callable[[ASGIApp], ASGIApp]) -> float:
    """Processor seconds of the server: for a visitor's HTML, scripts and styles, once somebody has been there."""
    assets = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
    names = [f"assets/{file.name}" for file in sorted(assets.glob("Index-*"))[:FILES]]
    with (
        patch.object(guarded, "KeptAssets", keep),
        page_of(QuickBlocks) as url,
        beside(fetch_all, url, names) as clients,
    ):
        clients.recv()
        before_s = time.process_time()
        clients.send(None)
        clients.recv()
        used_s = time.process_time() - before_s
    return used_s / CLIENTS


def unkept(app: ASGIApp) -> ASGIApp:
    return app


def measure(quick: bool) -> Report:
    report = Report("What the page costs the server")
    cases: Sequence[tuple[str, int, int]] = [("new chat", 0, 250), ("60 turns", 60, 150), ("long answer", 0, 1500)]
    for name, turns, tokens in cases[:1] if quick else cases:
        per_snapshot = {}
        for who, kind in (("page", QuickBlocks), ("page on gr.Blocks", gr.Blocks)):
            came_s, used_s, number = cost(kind, turns, tokens)
            per_snapshot[who] = report.add(f"CPU a snapshot, {name}", who, 1000 * used_s / number, "ms")
            report.add(f"CPU of one who comes, {name}", who, 1000 * came_s / CLIENTS, "ms")
        report.ratio(f"snapshot on gr.Blocks / ours, {name}", *reversed(list(per_snapshot.values())))
    files_ms = {
        who: report.add("CPU of a visitor's files", who, 1000 * files_cost(keep), "ms")
        for who, keep in (("page", KeptAssets), ("as Gradio sends them", unkept))
    }
    report.ratio("files as Gradio sends them / ours", *reversed(list(files_ms.values())))
    _, used_s, _ = cost(QuickBlocks, 0, 0)
    report.add("CPU a second of one who waits", "page", 1000 * used_s / CLIENTS / WAIT_S, "ms")
    return report


def main() -> None:
    arguments = benchmark_parser(__doc__, quick="one case").parse_args()
    measure(arguments.quick).finish(arguments.json)


if __name__ == "__main__":
    main()
