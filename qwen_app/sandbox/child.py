"""The child: imports everything once, then answers one job after the other, each in a fork of its own.

A job that crashes, loops or swells takes its fork along and nothing else, and the next one starts from a clean, warm
process. Frames on stdin and stdout are JSON behind their length (4 bytes, big-endian).

    python -m qwen_app.sandbox.child qwen_app.sandbox.tasks
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from typing import IO, Literal, NoReturn, TypedDict

from pydantic import JsonValue

LENGTH = struct.Struct(">I")
FRAME_LIMIT_BYTES = 64 * 2**20
OPEN_FILES = 32

Tasks = Mapping[str, Callable[[JsonValue], JsonValue]]
Death = Literal["time", "memory", "crash", "output"]


class Job(TypedDict):
    """``task`` names a function of the child's table. Times are seconds."""

    task: str
    payload: JsonValue
    cpu_s: float
    wall_s: float
    memory_bytes: int
    output_bytes: int


class Outcome(TypedDict, total=False):
    """``result`` of a job that ended; else how it ``died``, or the sentence of an ``error`` that nobody foresaw."""

    result: JsonValue
    died: Death
    error: str


def write_frame(stream: IO[bytes], value: object) -> None:
    data = json.dumps(value).encode("utf-8", "surrogatepass")
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> JsonValue:
    """The next frame. Raises EOFError at the end and ValueError for what is no frame."""
    head = _exactly(stream, LENGTH.size)
    (length,) = LENGTH.unpack(head)
    if length > FRAME_LIMIT_BYTES:
        raise ValueError(f"a frame of {length} bytes is over the limit")
    value: JsonValue = json.loads(_exactly(stream, length))
    return value


def _exactly(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


def main(module: str) -> None:
    """Answer jobs with the functions in ``TASKS`` of ``module`` until stdin ends."""
    tasks: Tasks = importlib.import_module(module).TASKS
    write_frame(sys.stdout.buffer, {"result": "ready"})
    while True:
        try:
            job: Job = read_frame(sys.stdin.buffer)  # type: ignore[assignment] # our own server's word
        except EOFError:
            return
        write_frame(sys.stdout.buffer, run_in_fork(job, tasks))


def run_in_fork(job: Job, tasks: Tasks) -> Outcome:
    """What became of ``job``."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _run(job, tasks, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        data = pipe.read(job["output_bytes"] + 1)
    if len(data) > job["output_bytes"]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if len(data) > job["output_bytes"]:
        return {"died": "output"}
    if os.WIFSIGNALED(status):
        timers = (signal.SIGALRM, signal.SIGPROF, signal.SIGXCPU)
        return {"died": "time" if os.WTERMSIG(status) in timers else "crash"}
    outcome: Outcome = json.loads(data) if data else {"died": "crash"}
    return outcome


def _run(job: Job, tasks: Tasks, pipe: int) -> NoReturn:
    """In the fork: limit, work, tell, end. Never returns, whatever happens."""
    code = 1
    try:
        _be_silent()
        _limit(job)
        data = json.dumps(_outcome(job, tasks)).encode("utf-8", "surrogatepass")
        with open(pipe, "wb") as stream:
            stream.write(data)
        code = 0
    finally:
        os._exit(code)


def _outcome(job: Job, tasks: Tasks) -> Outcome:
    try:
        return {"result": tasks[job["task"]](job["payload"])}
    except MemoryError:
        return {"died": "memory"}
    except RecursionError:
        return {"died": "crash"}
    except Exception as unforeseen:  # the job's boundary; the text stays here, for it may be a visitor's
        return {"error": type(unforeseen).__name__}


def _be_silent() -> None:
    """What libraries tell the console, native ones when they give up, may hold what the visitor sent."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for told in (1, 2):
        os.dup2(nowhere, told)
    os.close(nowhere)


def _limit(job: Job) -> None:
    """Timers end the process by their signal, also where native code never gives the interpreter back."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, job["wall_s"])
    signal.setitimer(signal.ITIMER_PROF, job["cpu_s"])
    held_bytes = _held_bytes()
    resource.setrlimit(resource.RLIMIT_AS, (held_bytes + job["memory_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _held_bytes() -> int:
    """Address space in use before the job begins."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(sys.argv[1])
