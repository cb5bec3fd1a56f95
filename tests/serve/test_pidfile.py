"""The note of a running app, and the commands that read it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_app.serve.pidfile import Running, find_running, leave_note, remove_note, status, stop


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


def test_no_note_no_app(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_running(tmp_path / "none.json") is None
    assert status(None) == 1
    assert stop(None) == 0
    assert "./start.sh" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "host": "h", "port": 1, "model": "m"}'])
def test_a_note_that_is_damaged_or_names_another_program(tmp_path: Path, text: str) -> None:
    note = tmp_path / "server.json"
    note.write_text(text)
    assert find_running(note) is None


def test_stop_waits_until_the_app_has_gone(
    process: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = tmp_path / "run" / "server.json"
    leave_note(Running(process.pid, "127.0.0.1", 1, "m"), note)
    running = find_running(note)
    assert running is not None
    assert stop(running) == 0
    assert process.wait(10) == -15
    assert find_running(note) is None
    assert "Stopped." in capsys.readouterr().out


def test_status_of_an_app_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(Running(os.getpid(), "127.0.0.1", 9, "m")) == 0
    out = capsys.readouterr().out
    assert "running: yes" in out
    assert "no answer" in out


def test_anothers_note_is_left_alone(process: subprocess.Popen[str], tmp_path: Path) -> None:
    note = tmp_path / "server.json"
    leave_note(Running(process.pid, "127.0.0.1", 1, "m"), note)
    remove_note(note)
    assert note.exists()
    process.kill()
    process.wait()
    remove_note(note)
    assert not note.exists()


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
    assert Running(1, host, 80, "m").url == url
