"""The process ends in time whatever hangs in it: by itself with 70 where the engine is lost, with 0 at a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from qwen_app.serve.ending import END_S, LAST_WORDS_S, LINGER_S
from qwen_app.serve.pidfile import STOP_WAIT_S

ROOT = Path(__file__).resolve().parents[2]
END_HERE_S = 12.0  # instead of END_S
SPARE_S = 15.0  # for a busy machine
BODY = {"model": "default", "messages": [{"role": "user", "content": "Hi"}], "stream": True}

pytestmark = pytest.mark.slow  # a process each, with PyTorch in some


class Stuck:
    """tests/faults/stuck_server.py as a process."""

    def __init__(self, kind: str, model: Path, watchdog_s: float, stderr: Path) -> None:
        self.stderr = stderr
        with stderr.open("w") as written:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.stuck_server", kind, str(model), str(watchdog_s), str(END_HERE_S)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
            )
        self.url = f"http://127.0.0.1:{int(self.line())}"

    def line(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline()

    def wait_until_ready(self) -> None:
        while "Ready." not in self.stderr.read_text():
            assert self.popen.poll() is None, self.stderr.read_text()
            time.sleep(0.1)

    def ask(self, method: str, path: str, answers: list[str], **options: object) -> threading.Thread:
        """Ask on a thread of its own; what comes, and how it ends, is added to ``answers``."""

        def run() -> None:
            try:
                answers.append(httpx.request(method, self.url + path, timeout=90, **options).text)  # type: ignore[arg-type]
            except httpx.HTTPError as cut:
                answers.append(type(cut).__name__)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def seconds_to_end(self, number: signal.Signals) -> float:
        begun = time.monotonic()
        self.popen.send_signal(number)
        self.popen.wait(END_HERE_S + SPARE_S)
        return time.monotonic() - begun


@contextmanager
def stuck(kind: str, tmp_path: Path, model: Path = Path(), watchdog_s: float = 600.0) -> Iterator[Stuck]:
    server = Stuck(kind, model, watchdog_s, tmp_path / "stderr")
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.popen.kill()
        server.popen.wait()
        assert server.popen.stdout is not None
        server.popen.stdout.close()


def test_stop_waits_longer_than_the_end_may_take() -> None:
    assert END_S + 3 * LAST_WORDS_S < STOP_WAIT_S + LINGER_S + LAST_WORDS_S
    assert END_S < STOP_WAIT_S


def test_a_worker_that_hangs_for_good_ends_the_process_with_70(tmp_path: Path, tiny_qwen_dir: Path) -> None:
    with stuck("worker", tmp_path, tiny_qwen_dir, watchdog_s=2.0) as server:
        told: list[str] = []
        asking = server.ask("POST", "/v1/chat/completions", told, json=BODY)
        assert server.line() == "stuck\n"
        assert server.popen.wait(40) == 70
        asking.join(20)
        assert "service_unavailable" in told[0]
        assert "has not moved" in server.stderr.read_text()


def test_sigterm_ends_a_process_whose_worker_hangs(tmp_path: Path, tiny_qwen_dir: Path) -> None:
    with stuck("worker", tmp_path, tiny_qwen_dir) as server:
        told: list[str] = []
        asking = server.ask("POST", "/v1/chat/completions", told, json=BODY)
        assert server.line() == "stuck\n"
        assert server.seconds_to_end(signal.SIGTERM) < END_HERE_S + SPARE_S
        assert server.popen.returncode == 0
        asking.join(20)
        assert "service_unavailable" in told[0]


@pytest.mark.parametrize("kind", ["executor", "thread", "loop"])
def test_sigterm_ends_a_process_in_which_something_else_hangs(tmp_path: Path, kind: str) -> None:
    """A thread of the web server's pool, a thread of its own, and the event loop itself."""
    with stuck(kind, tmp_path) as server:
        asking = server.ask("GET", "/hang", []) if kind != "thread" else None
        assert server.line() == "stuck\n"
        assert server.seconds_to_end(signal.SIGTERM) < END_HERE_S + SPARE_S
        assert server.popen.returncode == 0
        if asking:
            asking.join(20)


def tell_twice(server: Stuck, number: signal.Signals) -> threading.Thread:
    """The second while somebody waits in the blocked loop; the thread that waits."""
    asking = server.ask("GET", "/hang", [])
    assert server.line() == "stuck\n"
    server.popen.send_signal(number)
    time.sleep(0.5)
    server.popen.send_signal(number)
    return asking


def test_a_second_signal_ends_it_at_once_though_the_loop_is_blocked(tmp_path: Path) -> None:
    with stuck("loop", tmp_path) as server:
        asking = tell_twice(server, signal.SIGTERM)
        assert server.popen.wait(END_HERE_S / 2) == 128 + signal.SIGTERM
        asking.join(20)


def test_a_terminal_that_closes_says_so_twice_and_cuts_nothing_short(tmp_path: Path) -> None:
    with stuck("loop", tmp_path) as server:
        asking = tell_twice(server, signal.SIGHUP)
        assert server.popen.wait(END_HERE_S + SPARE_S) == 0
        asking.join(20)
