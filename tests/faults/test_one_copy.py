"""Two copies in one folder, notes that outlived their process, and processes that look like ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from qwen_app.serve.pidfile import DATA_LOCK, PidFile, ServerProcess, stop

ROOT = Path(__file__).resolve().parents[2]

# Claims the folder and says how it went; then it waits, answering SIGTERM by ending.
COPY = """
import os, sys, time
from pathlib import Path
from qwen_app.errors import FolderTaken
from qwen_app.serve.pidfile import PidFile, ServerProcess, claim_data
pid_file = PidFile()
try:
    pid_file.claim()
    claim_data(Path(sys.argv[2]))
except FolderTaken as taken:
    sys.stdout.write(f"{taken.exit_code} {taken}")
    sys.exit()
pid_file.write(ServerProcess(os.getpid(), "127.0.0.1", int(sys.argv[1]), "m"))
print("claimed", flush=True)
{then}
"""


@contextmanager
def copy_on(
    port: int, folder: Path, then: str = "time.sleep(60)", data: str = "data"
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A copy of the app as far as notes go, and what it says first."""
    process = subprocess.Popen(
        [sys.executable, "-c", COPY.replace("{then}", then), str(port), data],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


@contextmanager
def stranger(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Somebody else's process, with app.py in its command line."""
    script = folder / "other_app.py"
    script.write_text("import time\nprint('up', flush=True)\ntime.sleep(60)")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        assert process.poll() is None, "a stranger was ended"
        process.kill()


def note(folder: Path) -> Path:
    return folder / "run" / "server.json"


def test_the_second_copy_names_the_first_and_leaves_its_note_alone(tmp_path: Path) -> None:
    with copy_on(7001, tmp_path) as (first, said):
        assert said == "claimed"
        written = note(tmp_path).read_text()
        with copy_on(7002, tmp_path) as (second, refused):
            assert second.wait(20) == 0
        assert refused.startswith("2 Another copy runs in this folder already on port 7001")
        assert note(tmp_path).read_text() == written
        running = PidFile(note(tmp_path)).read()
        assert running is not None
        assert (running.pid, running.port) == (first.pid, 7001)


def test_a_killed_copy_leaves_the_folder_free(tmp_path: Path) -> None:
    with copy_on(7001, tmp_path) as (first, _):
        first.kill()
        first.wait()
        assert PidFile(note(tmp_path)).read() is None
        with copy_on(7002, tmp_path) as (_, said):
            assert said == "claimed"


def test_two_folders_do_not_share_their_data(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    with copy_on(7001, here) as (first, _):
        with copy_on(7002, there, data="../here/data") as (second, refused):
            assert second.wait(20) == 0
        assert refused.startswith("2 Another copy keeps its chats in ")
        with copy_on(7002, there) as (_, said):
            assert said == "claimed"
        first.kill()
        first.wait()
        with copy_on(7003, here, data="../here/data") as (_, said):
            assert said == "claimed"
    assert (here / "data" / DATA_LOCK).stat().st_mode & 0o077 == 0  # else others on the machine could lock it


def test_a_stale_note_never_ends_a_stranger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The process is gone, and its id now belongs to another that looks like ours."""
    with stranger(tmp_path) as other:
        note(tmp_path).parent.mkdir()
        for began in (0, 1, 10**9):
            stale = ServerProcess(other.pid, "127.0.0.1", 7001, "m", started=began, token="t")
            note(tmp_path).write_text(json.dumps(asdict(stale)))
            assert stop(PidFile(note(tmp_path)).read()) == 0
        assert "Not running." in capsys.readouterr().out


def test_a_note_whose_token_is_not_the_lock_s_is_nobody_s(tmp_path: Path) -> None:
    """Copied from elsewhere, or made up: all in it may be true of a process, which is still not this folder's app."""
    with stranger(tmp_path) as other, copy_on(7001, tmp_path):
        elsewhere = PidFile(tmp_path / "elsewhere" / "server.json")
        elsewhere.write(ServerProcess(other.pid, "127.0.0.1", 7002, "m"))
        note(tmp_path).write_text((tmp_path / "elsewhere" / "server.json").read_text())
        assert elsewhere.read() is not None
        assert PidFile(note(tmp_path)).read() is None


@pytest.mark.parametrize("field", [{"pid": "1"}, {"pid": "self/../1"}, {"port": "x"}, {"started": None}, {"new": 1}])
def test_a_note_of_the_wrong_shape_is_nobody_s(tmp_path: Path, field: dict[str, object]) -> None:
    pid_file = PidFile(tmp_path / "server.json")
    pid_file.write(ServerProcess(os.getpid(), "127.0.0.1", 1, "m"))
    assert pid_file.read() is not None
    (tmp_path / "server.json").write_text(json.dumps(json.loads((tmp_path / "server.json").read_text()) | field))
    assert pid_file.read() is None


def test_a_copy_that_cannot_even_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qwen_app.serve.pidfile.STOP_WAIT_S", 0.5)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    with copy_on(7001, tmp_path, then=deaf) as (process, _):
        assert process.stdout is not None
        assert process.stdout.readline() == "deaf\n"
        begun = time.monotonic()
        assert stop(PidFile(note(tmp_path)).read()) == 0
        assert time.monotonic() - begun < 30
        assert process.wait(10) == -signal.SIGKILL
    assert "killed" in capsys.readouterr().out
