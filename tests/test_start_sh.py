"""start.sh as people run it, in a copy of the repository's top folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Stands where the virtual environment's Python stands: notes calls of pip, runs everything else for real.
FAKE_PYTHON = f"""#!/usr/bin/env bash
if [[ "$1 $2" == "-m pip" ]]; then
  echo "$*" >>pip.log
  exit "$(cat pip.exit 2>/dev/null || echo 0)"
fi
exec {sys.executable} "$@"
"""


class Copy:
    """The top folder without an environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("start.sh", "app.py", "download_model.py", "requirements.txt", "constraints.txt"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "qwen_app").symlink_to(ROOT / "qwen_app")

    def use_fake_python(self) -> None:
        python = self.folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(FAKE_PYTHON)
        python.chmod(0o755)

    def stub_app(self) -> None:
        """An app.py that says how it was called."""
        (self.folder / "app.py").write_text("import os, sys; print(sys.argv[1:], os.environ['no_proxy'])")
        (self.folder / "download_model.py").write_text("import sys; sys.stderr.write('prepared\\n')")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["./start.sh", *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )

    def pip_calls(self) -> int:
        log = self.folder / "pip.log"
        return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.mark.parametrize("changed", ["requirements.txt", "constraints.txt"])
def test_setup_installs_once_and_again_only_when_the_requirements_changed(copy: Copy, changed: str) -> None:
    copy.use_fake_python()
    copy.stub_app()
    done = copy.run("setup")
    assert done.returncode == 0, done.stderr
    assert "Everything is set up" in done.stderr
    assert "prepared" in done.stderr
    assert copy.pip_calls() == 1
    copy.run("setup")
    assert copy.pip_calls() == 1
    with (copy.folder / changed).open("a") as file:
        file.write("# changed\n")
    copy.run()
    assert copy.pip_calls() == 2
    assert "-r requirements.txt -c constraints.txt" in (copy.folder / "pip.log").read_text()


@pytest.mark.slow
def test_a_fresh_folder_gets_its_environment_and_runs_with_the_flags(copy: Copy) -> None:
    copy.stub_app()
    (copy.folder / "requirements.txt").write_text("")
    done = copy.run("--port", "7999", "--system", "two words", no_proxy="intern.example")
    assert done.returncode == 0, done.stderr
    assert "['--port', '7999', '--system', 'two words']" in done.stdout
    assert "intern.example,localhost,127.0.0.1" in done.stdout
    assert (copy.folder / ".venv" / "bin" / "python").exists()
    assert "Making the virtual environment" in (copy.folder / "server.log").read_text()


def test_a_failing_pip_has_its_own_code(copy: Copy) -> None:
    copy.use_fake_python()
    (copy.folder / "pip.exit").write_text("1")
    done = copy.run()
    assert done.returncode == 4
    assert "pip could not install requirements.txt" in done.stderr
    (copy.folder / "pip.exit").write_text("0")
    copy.stub_app()
    assert copy.run().returncode == 0


def tools(folder: Path, *names: str) -> str:
    """A PATH that holds these tools alone."""
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return str(folder)


def test_without_python_it_says_so(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tools(tmp_path_factory.mktemp("bin"), "bash", "dirname", "tee", "sha256sum", "cut", "env")
    done = copy.run(PATH=path)
    assert done.returncode == 6
    assert "Python 3.11 or newer is needed" in done.stderr


def test_an_old_python_is_passed_over(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bin")
    path = tools(folder, "bash", "dirname", "tee", "sha256sum", "cut", "env")
    old = folder / "python3"
    old.write_text("#!/usr/bin/env bash\nexit 1\n")  # what the version check of an old one answers
    old.chmod(0o755)
    assert copy.run(PATH=path).returncode == 6


def test_too_little_disk_is_told_before_pip_runs(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy.use_fake_python()
    folder = tmp_path_factory.mktemp("bin")
    df = folder / "df"
    df.write_text("#!/usr/bin/env bash\nprintf 'Filesystem blocks used available\\n/dev/x 10 9 1000000 1%% /\\n'\n")
    df.chmod(0o755)
    done = copy.run(PATH=f"{folder}:{os.environ['PATH']}")
    assert done.returncode == 4
    assert "Not enough disk space: 12 GB are needed here, 1 GB are free." in done.stderr
    assert copy.pip_calls() == 0


def test_stop_status_and_logs_before_anything_is_set_up(copy: Copy) -> None:
    for command in ("stop", "status", "logs"):
        done = copy.run(command)
        assert done.returncode == 1
        assert "Start with: ./start.sh" in done.stderr


def test_help_explains_the_commands_and_the_options(copy: Copy) -> None:
    copy.use_fake_python()
    done = copy.run("--help")
    assert done.returncode == 0
    assert "./start.sh status" in done.stdout
    assert "--precision" in done.stdout


def test_a_wrong_flag_ends_with_a_sentence(copy: Copy) -> None:
    copy.use_fake_python()
    done = copy.run("--prot", "1")
    assert done.returncode == 2
    assert "Did you mean --port?" in done.stderr


@pytest.fixture
def running(copy: Copy, builtin_dir: Path) -> Iterator[tuple[Copy, subprocess.Popen[bytes], int]]:
    """The real app, started by start.sh with the built-in model."""
    copy.use_fake_python()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {**os.environ, "QWEN_MODELS_DIR": str(builtin_dir.parent), "QWEN_MODEL": "builtin"}
    process = subprocess.Popen(
        ["./start.sh", "--port", str(port)], cwd=copy.folder, env=environment, stderr=subprocess.DEVNULL
    )
    yield copy, process, port
    process.kill()
    process.wait()


@pytest.mark.slow
def test_start_status_stop(running: tuple[Copy, subprocess.Popen[bytes], int]) -> None:
    copy, process, port = running
    while "health:  ready" not in (said := copy.run("status").stdout):
        assert process.poll() is None, (copy.folder / "server.log").read_text()
        time.sleep(0.3)
    assert "running: yes" in said
    assert f"pid:     {process.pid}" in said
    assert f"port:    {port}" in said
    assert "SmolLM2-135M-Instruct" in said
    taken = copy.run("--port", str(port))
    assert taken.returncode == 2
    assert f"Port {port} is taken" in taken.stderr
    logs = subprocess.Popen(["./start.sh", "logs"], cwd=copy.folder, stdout=subprocess.PIPE, text=True)
    with logs:
        assert logs.stdout is not None
        while f"http://127.0.0.1:{port}" not in logs.stdout.readline():
            assert logs.poll() is None
        logs.send_signal(signal.SIGTERM)
    stopped = copy.run("stop")
    assert stopped.returncode == 0
    assert "Stopped." in stopped.stdout
    assert process.wait(10) == 0
    assert copy.run("status").returncode == 1
