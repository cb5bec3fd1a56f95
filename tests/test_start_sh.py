"""start.sh as people run it, in a copy of the repository's top folder."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from qwen_app.serve.pidfile import STOP_WAIT_S
from qwen_app.settings import Settings, flag

ROOT = Path(__file__).resolve().parent.parent

LISTS = ("requirements.txt", "requirements-pip.txt", "constraints.txt")

# Stands where the virtual environment's Python stands: notes calls of pip, runs everything else for real.
FAKE_PYTHON = f"""#!/usr/bin/env bash
[[ "$*" != "-m pip --version" ]] || exit 0
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
        for name in ("start.sh", "app.py", "download_model.py", "README.md", *LISTS):
            shutil.copy(ROOT / name, folder / name)
        (folder / "qwen_app").symlink_to(ROOT / "qwen_app")

    def use_fake_python(self) -> None:
        """With a PyTorch that is there already."""
        (torch,) = re.findall("(?m)^torch==([^ ]*)", (ROOT / "constraints.txt").read_text())
        (self.folder / f".venv/lib/python3/site-packages/torch-{torch}.dist-info").mkdir(parents=True)
        python = self.folder / ".venv" / "bin" / "python"
        python.parent.mkdir()
        python.write_text(FAKE_PYTHON)
        python.chmod(0o755)

    def stub_app(self) -> None:
        """An app.py that says how it was called."""
        (self.folder / "app.py").write_text("import sys; print(sys.argv[1:])")
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
        """How often packages were installed, the newer pip not counted."""
        log = self.folder / "pip.log"
        return log.read_text().count("-r requirements.txt -c constraints.txt\n") if log.exists() else 0


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.mark.parametrize("changed", LISTS)
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
    calls = (copy.folder / "pip.log").read_text().splitlines()
    assert len(calls) == 4
    assert all("--require-hashes" in call for call in calls)


@pytest.mark.slow
def test_a_fresh_folder_gets_its_environment_and_runs_with_the_flags(copy: Copy) -> None:
    copy.stub_app()
    for name in LISTS:
        (copy.folder / name).write_text("")
    done = copy.run("--port", "7999", "--fallback-answer", "two words")
    assert done.returncode == 0, done.stderr
    assert "['--port', '7999', '--fallback-answer', 'two words']" in done.stdout
    assert (copy.folder / ".venv" / "bin" / "python").exists()
    assert "Making the virtual environment" in (copy.folder / "server.log").read_text()


@pytest.mark.slow
def test_an_environment_that_was_not_finished_is_made_anew(copy: Copy) -> None:
    """Stopped in the middle, or made by a Python that lacks what installs pip: either leaves a Python without pip."""
    copy.stub_app()
    for name in LISTS:
        (copy.folder / name).write_text("")
    without_uv = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", copy.folder / ".venv"], check=True)
    assert copy.run("setup", **without_uv).returncode == 0
    shutil.rmtree(copy.folder / ".venv")
    with subprocess.Popen(["./start.sh", "setup"], cwd=copy.folder, start_new_session=True) as stopped:
        while not (copy.folder / ".venv/bin/python").exists():
            time.sleep(0.01)
        os.killpg(stopped.pid, signal.SIGKILL)
    done = copy.run("setup", **without_uv)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([copy.folder / ".venv/bin/python", "-m", "pip", "--version"], check=False).returncode == 0


@pytest.mark.slow
def test_an_environment_of_another_python_is_made_anew(copy: Copy) -> None:
    """As on a folder that outlives its pod, whose next one has a newer Python: its packages lie where this one looks
    for none."""
    copy.stub_app()
    for name in LISTS:
        (copy.folder / name).write_text("")
    assert copy.run("setup").returncode == 0
    (packages,) = (copy.folder / ".venv/lib").glob("python3*")
    packages.rename(packages.with_name("python3.0"))
    done = copy.run("setup")
    assert (done.returncode, "Making the virtual environment" in done.stderr) == (0, True), done.stderr
    assert [path.name for path in (copy.folder / ".venv/lib").iterdir()] == [packages.name]


