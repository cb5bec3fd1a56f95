"""The pid file of a running app, and the commands that read it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_app.serve.pidfile import PidFile, ServerProcess, status, stop


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process whose command line names app.py."""
    script = tmp_path / "app.py"
    script.write_text("import time; print('up', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_no_pid_file_no_app(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert PidFile(tmp_path / "none.json").read() is None
    assert status(None) == 1
    assert stop(None) == 0
    assert "./start.sh" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "host": "h", "port": 1, "model": "m"}'])
def test_a_pid_file_that_is_damaged_or_names_another_program(tmp_path: Path, text: str) -> None:
    path = tmp_path / "server.json"
    path.write_text(text)
    assert PidFile(path).read() is None


def test_stop_waits_until_the_app_has_gone(
    process: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pid_file = PidFile(tmp_path / "run" / "server.json")
    pid_file.write(ServerProcess(process.pid, "127.0.0.1", 1, "m"))
    running = pid_file.read()
    assert running is not None
    assert stop(running) == 0
    assert process.wait(10) == -15
    assert pid_file.read() is None
    assert "Stopped." in capsys.readouterr().out


def test_status_of_an_app_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(ServerProcess(os.getpid(), "127.0.0.1", 9, "m")) == 0
    out = capsys.readouterr().out
    assert "running: yes" in out
    assert "no answer" in out


def test_status_of_an_app_that_is_about_to_be_started_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(None, "17") == 1
    out = capsys.readouterr().out
    assert "process 17) is about to start it" in out
    assert "Start it with" not in out


def test_anothers_pid_file_is_left_alone(process: subprocess.Popen[str], tmp_path: Path) -> None:
    path = tmp_path / "server.json"
    pid_file = PidFile(path)
    pid_file.write(ServerProcess(process.pid, "127.0.0.1", 1, "m"))
    pid_file.remove_own()
    assert path.exists()
    process.kill()
    process.wait()
    pid_file.remove_own()
    assert not path.exists()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("::", "http://[::1]:80"),
    ],
)
def test_the_address_to_open(host: str, url: str) -> None:
    assert ServerProcess(1, host, 80, "m").url == url
