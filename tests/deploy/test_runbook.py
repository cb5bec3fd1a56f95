"""Every command of DEPLOYMENT.md's runbook, run as it stands there, in the app's folder, while the app runs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # loads the built-in model

ROOT = Path(__file__).resolve().parents[2]
LISTS = ("requirements.txt", "requirements-pip.txt", "constraints.txt")
STAMP = f"sha256sum {' '.join(LISTS)} | sha256sum | cut -d ' ' -f 1 >.venv/requirements.sha256"
PROGRAMS = ("./start.sh", "curl", ".venv/bin/python", "tail", "grep", "df", "du", "ls", "cat", "nvidia-smi")
KEY = "a-key-of-ours"
NEEDS_A_CARD = ("nvidia-smi",)
STARTS_ANOTHER = re.compile(r"\./start\.sh( --.*)?")  # here it says that the app runs already


def runbook() -> list[str]:
    """The commands between backticks in the table of symptoms, a bar in them not escaped."""
    text = (ROOT / "DEPLOYMENT.md").read_text(encoding="utf-8").partition("| Symptom |")[2]
    found = [one.replace("\\|", "|") for one in re.findall(r"`([^`]+)`", text)]
    return list(dict.fromkeys(one for one in found if one.split(" ")[0] in PROGRAMS))


@dataclass(frozen=True)
class Running:
    """The app in ``folder``, on ``port``."""

    folder: Path
    port: int
    environment: dict[str, str]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """``command`` with what its capitals stand for, and the key that this app asks for."""
        command = command.replace("NAME", "ada").replace("REQUEST_ID", "GET").replace(":7860", f":{self.port}")
        command = command.replace("curl -s", f'curl -s -H "Authorization: Bearer {KEY}"')
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, builtin_dir: Path) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("app")
    for name in ("start.sh", "app.py", "download_model.py", *LISTS):
        shutil.copy(ROOT / name, folder / name)
    (folder / "qwen_app").symlink_to(ROOT / "qwen_app")
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").write_text(f'#!/usr/bin/env bash\nexec {sys.executable} "$@"\n')
    (folder / ".venv/bin/python").chmod(0o755)
    subprocess.run(["bash", "-c", STAMP], cwd=folder, check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    ours = {"QWEN_MODEL": "builtin", "QWEN_MODELS_DIR": str(builtin_dir.parent), "QWEN_PORT": str(port)}
    environment = {**os.environ, **ours, "QWEN_AUTH": "ada:a-long-password", "QWEN_API_KEYS": KEY}
    process = subprocess.Popen(["./start.sh"], cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    app = Running(folder, port, environment)
    while "health:  ready" not in app.run("./start.sh status").stdout:
        assert process.poll() is None, (folder / "server.log").read_text()
        time.sleep(0.3)
    (folder / "run/login").write_text("owner:as it would be if none had been given\n")
    yield app
    app.run("./start.sh stop")
    process.wait(timeout=60)


def test_there_is_a_runbook() -> None:
    assert len(runbook()) > 12


@pytest.mark.parametrize("command", [one for one in runbook() if " stop" not in one and one not in NEEDS_A_CARD])
def test_a_command_of_the_runbook_does_what_it_says(running: Running, command: str) -> None:
    if command == "./start.sh logs":
        assert "http://127.0.0.1" in running.run("timeout 2 ./start.sh logs").stdout
        return
    done = running.run(command)
    if STARTS_ANOTHER.fullmatch(command):
        assert (done.returncode, "another copy" in done.stderr.lower() or "taken" in done.stderr) == (2, True), (
            done.stderr
        )
        return
    if "end ada" in command.replace("NAME", "ada") or command.startswith("grep"):
        assert done.returncode in (0, 1), done.stderr  # nobody of that name is logged in; nothing failed
    else:
        assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
