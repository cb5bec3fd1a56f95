"""Folders that cannot be written and disks that are full: the console says so, and everything else goes on."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from qwen_app.serve.logs import set_up_logs
from qwen_app.serve.pidfile import PidFile, ServerProcess
from tests.faults.logging_kept import logging_kept

ROOT = Path(__file__).resolve().parents[2]
FULL = Path("/dev/full")
NOBODY = 65534
APP = ("app.py", "download_model.py", "qwen_app")  # what deploy/Dockerfile copies


def test_a_log_file_that_cannot_be_made_leaves_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_kept():
        set_up_logs("info", Path("/proc/nowhere/server.log"))
        logging.getLogger("qwen_app.test").info("still heard")
    said = capsys.readouterr().err
    assert "server.log cannot be written" in said
    assert "still heard" in said
    assert "Traceback" not in said


@pytest.mark.skipif(not FULL.exists(), reason="this kernel has no device that is always full")
def test_a_full_disk_costs_lines_and_one_warning() -> None:
    code = (
        "import logging; from pathlib import Path; from qwen_app.serve.logs import set_up_logs\n"
        f"set_up_logs('info', Path({str(FULL)!r}))\n"
        "for number in range(1000): logging.getLogger('qwen_app').info('line %d', number)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr.count(" INFO line ") == 1000
    assert done.stderr.count("No space left") == 1
    assert "Traceback" not in done.stderr


def test_a_note_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = tmp_path / "run"
    in_the_way.write_text("a file where the folder should be")
    pid_file = PidFile(in_the_way / "server.json")
    pid_file.claim()
    pid_file.write(ServerProcess(os.getpid(), "127.0.0.1", 1, "m"))
    assert pid_file.read() is None
    pid_file.remove_own()
    assert "cannot be locked" in caplog.text
    assert "cannot be written" in caplog.text


@contextmanager
def serving(folder: Path, output: Path, *, as_nobody: bool) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """``python app.py`` in ``folder``, with an engine that is never reached; its address once it answers at all."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), "--engine", "remote", "--base-url", "http://127.0.0.1:9"]
    if as_nobody:
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    with output.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "HOME": "/nonexistent"}, stdout=written, stderr=written
        )
    try:
        url = f"http://127.0.0.1:{port}"
        while not answers(url):
            assert process.poll() is None, output.read_text()
            time.sleep(0.2)
        yield process, url
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_app_starts_where_nothing_can_be_written(tmp_path: Path) -> None:
    """Folders stand where the files should be, which stops even root."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").symlink_to(ROOT / "app.py")
    (folder / "server.log").mkdir()
    (folder / "run").write_text("")
    with serving(folder, tmp_path / "output", as_nobody=False) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    said = (tmp_path / "output").read_text()
    assert "server.log cannot be written" in said
    assert "server.json cannot be written" in said
    assert "Traceback" not in said


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can become somebody else")
def test_the_app_starts_in_the_image_s_layout(tmp_path_factory: pytest.TempPathFactory) -> None:
    """deploy/Dockerfile: the app's files are root's, and the user who runs it owns three folders beside them."""
    outside = Path("/tmp") / f"qwen-image-{os.getpid()}"  # pytest's folders are closed to others
    folder = outside / "app"
    try:
        folder.mkdir(parents=True)
        for name in APP:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
        assert "mkdir data models run && chown app data models run" in dockerfile
        for name in ("data", "models", "run"):
            (folder / name).mkdir()
            os.chown(folder / name, NOBODY, NOBODY)
        output = tmp_path_factory.mktemp("image") / "output"
        with serving(folder, output, as_nobody=True) as (process, _):
            assert (folder / "run" / "server.json").exists()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        said = output.read_text()
        assert "server.log cannot be written" in said
        assert "Traceback" not in said
        assert not (folder / "run" / "server.json").exists()
    finally:
        shutil.rmtree(outside, ignore_errors=True)
