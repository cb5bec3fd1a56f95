"""The note a running app leaves for ``start.sh status`` and ``stop``, and those two commands.

The note is ``run/server.json``: process id, address and model. Run as ``python -m qwen_app.serve.pidfile status|stop``.
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

NOTE = Path("run/server.json")
STOP_WAIT_S = 45.0  # running answers get 30 s, closing a few more
NOT_RUNNING = 1


@dataclass(frozen=True, slots=True)
class Running:
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


def leave_note(running: Running, path: Path = NOTE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(running)) + "\n", encoding="utf-8")


def remove_note(path: Path = NOTE) -> None:
    """Remove this process's own note; another app's stays."""
    running = find_running(path)
    if running is None or running.pid == os.getpid():
        path.unlink(missing_ok=True)


def find_running(path: Path = NOTE) -> Running | None:
    """What the note names, if that process is still alive and ours."""
    try:
        running = Running(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return running if _is_app(running.pid) else None


def status(running: Running | None) -> int:
    """Say what runs. Exit code 0 if something does."""
    if running is None:
        sys.stdout.write("Not running. Start it with: ./start.sh\n")
        return NOT_RUNNING
    lines = (
        "running: yes",
        f"pid:     {running.pid}",
        f"port:    {running.port}",
        f"page:    {running.url}",
        f"model:   {running.model}",
        f"health:  {_health(running)}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def stop(running: Running | None) -> int:
    """Ask the app to stop and wait until it has: running answers may finish. Exit code 0 once nothing runs."""
    if running is None:
        sys.stdout.write("Not running.\n")
        return 0
    sys.stdout.write(f"Stopping process {running.pid}; running answers may finish ...\n")
    sys.stdout.flush()
    os.kill(running.pid, signal.SIGTERM)
    deadline_s = time.monotonic() + STOP_WAIT_S
    while _is_app(running.pid):
        if time.monotonic() > deadline_s:
            sys.stdout.write(f"It still runs. End it at once with: kill -9 {running.pid}\n")
            return NOT_RUNNING
        time.sleep(0.1)
    sys.stdout.write("Stopped.\n")
    return 0


def _health(running: Running) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never ask a proxy for loopback
    try:
        with opener.open(f"{running.url}/ready", timeout=5) as answer:
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
    return commands[arguments[0]](find_running())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
