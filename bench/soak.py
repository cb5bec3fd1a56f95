"""Many users for minutes on the whole server with a scripted engine: does it hold, does it leak, does it mix them up?

python -m bench.http --soak [--users 200] [--minutes 5]
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
from fastapi import FastAPI

from bench.loopback import on_loopback
from bench.report import Report
from qwen_app.api.install import install_api
from qwen_app.messages import GenerationRequest
from qwen_app.serve.connections import ConnectionLimits
from qwen_app.serve.server import Server, server_config
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.web.wall import wall

SLOTS, QUEUE = 32, 128
TOKEN_S = 0.005
LOOK_S = 0.02  # how often the loop's lag is looked at
MEMORY_LOOK_S = 0.5
LAG_LIMIT_MS = 100.0
GROWTH_LIMIT = 0.05  # of the memory after the first fifth


@dataclass(slots=True)
class Soak:
    """What was seen: by the users, and of the server's process. Times in seconds, memory in bytes.

    How late the loop is says what its users feel, on a machine that does nothing else; how long it works at one piece
    is the server's own part of that, whatever else the machine does.
    """

    seen: dict[str, object] = field(default_factory=dict)
    lags_s: list[float] = field(default_factory=list)
    works_s: list[float] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Of the memory, from the second fifth of the time to the last, as a share."""
        fifth = max(1, len(self.memory_bytes) // 5)
        early, late = self.memory_bytes[fifth : 2 * fifth], self.memory_bytes[-fifth:]
        return statistics.median(late) / statistics.median(early or late) - 1

    @property
    def requests(self) -> int:
        statuses = self.seen["statuses"]
        return sum(statuses.values()) if isinstance(statuses, dict) else 0

    def problems(self) -> list[str]:
        """What must not be; nothing where all is well. Speed and memory are not among them."""
        names = ("unplanned", "strangers", "lost")
        return [f"{name}: {self.seen[name]}" for name in names if self.seen[name]]


def echo(request: GenerationRequest) -> Script:
    """The question, said back word for word."""
    words = request.messages[-1].content.split(" ")
    return Script(text=[f"{word} " for word in words if word], token_s=TOKEN_S)


def soak(users: int, seconds: float) -> Soak:
    """Run ``users`` for ``seconds``."""
    found = Soak()
    with serving(users, found) as port, watching_memory(found.memory_bytes):
        order = json.dumps({"port": port, "count": users, "seconds": seconds})
        command = [sys.executable, "-m", "bench.soak_clients"]
        done = subprocess.run(command, input=order, capture_output=True, text=True, check=True)
    found.seen = json.loads(done.stdout)
    return found


@contextmanager
def serving(users: int, found: Soak) -> Iterator[int]:
    """API and wall as they run, with a key for every user; notes how late the loop is."""
    settings = Settings(api_keys=",".join(f"key-{number}" for number in range(users)))
    app = FastAPI(openapi_url=None)
    install_api(app, Service(ScriptedEngine(echo, slots=SLOTS, queue_limit=QUEUE)), settings)
    server = Server(server_config(wall(app, settings), settings, ConnectionLimits()))
    with on_loopback(server, beside=lambda: note_lag(found)) as port:
        yield port


async def note_lag(found: Soak) -> None:
    while True:
        started, worked = time.perf_counter(), time.thread_time()
        await asyncio.sleep(LOOK_S)
        found.lags_s.append(max(0.0, time.perf_counter() - started - LOOK_S))
        found.works_s.append(time.thread_time() - worked)


def p99_ms(times_s: list[float]) -> float:
    return statistics.quantiles(times_s, n=100)[-1] * 1000


@contextmanager
def watching_memory(bytes_seen: list[int]) -> Iterator[None]:
    """Note this process's resident memory until the block ends."""
    process, over = psutil.Process(os.getpid()), threading.Event()

    def look() -> None:
        while not over.wait(MEMORY_LOOK_S):
            bytes_seen.append(process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def report_soak(report: Report, users: int, seconds: float) -> int:
    """Run it and tell; exit code 1 where something must not be, or a limit is passed."""
    found = soak(users, seconds)
    what = f"{users} users for {seconds:.0f} s"
    report.add(what, "requests", found.requests, "")
    report.add(what, "requests a second", found.requests / seconds, "requests/s")
    report.add(what, "lag of the event loop, p99", p99_ms(found.lags_s), "ms")
    report.add(what, "work of the event loop at one piece, p99", p99_ms(found.works_s), "ms")
    report.add(what, "lag of the event loop, longest", max(found.lags_s) * 1000, "ms")
    report.add(what, "memory at the end", found.memory_bytes[-1] / 1e6, "MB")
    report.add(what, "growth of memory after the first fifth", 100 * found.growth, "%")
    sys.stdout.write(f"{json.dumps(found.seen)}\n")
    late = p99_ms(found.lags_s) > LAG_LIMIT_MS, found.growth > GROWTH_LIMIT
    return int(bool(found.problems()) or any(late))
