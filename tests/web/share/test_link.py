"""The public link on a stand-in relay: it leads to our server, is watched, opened again, and told about when gone."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest
import segno
from fastapi import FastAPI
from gradio import networking

from qwen_app.web.share.install import SHARE_LINK, share_when_running
from qwen_app.web.share.link import ShareLink, qr_code
from qwen_app.web.share.state import LinkState, read_note
from qwen_app.web.share.tunnel import NoTunnel, Relay, Tunnel, TunnelProgram, open_tunnel
from tests.attacks.walled_server import walled
from tests.web.share.frp_stand_in import StandIn

pytestmark = pytest.mark.slow  # tunnels that die, and are waited for

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 20.0


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    return StandIn(tmp_path)


class Opened:
    """Opens tunnels of the stand-in and keeps them."""

    def __init__(self, stand_in: StandIn) -> None:
        self._open = partial(open_tunnel, relay_address="127.0.0.1:7000", program=stand_in.program)
        self.tunnels: list[Tunnel] = []

    def __call__(self, port: int) -> Tunnel:
        self.tunnels.append(self._open(port))
        return self.tunnels[-1]


@contextmanager
def sharing(port: int, opened: Opened) -> Iterator[ShareLink]:
    link = ShareLink(port, opened, look_s=0.1, pauses_s=(0.05, 0.05, 0.05))
    link.start()
    try:
        yield link
    finally:
        link.close()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def test_the_link_leads_to_our_server_and_its_program_ends_with_it(
    stand_in: StandIn, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = Opened(stand_in)
    with walled() as server, caplog.at_level(logging.INFO), sharing(server.port, opened) as link:
        until(lambda: link.state.url)
        assert httpx.get(f"{link.state.url}/health", trust_env=False).json() == {"status": "ok"}
        assert read_note() == link.state.url
        assert link.state.url in caplog.text
        until(lambda: qr_code(link.state.url) in capsys.readouterr().out)
    assert not opened.tunnels[0].runs
    assert read_note() == ""


SERVER_THAT_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from qwen_app.web.share.tunnel import Relay, Tunnel
tunnel = Tunnel(Path(sys.argv[1]), Relay("127.0.0.1:7000"), 9)
tunnel.wait_open()
print(Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_server_that_is_killed_takes_its_tunnel_along(stand_in: StandIn) -> None:
    command = [sys.executable, "-c", SERVER_THAT_IS_KILLED, str(stand_in.program.path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    (child,) = done.stdout.split()
    until(lambda: not psutil.pid_exists(int(child)) or psutil.Process(int(child)).status() == psutil.STATUS_ZOMBIE)


def test_a_tunnel_that_dies_is_opened_again_three_times_and_then_told(
    stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    opened = Opened(stand_in)

    def opened_and_told(count: int) -> bool:
        return len(opened.tunnels) == count and link.state.url == opened.tunnels[-1].url

    with walled() as server, sharing(server.port, opened) as link:
        for number in range(4):
            until(partial(opened_and_told, number + 1))
            opened.tunnels[-1].close()
        until(lambda: link.state.problem)
    assert len({tunnel.url for tunnel in opened.tunnels}) == 4
    assert "the tunnel program ended" in link.state.problem
    for instead in ("--host 0.0.0.0", f"ssh -L {server.port}", "QWEN_SHARE_RELAY"):
        assert instead in caplog.text


def test_a_link_that_expires_is_noticed_though_its_program_runs(stand_in: StandIn) -> None:
    opened = Opened(stand_in)
    with walled() as server, sharing(server.port, opened) as link:
        until(lambda: link.state.url)
        stand_in.order("expired")
        until(lambda: len(opened.tunnels) > 1)
        until(lambda: "expire" in link.state.problem)
        assert not any(tunnel.runs for tunnel in opened.tunnels)


@pytest.mark.parametrize(("order", "why"), [("refuse", "authorization failed"), ("die", "program ended")])
def test_why_there_is_no_link(stand_in: StandIn, order: str, why: str) -> None:
    stand_in.order(order)
    with sharing(1, Opened(stand_in)) as link:
        until(lambda: why in link.state.problem)
        until(lambda: read_note().startswith("none: "))


def test_a_relay_that_hangs_is_given_up(stand_in: StandIn) -> None:
    stand_in.order("hang")
    tunnel = Tunnel(stand_in.program.path, Relay("127.0.0.1:7000"), 1)
    with pytest.raises(NoTunnel, match="did not answer"):
        tunnel.wait_open(0.2)
    assert not tunnel.runs


@contextmanager
def answering(content: bytes, content_type: str = "application/octet-stream") -> Iterator[str]:
    """The address of a server on loopback that answers with ``content``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_changed_program_is_fetched_anew_and_never_run_with_another_hash(stand_in: StandIn) -> None:
    right = stand_in.program.path.read_bytes()
    stand_in.program.path.write_bytes(b"#!/bin/sh\ntouch ran\n")
    with answering(b"something else") as url:
        changed = TunnelProgram(stand_in.program.path, url, stand_in.program.sha256)
        with pytest.raises(NoTunnel, match="not the expected one"):
            changed.ensure()
    assert not stand_in.program.path.exists()
    with answering(right) as url:
        TunnelProgram(stand_in.program.path, url, stand_in.program.sha256).ensure()
    assert stand_in.program.path.read_bytes() == right
    with pytest.raises(NoTunnel, match="not published"):
        TunnelProgram(stand_in.program.path, "", "").ensure()
    with pytest.raises(NoTunnel, match="cannot be downloaded"):
        TunnelProgram(stand_in.program.path.with_name("none"), "http://127.0.0.1:9/", "0" * 64).ensure()


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'[{"host": 1}]', b"<html>"])
def test_a_share_service_that_says_nonsense(stand_in: StandIn, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(said, "application/json") as url:
        monkeypatch.setattr(networking, "GRADIO_API_SERVER", url)
        with pytest.raises(NoTunnel, match="cannot be reached"):
            open_tunnel(1, program=stand_in.program)


@pytest.mark.anyio
async def test_the_page_is_told() -> None:
    app = FastAPI()
    link = ShareLink(1, lambda port: pytest.fail("not opened in this test"))
    share_when_running(app, link)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as web:
        link.state = LinkState(problem="it ended")
        assert (await web.get(SHARE_LINK)).json() == {"url": "", "problem": "it ended"}


def test_the_code_is_the_links() -> None:
    drawn = io.StringIO()
    segno.make("https://abc.gradio.live", error="l").terminal(drawn, compact=True, border=2)
    assert qr_code("https://abc.gradio.live") == drawn.getvalue()
    assert len(qr_code("https://abc.gradio.live").splitlines()) < 24  # fits a terminal
