"""The server as a process: loading page, takeover, signals, exit codes. Real sockets, real signals."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from qwen_app.errors import PortTaken, SettingsError
from qwen_app.serve.server import listen, refuse_unreachable_by_link

ROOT = Path(__file__).resolve().parents[2]

# A server whose start waits for a file "go", so that a test decides when the model is loaded.
SERVER = """
import asyncio, sys, time
from contextlib import asynccontextmanager
from pathlib import Path
from fastapi import FastAPI
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.errors import DoesNotFit
from qwen_app.serve.logs import set_up_logs
from qwen_app.serve.server import listen, serve_until_signal
from qwen_app.service import Service
from qwen_app.serve.build import App

here = Path(sys.argv[1])

@asynccontextmanager
async def lifespan(app):
    (here / "opened").touch()
    yield
    (here / "closed").touch()

def load():
    while not (here / "go").exists():
        time.sleep(0.02)
    if (here / "refuse").exists():
        raise DoesNotFit("Too big.")
    if (here / "crash").exists():
        raise ZeroDivisionError("a bug")
    app = FastAPI(lifespan=lifespan)
    app.get("/")(lambda: "the app")
    return App(app, Service(ScriptedEngine()))

set_up_logs("info", None)
listener = listen("127.0.0.1", 0 if len(sys.argv) < 3 else int(sys.argv[2]))
print(listener.getsockname()[1], flush=True)
sys.exit(asyncio.run(serve_until_signal(listener, load)))
"""


class Process:
    """The server above, and the folder that steers it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        script = folder / "server.py"
        script.write_text(textwrap.dedent(SERVER))
        with (folder / "stderr").open("w") as stderr:
            self.popen = subprocess.Popen(
                [sys.executable, str(script), str(folder)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.popen.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.popen.stdout.readline())}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=20)

    def say(self, name: str) -> None:
        (self.folder / name).touch()

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    started = Process(tmp_path)
    yield started
    started.popen.kill()
    started.popen.wait()
    assert started.popen.stdout is not None
    started.popen.stdout.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come; the test's own time limit ends a wait in vain."""
    while not condition():
        time.sleep(0.05)


def test_until_the_model_is_loaded_every_path_says_so_and_then_the_app_takes_over(process: Process) -> None:
    page = process.get("/")
    assert page.status_code == 503
    assert page.headers["retry-after"]
    assert "location.reload()" in page.text
    assert "正在加载" in page.text
    assert "being loaded" in page.text
    assert page.headers["content-security-policy"]
    assert page.headers["x-request-id"]
    assert process.get("/any/other").status_code == 503
    assert process.get("/health").status_code == 200
    ready = process.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "loading")
    assert "loaded" in ready.json()["reason"]
    figures = process.get("/metrics")  # so that an alert tells a server that loads from one that is gone
    assert figures.status_code == 200
    assert [sample for family in text_string_to_metric_families(figures.text) for sample in family.samples] == [
        ("qwen_ready", {}, 0.0, None, None, None)
    ]
    error = httpx.post(process.url + "/v1/chat/completions", json={}, timeout=20)
    assert error.status_code == 503
    assert error.headers["retry-after"]
    assert error.json()["error"]["type"] == "server_error"
    assert error.json()["error"]["code"] == "service_unavailable"

    process.say("go")
    until(lambda: process.get("/").status_code == 200)
    assert process.get("/").json() == "the app"
    assert (process.folder / "opened").exists()
    assert not (process.folder / "closed").exists()
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(20) == 0
    assert (process.folder / "closed").exists()
    assert "Stopping" in process.stderr()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_loading_ends_it_at_once(process: Process, number: signal.Signals) -> None:
    assert process.get("/").status_code == 503
    process.popen.send_signal(number)
    assert process.popen.wait(10) == 0


@pytest.mark.slow
def test_a_refused_start_ends_with_its_sentence_and_code(process: Process) -> None:
    process.say("refuse")
    process.say("go")
    assert process.popen.wait(20) == 5
    assert "Too big." in process.stderr()
    assert "Traceback" not in process.stderr()


