"""The folder's lock, the pid file of the running app for ``start.sh status`` and ``stop``, and their commands.

``run/server.lock`` is locked by the app as long as it lives, and so is the one in the folder of its data.
``run/server.json`` has its process id, address and model, and by what to know it again: ids are given out anew, files
are copied and outlive their process. Run as ``python -m qwen_app.serve.pidfile status [RESTARTER]|stop|kill``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import signal
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from qwen_app.errors import FolderTaken
from qwen_app.web.share.state import read_note

log = logging.getLogger(__name__)

PID_FILE = Path("run/server.json")
DATA_LOCK = "server.lock"
STOP_WAIT_S = 45.0  # running answers get 30 s, closing a few more, and then the end is forced (ending.py)
KILL_WAIT_S = 5.0
NOT_RUNNING = 1


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """The process that runs, where it answers, and what.

    ``started`` is when the process began, in the kernel's ticks since it booted; ``token`` stands in the lock as well.
    """

    pid: int
    host: str
    port: int
    model: str
    started: int = 0
    token: str = ""

    @property
    def url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(
            self.host, f"[{self.host}]" if ":" in self.host else self.host
        )
        return f"http://{host}:{self.port}"


class PidFile:
    """Names the running process to other processes of this folder. What cannot be written is a warning, no more."""

    def __init__(self, path: Path = PID_FILE) -> None:
        self._path = path
        self._lock_path = path.with_suffix(".lock")
        self._token = secrets.token_hex(8)

    def claim(self) -> None:
        """Lock the folder as long as this process lives. Raises FolderTaken when another process has."""
        try:
            lock = _locked(self._lock_path, 0o644)  # who asks for the status may be another user
            os.truncate(lock, 0)
            os.write(lock, self._token.encode())
        except BlockingIOError:
            raise FolderTaken(self._taken()) from None
        except OSError as refused:
            log.warning(
                "This folder cannot be locked (%s: %s), so a second copy in it would not be noticed.",
                self._lock_path,
                refused.strerror,
            )

    def write(self, process: ServerProcess) -> None:
        """Name ``process``, whatever stood there before. Makes the folder."""
        note = replace(process, started=_started(process.pid), token=self._token)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._path.with_suffix(".new")
            whole.write_text(json.dumps(asdict(note)) + "\n", encoding="utf-8")
            whole.replace(self._path)
        except OSError as refused:
            log.warning(
                "%s cannot be written (%s), so ./start.sh status and stop will not find this process.",
                self._path,
                refused.strerror,
            )

    def read(self) -> ServerProcess | None:
        """The process it names, if that one is still alive and this app."""
        try:
            process = ServerProcess(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        well_formed = all(isinstance(number, int) for number in (process.pid, process.port, process.started))
        return process if well_formed and _lives(process) and self._agrees(process) else None

    def remove_own(self) -> None:
        """Remove it unless it names another process that runs."""
        process = self.read()
        if process is None or process.pid == os.getpid():
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _agrees(self, process: ServerProcess) -> bool:
        """Whether the lock, where there is one, was taken by the process that wrote the note."""
        try:
            token = self._lock_path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            token = ""
        return token in ("", process.token)

    def _taken(self) -> str:
        first = self.read()
        where = f" on port {first.port} (process {first.pid})" if first else ""
        return (
            f"Another copy runs in this folder already{where}. Stop it with ./start.sh stop, or run the second one "
            "from a folder of its own."
        )


def claim_data(folder: Path) -> None:
    """Lock the folder of saved chats as long as this process lives. Raises FolderTaken when another app has.

    One that cannot be locked is told of by what cannot write its files there either.
    """
    try:
        _locked(folder / DATA_LOCK, 0o600)  # who can read a file can lock it, and would keep the app from starting
    except BlockingIOError:
        raise FolderTaken(
            f"Another copy keeps its chats in {str(folder.absolute())!r} already. Stop that one, or give this one a "
            "folder of its own with --data-dir."
        ) from None
    except OSError as refused:
        log.info("%s cannot be locked: %s", folder, refused.strerror)


def status(process: ServerProcess | None, restarter: str = "") -> int:
    """Say what runs. Exit code 0 if something does. ``restarter`` is the id of the process that starts it again."""
    if process is None:
        waits = f"Not running at the moment: ./start.sh (process {restarter}) is about to start it. See ./start.sh logs"
        sys.stdout.write(f"{waits if restarter else 'Not running. Start it with: ./start.sh'}\n")
        return NOT_RUNNING
    health = _health(process)
    process = PidFile().read() or process  # it notes its model when that is there, which may be by now
    lines = (
        "running: yes",
        f"pid:     {process.pid}",
        f"port:    {process.port}",
        f"page:    {process.url}",
        f"model:   {process.model}",
        f"health:  {health}",
        *((f"link:    {link}",) if (link := read_note()) else ()),
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def stop(process: ServerProcess | None) -> int:
    """Ask the app to stop and wait until it has: running answers may finish. Exit code 0 once nothing runs."""
    if process is None:
        sys.stdout.write("Not running.\n")
        return 0
    sys.stdout.write(f"Stopping process {process.pid}; running answers may finish ...\n")
    sys.stdout.flush()
    try:
        os.kill(process.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        sys.stdout.write("It belongs to another user, who has to stop it.\n")
        return NOT_RUNNING
    # It ends by itself in that time, unless it cannot even do that.
    code = 0 if _gone_within(STOP_WAIT_S, process) else kill(process)
    if code == 0:
        sys.stdout.write("Stopped.\n")
    return code


def kill(process: ServerProcess | None) -> int:
    """End the app that was asked to stop and did not. Exit code 0 once nothing runs."""
    if process is None:
        return 0
    sys.stdout.write("It does not end, so it is killed.\n")
    sys.stdout.flush()
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    if _gone_within(KILL_WAIT_S, process):
        return 0
    sys.stdout.write("It still runs: the kernel does not let go of it.\n")
    return NOT_RUNNING


def _locked(path: Path, mode: int) -> int:
    """The file, made where it is missing and locked until this process ends: nobody may close it.

    Raises BlockingIOError where another process has it, or OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _gone_within(limit_s: float, process: ServerProcess) -> bool:
    deadline_s = time.monotonic() + limit_s
    while _lives(process):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True


def _health(process: ServerProcess) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never ask a proxy for loopback
    try:
        with opener.open(f"{process.url}/ready", timeout=5) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as refused:
        body = _json_or_nothing(refused.read())
    except (OSError, ValueError) as silent:
        return f"no answer ({silent})"
    return " ".join(str(body[key]) for key in ("status", "reason") if body.get(key)) or "unknown"


def _json_or_nothing(text: bytes) -> dict[str, str]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _lives(process: ServerProcess) -> bool:
    """Whether the process of the note runs, and not a later one that was given its id."""
    return process.started > 0 and _started(process.pid) == process.started


def _started(pid: int) -> int:
    """When process ``pid`` began, in ticks since boot; 0 where there is none that runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    state, started = fields[0], fields[19]
    return 0 if state == "Z" else int(started)


def main(arguments: list[str]) -> int:
    command, *words = arguments
    process = PidFile().read()
    return status(process, *words) if command == "status" else {"stop": stop, "kill": kill}[command](process)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
