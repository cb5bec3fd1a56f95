"""The pid file of the running app, for ``start.sh status`` and ``stop``, and those two commands.

It is ``run/server.json``: process id, address and model. Run as ``python -m qwen_app.serve.pidfile status|stop``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

PID_FILE = Path("run/server.json")
STOP_WAIT_S = 45.0  # running answers get 30 s, closing a few more
NOT_RUNNING = 1


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """The process that runs, where it answers, and what."""

    pid: int
    host: str
    port: int
    model: str

    @property
    def url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(
            self.host, f"[{self.host}]" if ":" in self.host else self.host
        )
        return f"http://{host}:{self.port}"


class PidFile:
    """Names the running process to other processes of this folder."""

    def __init__(self, path: Path = PID_FILE) -> None:
        self._path = path

    def write(self, process: ServerProcess) -> None:
        """Name ``process``, whatever stood there before. Makes the folder."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(asdict(process)) + "\n", encoding="utf-8")

    def read(self) -> ServerProcess | None:
        """The process it names, if that one is still alive and this app."""
        try:
            process = ServerProcess(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return process if _is_app(process.pid) else None

    def remove_own(self) -> None:
        """Remove it unless it names another process that runs."""
        process = self.read()
        if process is None or process.pid == os.getpid():
            self._path.unlink(missing_ok=True)


def status(process: ServerProcess | None) -> int:
    """Say what runs. Exit code 0 if something does."""
    if process is None:
        sys.stdout.write("Not running. Start it with: ./start.sh\n")
        return NOT_RUNNING
    lines = (
        "running: yes",
        f"pid:     {process.pid}",
        f"port:    {process.port}",
        f"page:    {process.url}",
        f"model:   {process.model}",
        f"health:  {_health(process)}",
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
    os.kill(process.pid, signal.SIGTERM)
    deadline_s = time.monotonic() + STOP_WAIT_S
    while _is_app(process.pid):
        if time.monotonic() > deadline_s:
            sys.stdout.write(f"It still runs. End it at once with: kill -9 {process.pid}\n")
            return NOT_RUNNING
        time.sleep(0.1)
    sys.stdout.write("Stopped.\n")
    return 0


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


def _is_app(pid: int) -> bool:
    """Whether process ``pid`` lives and is this app: ids are given out again."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return b"app.py" in command and state != "Z"


def main(arguments: list[str]) -> int:
    commands = {"status": status, "stop": stop}
    return commands[arguments[0]](PidFile().read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