def test_two_that_set_up_one_folder_do_so_one_after_the_other(copy: Copy) -> None:
    copy.use_fake_python()
    copy.stub_app()
    with (copy.folder / LISTS[0]).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = subprocess.Popen(["./start.sh", "setup"], cwd=copy.folder, stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        assert "Another ./start.sh sets up this folder" in second.stderr.readline()
        assert copy.pip_calls() == 0
    with second:
        assert "Everything is set up" in second.stderr.read()
    assert (second.returncode, copy.pip_calls()) == (0, 1)


def test_a_running_app_does_not_hold_up_those_who_set_up(copy: Copy) -> None:
    restarted = Restarted(copy, "serve")
    (copy.folder / ".venv/requirements.sha256").unlink()
    with restarted.start() as process:
        restarted.wait_for("serving")
        with (copy.folder / LISTS[0]).open() as free:
            fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ask_to_end("signal", restarted, process)


def test_a_python_that_makes_no_environments_is_told_with_what_to_install(
    copy: Copy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bin")
    python = folder / "python3"
    python.write_text('#!/usr/bin/env bash\n[[ "$2" != *ensurepip* ]]\n')
    python.chmod(0o755)
    done = copy.run(PATH=f"{folder}:{os.environ['PATH']}")
    assert done.returncode == 6
    assert "apt-get install python3-venv" in done.stderr
    assert not (copy.folder / ".venv").exists()


def test_a_folder_that_cannot_be_written_is_told_as_such(copy: Copy) -> None:
    (copy.folder / ".venv").write_text("in the way")
    done = copy.run()
    assert done.returncode == 4
    assert ".venv cannot be written" in done.stderr
    assert "apt-get" not in done.stderr


def wheel_of(text: str) -> bytes:
    """A wheel of the package ``harmless`` whose one module is ``text``."""
    file = io.BytesIO()
    with ZipFile(file, "w") as wheel:
        wheel.writestr("harmless.py", text)
        wheel.writestr("harmless-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: harmless\nVersion: 1.0\n")
        wheel.writestr("harmless-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("harmless-1.0.dist-info/RECORD", "")
    return file.getvalue()


@pytest.mark.slow  # an environment is made twice with either
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_changed_package_is_refused(copy: Copy, tmp_path_factory: pytest.TempPathFactory, installer: str) -> None:
    """By either installer; the same package unchanged is taken."""
    copy.stub_app()
    wheels = tmp_path_factory.mktemp("wheels")
    known, path = wheel_of("as it was"), wheels / "harmless-1.0-py3-none-any.whl"
    pin = f"harmless==1.0 --hash=sha256:{sha256(known).hexdigest()}\n"
    wanted = "harmless==1.0\n" if installer == "uv" else pin  # a new environment's pip takes none of constraints
    for name, text in zip(LISTS, (wanted, "", pin), strict=True):
        (copy.folder / name).write_text(text)
    if installer == "uv":
        (wheels / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels)}
    places = {**offline, "PATH": f"{wheels}:{os.environ['PATH']}", "UV_CACHE_DIR": str(wheels / "cache")}
    path.write_bytes(wheel_of("as nobody checked it"))
    refused = copy.run("setup", **places)
    assert refused.returncode == 4, refused.stderr
    assert ("uv could not" in refused.stderr) == (installer == "uv")
    path.write_bytes(known)
    taken = copy.run("setup", **places)
    assert taken.returncode == 0, taken.stderr
    assert [path.read_text() for path in copy.folder.glob(".venv/lib/*/site-packages/harmless.py")] == ["as it was"]


@pytest.mark.parametrize("known", [True, False])
def test_pytorch_is_taken_from_where_pip_looks_if_its_hash_is_known(
    copy: Copy, tmp_path_factory: pytest.TempPathFactory, known: bool
) -> None:
    """A build with a name of its own, too, such as the one without CUDA."""
    copy.use_fake_python()
    copy.stub_app()
    next(copy.folder.glob(".venv/lib/python3/site-packages/torch-*")).rmdir()
    content = b"a wheel for machines without a card"
    (copy.folder / "wheel").write_bytes(content)
    (copy.folder / "constraints.txt").write_text(
        f"torch==2.13.0 \\\n    --hash=sha256:{sha256(content if known else b'another').hexdigest()}\n"
    )
    fetches = 'mkdir -p .venv/wheels; cp wheel .venv/wheels/t.whl; exit "$(cat'
    fake = FAKE_PYTHON.replace('exit "$(cat', fetches)
    (copy.folder / ".venv/bin/python").write_text(fake)
    done = copy.run("setup")
    assert done.returncode == (0 if known else 4), done.stderr
    assert ("t.whl is not one that constraints.txt knows" in done.stderr) == (not known)
    assert (".venv/wheels/t.whl" in (copy.folder / "pip.log").read_text()) == known


@pytest.mark.parametrize("flags", [["--auth", "ada:hunter2"], ["--auth=ada:hunter2"]])
def test_a_password_is_not_among_the_arguments(copy: Copy, flags: list[str]) -> None:
    copy.use_fake_python()
    shows = "import os, sys; print(sys.argv[1:], os.environ['QWEN_AUTH'], open(f'/proc/{os.getppid()}/cmdline').read())"
    (copy.folder / "app.py").write_text(shows)
    done = copy.run("--port", "7999", *flags, "--language", "zh")
    assert done.returncode == 0, done.stderr
    assert "['--port', '7999', '--language', 'zh'] ada:hunter2" in done.stdout
    assert done.stdout.count("hunter2") == 1  # the variable


def test_closed_streams_are_nobodys_and_the_log_is_whole(copy: Copy) -> None:
    copy.use_fake_python()
    copy.stub_app()
    app = "import sys; open('streams', 'w').write(f'{sys.stdout.name} {sys.stderr.name}')"
    (copy.folder / "app.py").write_text(app)
    subprocess.run(["bash", "-c", "./start.sh <&- >&- 2>&-"], cwd=copy.folder, timeout=240, check=True)
    assert (copy.folder / "streams").read_text() == "<stdout> <stderr>"
    assert "Starting the chat page" in (copy.folder / "server.log").read_text()


def test_it_is_called_from_anywhere_by_any_name(copy: Copy) -> None:
    copy.use_fake_python()
    copy.stub_app()
    for command, folder in (
        (["bash", "start.sh"], copy.folder),
        ([f"{copy.folder.name}/start.sh"], copy.folder.parent),
        ([str(copy.folder / "start.sh")], Path("/")),
    ):
        done = subprocess.run(
            [*command, "--api-key", "s3"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr


def test_a_link_to_it_starts_the_app_that_it_leads_to(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy.use_fake_python()
    copy.stub_app()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "chat").symlink_to(copy.folder / "start.sh")
    done = subprocess.run([elsewhere / "chat"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in elsewhere.iterdir()] == ["chat"]


@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        (["--auth-file", "logins"], ["--auth-file", "{here}/logins"]),
        (["--auth-file=../logins"], ["--auth-file={here}/../logins"]),
        (["--data-dir", "/tmp/data", "--models-dir", "m"], ["--data-dir", "/tmp/data", "--models-dir", "{here}/m"]),
        (["--model", "./mod"], ["--model", "{here}/./mod"]),
        (["--model=some.gguf"], ["--model={here}/some.gguf"]),
        (["--model", "folder"], ["--model", "{here}/folder"]),
        (["--model", "Qwen/Qwen2.5-7B-Instruct"], ["--model", "Qwen/Qwen2.5-7B-Instruct"]),
        (["--model", "builtin", "--host", "folder"], ["--model", "builtin", "--host", "folder"]),
        (["--api-keys-file", "keys", "--auth", "a:b"], ["--api-keys-file", "{here}/keys"]),  # begins anew in between
    ],
)
def test_relative_paths_are_the_callers(
    copy: Copy, tmp_path_factory: pytest.TempPathFactory, given: list[str], handed_on: list[str]
) -> None:
    copy.use_fake_python()
    copy.stub_app()
    here = tmp_path_factory.mktemp("here")
    (here / "folder").mkdir()
    done = subprocess.run(
        [copy.folder / "start.sh", *given], cwd=here, capture_output=True, text=True, check=False, timeout=60
    )
    assert str([word.format(here=here) for word in handed_on]) in done.stdout, done.stderr
    assert str(given[:2]) in copy.run(*given[:2]).stdout  # at home they are as they were


def test_the_script_knows_every_option_that_is_a_path() -> None:
    script = (ROOT / "start.sh").read_text(encoding="utf-8")
    fields = Settings.model_fields.items()
    paths = sorted(flag(name) for name, field in fields if field.annotation is Path or name.endswith("_file"))
    assert f"    {' | '.join(paths)})" in script


def test_the_script_and_the_app_know_the_same_secrets() -> None:
    script = (ROOT / "start.sh").read_text(encoding="utf-8")
    secrets = [flag(name) for name, field in Settings.model_fields.items() if not field.repr]
    assert f"      {' | '.join(secrets)})\n" in script


def test_sessions_of_an_app_that_does_not_run(copy: Copy) -> None:
    copy.use_fake_python()
    refused = copy.run("sessions")
    assert (refused.returncode, refused.stderr.split(" runs")[0]) == (1, "No app that asks for a login")
    assert "usage: ./start.sh sessions" in copy.run("sessions", "what").stderr


def test_a_failing_pip_has_its_own_code(copy: Copy) -> None:
    copy.use_fake_python()
    (copy.folder / "pip.exit").write_text("1")
    done = copy.run()
    assert done.returncode == 4
    assert "requirements.txt could not be installed" in done.stderr
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
    path = tools(tmp_path_factory.mktemp("bin"), "bash", "dirname", "readlink", "tee", "sha256sum", "cut", "env")
    done = copy.run(PATH=path)
    assert done.returncode == 6
    assert "Python 3.11 or newer is needed" in done.stderr


def test_an_old_python_is_passed_over(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bin")
    path = tools(folder, "bash", "dirname", "readlink", "tee", "sha256sum", "cut", "env")
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


@pytest.mark.parametrize("words", [["--help"], ["setup", "--help"], ["--port", "7861", "-h"], ["stop", "--help"]])
def test_help_before_anything_is_set_up_lists_the_options_too(copy: Copy, words: list[str]) -> None:
    done = copy.run(*words)
    assert done.returncode == 0
    assert "./start.sh status" in done.stdout
    assert [name for name in Settings.model_fields if f"  {flag(name)}\n      " not in done.stdout] == []
    assert not (copy.folder / ".venv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prot", "1"], "There is no option --prot. Did you mean --port?"),
        (["--prot=1"], "There is no option --prot. Did you mean --port?"),
        (["setup", "--no-shar"], "There is no option --no-shar."),
        (["restart"], "There is no command restart."),
        (["stop", "--force"], "--force is not understood"),
        (["status", "now"], "now is not understood"),
        (["logs", "-f"], "-f is not understood"),
    ],
)
def test_what_is_not_understood_is_told_before_anything_is_installed(copy: Copy, words: list[str], said: str) -> None:
    done = copy.run(*words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (copy.folder / ".venv").exists()


def test_every_option_there_is_is_understood_before_the_installation(copy: Copy) -> None:
    copy.use_fake_python()
    copy.stub_app()
    words = [flag(name) for name in Settings.model_fields] + ["--no-share", "--verify"]
    done = copy.run("setup", *(f"{word}=x" for word in words))
    assert done.returncode == 0, done.stderr


def test_a_log_for_programs_holds_objects_alone(copy: Copy) -> None:
    copy.use_fake_python()
    copy.stub_app()
    (copy.folder / "pip.exit").write_text("1")
    copy.run(QWEN_LOG_FORMAT="json", START_RESTARTS='a "number" \\\n')
    (copy.folder / "pip.exit").write_text("0")
    told = copy.run("--log-format", "json", START_RESTARTS='a "number" \\\n').stderr.splitlines()
    lines = [json.loads(line) for line in (copy.folder / "server.log").read_text().splitlines()]
    assert len(lines) > 4
    assert lines[-1]["message"].startswith('START_RESTARTS=a "number" \\  is not possible')
    assert lines[-1] == json.loads(told[-1])
    assert abs(datetime.fromisoformat(lines[-1]["time"]) - datetime.now(UTC)).total_seconds() < 60


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
    environment["START_RESTARTS"] = "0"  # start.sh becomes the app, so that the process is known
    environment["QWEN_SHARE_RELAY"] = "relay.example:7000"  # which nothing is done with
    process = subprocess.Popen(
        ["./start.sh", "--port", str(port)], cwd=copy.folder, env=environment, stderr=subprocess.DEVNULL
    )
    yield copy, process, port
    process.kill()
    process.wait()


@pytest.mark.slow
def test_start_status_stop(running: tuple[Copy, subprocess.Popen[bytes], int]) -> None:
    copy, process, port = running
    log = copy.folder / "server.log"
    while not log.exists() or "Ready." not in log.read_text():  # to ask ``status`` again and again slows the start down
        assert process.poll() is None, log.read_text()
        time.sleep(0.3)
    assert "Not used without --share: --share-relay (QWEN_SHARE_RELAY)" in log.read_text()
    said = copy.run("status").stdout
    assert "health:  ready" in said
    assert "running: yes" in said
    assert f"pid:     {process.pid}" in said
    assert f"port:    {port}" in said
    assert "SmolLM2-135M-Instruct" in said
    taken = copy.run("--port", str(port))
    assert taken.returncode == 2
    assert f"Another copy runs in this folder already on port {port}" in taken.stderr
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


# An app.py that ends as the lines of "ends" say, one a start: a number is its exit code, a name the signal that kills
# it, "serve" runs until it is told to stop, and "finish" until there is a file "done". It notes its starts and what it
# is told.
SCRIPTED_APP = """
import os, signal, sys, time
with open("starts", "a") as starts:
    starts.write(f"{os.getpid()}\\n")
ends = open("ends").read().split()
end = ends[min(len(open("starts").readlines()), len(ends)) - 1]
def told(number, _):
    with open("told", "a") as file:
        file.write(signal.Signals(number).name + "\\n")
    if end == "serve":
        sys.exit(0)
signal.signal(signal.SIGTERM, told)
signal.signal(signal.SIGINT, told)
if end == "serve":
    open("serving", "w").close()
    time.sleep(60)
if end == "finish":
    open("serving", "w").close()
    while not os.path.exists("done"):
        time.sleep(0.05)
    sys.exit(0)
sys.exit(int(end)) if end.isdigit() else os.kill(os.getpid(), getattr(signal, end))
"""


class Restarted:
    """start.sh with an app that crashes as ``ends`` say, and a ``sleep`` that takes no time unless it is asked to."""

    def __init__(self, copy: Copy, *ends: str, patience: bool = False) -> None:
        copy.use_fake_python()
        copy.stub_app()
        copy.run("setup")
        (copy.folder / "app.py").write_text(SCRIPTED_APP)
        (copy.folder / "ends").write_text("\n".join(ends))
        fakes = copy.folder / "fakes"
        fakes.mkdir()
        (fakes / "sleep").write_text("#!/usr/bin/env bash\necho $1 >>sleeps\n" + ("exec tail -f /dev/null" * patience))
        (fakes / "sleep").chmod(0o755)
        self.copy = copy
        self.path = f"{fakes}:{os.environ['PATH']}"

    def lines(self, name: str) -> list[str]:
        file = self.copy.folder / name
        return file.read_text().split() if file.exists() else []

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.copy.run(PATH=self.path, **environment)

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["env", "--default-signal=HUP", "./start.sh"],  # nohup, under which the tests may run, has it ignored
            cwd=self.copy.folder,
            env={**os.environ, "PATH": self.path},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, name: str) -> None:
        while not (self.copy.folder / name).exists():
            time.sleep(0.05)


@pytest.fixture(params=["stop", "signal"])
def end(request: pytest.FixtureRequest) -> str:
    """How somebody ends start.sh."""
    return str(request.param)


def ask_to_end(how: str, restarted: Restarted, process: subprocess.Popen[str]) -> None:
    if how == "stop":
        stopped = restarted.copy.run("stop")
        assert (stopped.returncode, stopped.stdout.splitlines()[-1]) == (0, "Stopped.")
    else:
        os.killpg(process.pid, signal.SIGINT)  # what Ctrl+C in its terminal sends


def test_a_crashed_app_is_started_again(copy: Copy) -> None:
    restarted = Restarted(copy, "70", "SIGSEGV", "SIGKILL", "0")
    done = restarted.run()
    assert done.returncode == 0
    assert len(restarted.lines("starts")) == 4
    assert restarted.lines("sleeps") == ["1", "2", "4"]
    assert "exit code 139" in done.stderr
    assert "exit code 139" in (copy.folder / "server.log").read_text()


def test_an_app_that_crashes_again_and_again_is_given_up_with_a_reason(copy: Copy) -> None:
    restarted = Restarted(copy, "70")
    done = restarted.run()
    assert done.returncode == 70
    assert len(restarted.lines("starts")) == 6
    assert restarted.lines("sleeps") == ["1", "2", "4", "8", "16"]
    assert "5 restarts in 10 minutes did not help" in done.stderr


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 130, 143])
def test_an_app_that_ended_for_a_reason_stays_ended(copy: Copy, code: int) -> None:
    restarted = Restarted(copy, str(code))
    assert restarted.run().returncode == code
    assert len(restarted.lines("starts")) == 1


