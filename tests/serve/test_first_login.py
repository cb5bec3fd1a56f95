from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from qwen_app.serve.first_login import open_to, with_login
from qwen_app.settings import Settings
from qwen_app.web.owner_door import ELSEWHERE

URL = "http://127.0.0.1:7860"


def test_a_login_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "run" / "login"
    first = with_login(Settings(share=True), file)
    ((user, password),) = first.logins()
    assert user == "owner"
    assert len(set(password)) > 5
    assert file.stat().st_mode & 0o777 == 0o600
    assert with_login(Settings(host="0.0.0.0"), file).logins() == first.logins()
    assert with_login(Settings(share=True), tmp_path / "other" / "login").logins() != first.logins()


@pytest.mark.parametrize("settings", [Settings(), Settings(share=True, auth="ada:secret")])
def test_none_is_made_where_none_is_needed(tmp_path: Path, settings: Settings) -> None:
    assert with_login(settings, tmp_path / "login") is settings
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "owner:", "owner:short", "eve:long-enough-to-be-one", "owner:a,b:ccccccccccccccc"]
)
def test_a_kept_login_that_is_none_is_made_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "login"
    file.write_text(text)
    ((user, password),) = with_login(Settings(share=True), file).logins()
    assert (user, len(password)) == ("owner", 19)


def test_a_folder_that_cannot_be_written_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert with_login(Settings(share=True), Path("/proc/nowhere/login")).has_login()
    assert "makes another password" in caplog.text


def test_the_console_tells_password_and_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, door = open_to(Settings(share=True), URL)
    told = capsys.readouterr().out
    assert door is not None
    assert settings.logins()[0][1] in told
    key = told.partition(f"{URL}/login#")[2].split()[0]
    assert door.sessions.redeem(key) == "owner"


def test_a_console_that_takes_nothing_costs_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - it cannot even be closed without an error
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", full)
        settings, door = open_to(Settings(share=True), URL)
    with suppress(OSError):
        full.close()
    assert door is not None
    assert "It is kept in run/login" in caplog.text
    assert settings.logins()[0][1] not in caplog.text


def test_what_cannot_be_kept_is_not_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").write_text("in the way of the folder")
    open_to(Settings(share=True), URL)
    told = capsys.readouterr().out
    assert "kept in" not in told
    assert "the next start makes another" in told
    (tmp_path / "run").unlink()
    open_to(Settings(share=True), URL)
    assert "It is kept in run/login" in capsys.readouterr().out


@pytest.mark.parametrize(("host", "told"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_a_link_for_other_machines_is_told_with_what_to_put_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, told: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    open_to(Settings(host=host, share=True), URL)
    assert (ELSEWHERE in capsys.readouterr().out) == told


def test_without_strangers_there_is_no_door_and_with_a_login_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert open_to(Settings(), URL) == (Settings(), None)
    assert open_to(Settings(auth="ada:secret"), URL)[1] is not None
    assert capsys.readouterr().out == ""
