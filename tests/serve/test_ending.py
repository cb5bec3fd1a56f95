"""A stop while the model is loaded: at once, by 0, whatever the threads that load it are in the middle of."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE_S = 15.0  # generous for a busy machine, and much less than the 40 s after which an end is forced

# A server that is loading, as main ends it; BUSY is what its load is in the middle of.
SERVER = """
import asyncio, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from qwen_app.serve.ending import leave
from qwen_app.serve.logs import set_up_logs
from qwen_app.serve.server import listen, serve_until_signal
from qwen_app.settings import Settings

def fetch():
    ThreadPoolExecutor(2).submit(time.sleep, 3600).result()

def compute():
    import torch
    started = [threading.Thread(target=multiply, args=(torch,)) for _ in range(6)]
    [thread.start() for thread in started]
    multiply(torch)

def multiply(torch):
    a = torch.ones(64, 64, requires_grad=True)
    while True:
        (a @ a).sum().backward()

def load():
    said = threading.Timer(2.0, print, ("loading",), {"flush": True})
    said.start()
    BUSY()

set_up_logs("info", None)
listener = listen("127.0.0.1", 0)
settings = Settings(SETTINGS)
sys.exit(leave(asyncio.run(serve_until_signal(listener, load, settings))))
"""


@contextmanager
def loading(busy: str, settings: str = "") -> Iterator[subprocess.Popen[str]]:
    """The server, in the middle of ``busy``; ended where it has not ended by itself."""
    script = SERVER.replace("BUSY", busy).replace("SETTINGS", settings)
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "loading\n"
            yield process
        finally:
            process.kill()


def stopped(process: subprocess.Popen[str]) -> tuple[int, str, float]:
    """The code that ``process`` ends with at SIGTERM, what it said, and how many seconds it took."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    return process.returncode, said, time.monotonic() - begun


@pytest.mark.slow
def test_a_stop_does_not_wait_for_what_is_being_fetched() -> None:
    """By threads of a pool, which Python's own end would wait for."""
    with loading("fetch") as process:
        code, said, took_s = stopped(process)
    assert code == 0, said
    assert "Stopping" in said
    assert "could be ended" not in said
    assert took_s < AT_ONCE_S


@pytest.mark.slow
def test_a_stop_while_threads_compute_in_other_languages_is_no_crash() -> None:
    """Python's own end aborts the process when one of them comes back from C++."""
    for _ in range(3):  # it is a race, lost more often than not
        with loading("compute") as process:
            code, said, _ = stopped(process)
        assert (code, "terminate called" in said) == (0, False), said


@pytest.mark.slow
def test_a_stop_of_a_server_with_a_login_leaves_no_thread_behind() -> None:
    with loading("fetch", "auth='ada:a-long-password'") as process:
        code, said, _ = stopped(process)
    assert code == 0
    assert "Left behind" not in said
