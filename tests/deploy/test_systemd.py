"""The systemd unit agrees with the app: its codes, its times, its settings."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from qwen_app import errors
from qwen_app.serve.ending import END_S, LOST_ENGINE_EXIT
from qwen_app.serve.pidfile import STOP_WAIT_S

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)  # a name may stand there twice
    parser.optionxform = str  # type: ignore[assignment, method-assign] # systemd's names have capitals
    parser.read(ROOT / "deploy" / "qwen-chat.service")
    return parser


def environment() -> dict[str, str]:
    lines = (ROOT / "deploy" / "qwen-chat.service").read_text(encoding="utf-8").splitlines()
    settings = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    return dict(setting.split("=", 1) for setting in settings)


def test_it_gives_up_where_somebody_must_act_and_nowhere_else(unit: configparser.ConfigParser) -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.StartupError)]
    codes = {kind.exit_code for kind in kinds} - {errors.StartupError.exit_code}
    prevented = {int(code) for code in unit["Service"]["RestartPreventExitStatus"].split()}
    assert prevented == codes | {6}  # no Python, which start.sh says
    assert LOST_ENGINE_EXIT not in prevented
    assert unit["Service"]["Restart"] == "on-failure"


def test_it_waits_longer_than_the_app_takes_to_end(unit: configparser.ConfigParser) -> None:
    assert float(unit["Service"]["TimeoutStopSec"]) > STOP_WAIT_S > END_S


def test_start_sh_leaves_the_restarts_to_it(unit: configparser.ConfigParser) -> None:
    assert "${START_RESTARTS:-5}" in (ROOT / "start.sh").read_text(encoding="utf-8")
    assert environment()["START_RESTARTS"] == "0"
    folder = unit["Service"]["WorkingDirectory"]
    assert unit["Service"]["ExecStart"] == f"{folder}/start.sh"
    assert unit["Service"]["ReadWritePaths"] == folder
    assert Path(environment()["TRITON_CACHE_DIR"]).is_relative_to(folder)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "qwen-chat.service").read_text(encoding="utf-8")
    copy = tmp_path / "qwen-chat.service"
    copy.write_text(text.replace("/opt/qwen-chat", str(ROOT)).replace("User=qwen", "User=root"), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
