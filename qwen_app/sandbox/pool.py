"""A small pool of children that run a visitor's text: one job a user at a time, each within its limits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from qwen_app.errors import EngineUnavailable, OverBudget, TooManyRequests
from qwen_app.fair_share import has_room, held_by, is_guest
from qwen_app.sandbox.child import Job, Outcome, read_frame, write_frame

log = logging.getLogger(__name__)

TASKS = "qwen_app.sandbox.tasks"  # the module whose functions children run
WORKERS = 2
WAITING_LIMIT = 64
WAITING_PER_USER = 4
START_TIMEOUT_S = 60.0
GRACE_S = 5.0  # beyond a job's own wall time, before its child is killed from outside
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may take. The processor's time is the limit: by the clock, from its start, it may take
    ``wall_factor`` times as long, for others may have the processor."""

    cpu_s: float = 1.0
    wall_factor: float = 5.0
    memory_bytes: int = 256 * 2**20
    output_bytes: int = 4 * 2**20

    @property
    def wall_s(self) -> float:
        return self.cpu_s * self.wall_factor


@dataclass(eq=False, slots=True)
class _Waiting:
    user: str
    job: Job
    future: Future[JsonValue] = field(default_factory=Future)


class Sandbox:
    """Runs jobs in ``workers`` children, which start at the first job and again whenever one was lost.

    A user has one job running at most, and all guests together leave a child to others, so nobody can hold all. All
    methods may be called from any thread.
    """

    def __init__(self, workers: int = WORKERS, tasks: str = TASKS) -> None:
        self._tasks = tasks
        self._condition = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._busy: Counter[str] = Counter()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"sandbox-{number}", daemon=True) for number in range(workers)
        ]
        self._started = False

    async def run(self, task: str, payload: JsonValue, *, user: str, limits: Limits = Limits()) -> JsonValue:
        """The result of ``task`` for ``payload``.

        Raises OverBudget when the job hit a limit or crashed, TooManyRequests when too much waits already, and
        EngineUnavailable when no child can be started.
        """
        return await asyncio.wrap_future(self.submit(task, payload, user=user, limits=limits))

    def submit(self, task: str, payload: JsonValue, *, user: str, limits: Limits) -> Future[JsonValue]:
        """As ``run``, for threads: the result comes by the future."""
        job: Job = {
            "task": task,
            "payload": payload,
            "cpu_s": limits.cpu_s,
            "wall_s": limits.wall_s,
            "memory_bytes": limits.memory_bytes,
            "output_bytes": limits.output_bytes,
        }
        waiting = _Waiting(user, job)
        with self._condition:
            self._waiting = [other for other in self._waiting if not other.future.cancelled()]
            held = held_by(user, ((other.user, 1) for other in self._waiting))
            if held.own >= WAITING_PER_USER or not has_room(1, held, WAITING_LIMIT):
                raise TooManyRequests("Too much is being checked already. Try again in a few seconds.")
            if self._closed:
                raise EngineUnavailable("The server is shutting down. Try again in a minute.")
            self._start()
            self._waiting.append(waiting)
            self._condition.notify_all()
        return waiting.future

    def close(self) -> None:
        """End the children. Jobs that wait are refused."""
        with self._condition:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            self._condition.notify_all()
        for one in waiting:
            one.future.cancel()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()

    def _serve(self) -> None:
        child = _Child(self._tasks)
        try:
            while (waiting := self._next()) is not None:
                try:
                    if waiting.future.set_running_or_notify_cancel():
                        _settle(waiting.future, child, waiting.job)
                finally:
                    with self._condition:
                        self._busy[waiting.user] -= 1
                        self._condition.notify_all()
        finally:
            child.end()

    def _next(self) -> _Waiting | None:
        """The oldest job of a user who may have one more running; None when the pool is closed."""
        with self._condition:
            while not self._closed:
                for waiting in self._waiting:
                    if self._may_run(waiting.user):
                        self._waiting.remove(waiting)
                        self._busy = +self._busy  # forget who has nothing here
                        self._busy[waiting.user] += 1
                        return waiting
                self._condition.wait()
            return None

    def _may_run(self, user: str) -> bool:
        guests = sum(number for name, number in self._busy.items() if is_guest(name))
        crowded = is_guest(user) and guests >= max(1, len(self._threads) - 1)
        return not self._busy[user] and not crowded


def _settle(future: Future[JsonValue], child: _Child, job: Job) -> None:
    try:
        outcome = child.call(job)
    except Exception as refused:  # no child, or no thread to watch it; this thread must live, for others wait for it
        child.end()
        log.error("no sandbox process could be started: %s", refused)
        future.set_exception(EngineUnavailable("This cannot be checked at the moment. Try again in a minute."))
        return
    if "result" in outcome:
        future.set_result(outcome["result"])
        return
    if "error" in outcome:
        log.error("the sandboxed task %s raised %s", job["task"], outcome["error"])
    future.set_exception(OverBudget(outcome.get("died", "crash")))


class _Child:
    """One child process, started when it is needed."""

    def __init__(self, tasks: str) -> None:
        self._tasks = tasks
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, job: Job) -> Outcome:
        """What became of ``job``. A child that is lost over it is a crash of the job."""
        process = self._process or self._start()
        watchdog = threading.Timer(job["wall_s"] + GRACE_S, process.kill)
        watchdog.start()
        try:
            return self._exchange(process, job)
        except (EOFError, ValueError, BrokenPipeError):
            self.end()
            return {"died": "crash"}
        finally:
            watchdog.cancel()

    def _exchange(self, process: subprocess.Popen[bytes], job: Job | None) -> Outcome:
        assert process.stdin is not None
        assert process.stdout is not None
        if job is not None:
            write_frame(process.stdin, job)
        return cast(Outcome, read_frame(process.stdout))

    def _start(self) -> subprocess.Popen[bytes]:
        """Raises OSError where no child can be started. It inherits no variable, for those may hold secrets."""
        environment = {"PYTHONPATH": str(ROOT), "PATH": os.defpath, "LANG": "C.UTF-8"}
        command = [sys.executable, "-m", "qwen_app.sandbox.child", self._tasks]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._process = process
        watchdog = threading.Timer(START_TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            self._exchange(process, None)
        except (EOFError, ValueError) as silent:
            self.end()
            raise OSError("the child ended before it was ready") from silent
        finally:
            watchdog.cancel()
        return process

    def end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # over what was not sent any more
                    pipe.close()


@cache
def sandbox() -> Sandbox:
    """The process's own pool: what runs beside each other shares its children."""
    return Sandbox()