def test_restarts_can_be_turned_off(copy: Copy) -> None:
    restarted = Restarted(copy, "70")
    assert restarted.run(START_RESTARTS="0").returncode == 70
    assert len(restarted.lines("starts")) == 1
    for wrong in ("no", "08"):
        assert f"START_RESTARTS={wrong} is not possible" in restarted.run(START_RESTARTS=wrong).stderr


def test_the_app_is_told_once_and_both_end(copy: Copy, end: str) -> None:
    restarted = Restarted(copy, "serve")
    with restarted.start() as process:
        restarted.wait_for("serving")
        ask_to_end(end, restarted, process)
        assert process.wait(20) == 0
    assert restarted.lines("told") == ["SIGTERM"]
    assert len(restarted.lines("starts")) == 1


def test_a_terminal_that_closes_says_so_twice_and_the_app_is_told_once(copy: Copy) -> None:
    """To be told again is to end at once, whoever waits for an answer."""
    restarted = Restarted(copy, "finish")
    with restarted.start() as process:
        restarted.wait_for("serving")
        process.send_signal(signal.SIGHUP)
        restarted.wait_for("told")
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        (copy.folder / "done").touch()
        assert process.wait(20) == 0
    assert restarted.lines("told") == ["SIGTERM"]


def test_it_can_be_ended_while_it_waits_to_start_again(copy: Copy, end: str) -> None:
    restarted = Restarted(copy, "70", patience=True)
    with restarted.start() as process:
        restarted.wait_for("sleeps")
        ask_to_end(end, restarted, process)
        assert process.wait(20) == 0
    assert len(restarted.lines("starts")) == 1