@pytest.mark.slow
def test_a_bug_at_the_start_ends_with_its_trace(process: Process) -> None:
    process.say("crash")
    process.say("go")
    assert process.popen.wait(20) == 1
    assert "ZeroDivisionError" in process.stderr()


def test_a_taken_port_is_named() -> None:
    first = listen("127.0.0.1", 0)
    try:
        port = first.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} is taken") as caught:
            listen("127.0.0.1", port)
        assert caught.value.exit_code == 2
    finally:
        first.close()


def test_no_packet_waits_for_the_one_before_to_be_confirmed() -> None:
    """Else every answer on a connection that a client keeps takes 40 ms longer."""

    async def accepted() -> int:
        connected: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
        listener = listen("127.0.0.1", 0)
        server = await asyncio.start_server(lambda _, writer: connected.set_result(writer), sock=listener)
        async with server:
            _, client = await asyncio.open_connection(*listener.getsockname())
            writer = await connected
            option: int = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            client.close()
            await asyncio.gather(writer.wait_closed(), client.wait_closed())
        return option

    assert asyncio.run(accepted()) == 1


def test_hosts_that_cannot_be_listened_on() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", 0)
    with pytest.raises(SettingsError, match=r"no such address: --host 0\.0\.0\.0"):
        listen("192.0.2.1", 0)
    with pytest.raises(SettingsError, match="is not an address"):
        listen("no such host", 0)


@pytest.mark.parametrize("host", ["*", "a..b", ".", "a" * 64])
def test_what_no_machine_is_called_is_no_address(host: str) -> None:
    with pytest.raises(SettingsError, match="is not an address"):
        listen(host, 0)


def test_a_port_that_is_kept_for_root_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class OfAUser(socket.socket):
        def bind(self, _: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", OfAUser)
    with pytest.raises(SettingsError, match="choose one from 1024 on with --port") as caught:
        listen("127.0.0.1", 80)
    assert caught.value.exit_code == 2


@pytest.mark.slow
def test_the_app_with_a_taken_port_ends_before_it_loads_anything(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--model", "no-such-model"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert f"Port {port} is taken" in done.stderr
    assert "no-such-model" not in done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST", "0"])
def test_whoever_listens_where_a_public_link_leads_may_have_one(host: str) -> None:
    with listen(host, 0) as listener:
        refuse_unreachable_by_link(listener, host)


@pytest.mark.slow
def test_a_public_link_that_would_lead_to_nobody_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "app.py", "--port", str(free_port()), "--share", "--host", "127.0.0.2"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "--host 127.0.0.2 listens on 127.0.0.2 alone" in ended.stderr
    assert "Loading the model" not in ended.stderr


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
def test_the_real_app_answers_and_leaves_in_good_order(builtin_dir: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--model", "builtin"]
    command += ["--models-dir", str(builtin_dir.parent)]
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(url) or process.poll() is not None)
        page = httpx.get(url, timeout=20)
        assert page.status_code == 200
        assert "gradio" in page.text
        question = {
            "model": "default",
            "messages": [{"role": "user", "content": "What is the capital of Japan?"}],
            "temperature": 0,
            "max_tokens": 12,
        }
        answer = httpx.post(f"{url}/v1/chat/completions", json=question, timeout=60).json()
        assert "Tokyo" in answer["choices"][0]["message"]["content"]
        named = json.loads((tmp_path / "run" / "server.json").read_text())
        assert (named["pid"], named["port"], named["model"]) == (process.pid, port, "SmolLM2-135M-Instruct")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not (tmp_path / "run" / "server.json").exists()
        logged = (tmp_path / "server.log").read_text()
        assert "answered" in logged
        assert "capital of Japan" not in logged
        assert "Tokyo" not in logged
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_model_that_is_not_there_ends_the_app_with_its_own_code(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(free_port()), "--model", "./no-such-folder"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3
    assert "There is no model ./no-such-folder" in done.stderr
    assert "Traceback" not in done.stderr


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
