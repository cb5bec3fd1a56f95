"""Servers in processes of their own: the app as ``start.sh`` starts it, and llama.cpp's beside it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
LLAMA_CPP = CACHE / "qwen-app/remote/llama.cpp/bin/python"  # scripts/check-remote llama.cpp installs it
START_S = 180


@contextlib.contextmanager
def app_server(models_dir: Path) -> Iterator[int]:
    """The port of the app with the built-in model and every default; its folder is its own."""
    with TemporaryDirectory() as folder:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("QWEN_")}
        environ |= {
            "QWEN_MODELS_DIR": str(models_dir.resolve()),
            "QWEN_MODEL": "builtin",
        }
        with _running([sys.executable, str(ROOT / "app.py"), "--port"], "/ready", environ, Path(folder)) as port:
            yield port


@contextlib.contextmanager
def llama_cpp_server(*, slots: int, threads: int) -> Iterator[int | None]:
    """The port of llama.cpp's server with the same model's file; None where it is not installed."""
    if not LLAMA_CPP.is_file():
        yield None
        return
    with TemporaryDirectory() as folder:
        command = [str(LLAMA_CPP), str(ROOT / "scripts/upstreams/llama_cpp.py")]
        environ = {**os.environ, "LLAMA_SLOTS": str(slots), "LLAMA_THREADS": str(threads)}
        with _running(command, "/health", environ, Path(folder)) as port:
            yield port


@contextlib.contextmanager
def _running(command: Sequence[str], health: str, environ: dict[str, str], folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, str(port)], cwd=folder, env=environ, stdout=output, stderr=output)
    try:
        _wait_until_well(f"http://127.0.0.1:{port}{health}", process, log)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_until_well(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended while it started:\n{log.read_text(errors='replace')[-2000:]}")
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(url, timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.3)
    raise RuntimeError(f"{url} did not answer within {START_S} s")