def test_status_while_it_waits_to_start_again(copy: Copy) -> None:
    restarted = Restarted(copy, "70", patience=True)
    with restarted.start() as process:
        restarted.wait_for("sleeps")
        said = copy.run("status").stdout
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)
    assert f"./start.sh (process {process.pid}) is about to start it" in said
    assert "Start it with" not in said
    assert copy.run("status").stdout == "Not running. Start it with: ./start.sh\n"


def test_stop_kills_an_app_that_cannot_even_end(copy: Copy) -> None:
    """After one wait, not two: the wait of the script is that of the app's own command."""
    script = (ROOT / "start.sh").read_text(encoding="utf-8")
    whole = f"readonly STOP_WAIT_S={STOP_WAIT_S:.0f} "
    assert whole in script
    (copy.folder / "start.sh").write_text(script.replace(whole, "readonly STOP_WAIT_S=2 "))
    restarted = Restarted(copy, "SIGSTOP")
    noted = "from qwen_app.serve.pidfile import PidFile, ServerProcess\nimport os\n"
    noted += "PidFile().write(ServerProcess(os.getpid(), '127.0.0.1', 1, 'm'))\n"
    (copy.folder / "app.py").write_text(noted + SCRIPTED_APP)
    with restarted.start() as process:
        while "pid: " not in copy.run("status").stdout:
            time.sleep(0.05)
        begun = time.monotonic()
        stopped = copy.run("stop")
        took_s = time.monotonic() - begun
        assert process.wait(20) == 128 + signal.SIGKILL
    assert (stopped.returncode, stopped.stdout.splitlines()[-2:]) == (
        0,
        ["It does not end, so it is killed.", "Stopped."],
    )
    assert took_s < 20
    assert len(restarted.lines("starts")) == 1


def test_a_folder_that_cannot_be_written_does_not_hold_the_start_up(copy: Copy) -> None:
    restarted = Restarted(copy, "70", "0")
    (copy.folder / "server.log").unlink(missing_ok=True)
    (copy.folder / "server.log").mkdir()
    (copy.folder / "run").write_text("")
    done = restarted.run()
    assert done.returncode == 0, done.stderr
    assert len(restarted.lines("starts")) == 2
