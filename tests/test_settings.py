"""Settings: where values come from, and how bad ones are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qwen_app.errors import SettingsError
from qwen_app.settings import Settings, flag, load_settings, without_secrets

ROOT = Path(__file__).resolve().parent.parent


def refusal(*arguments: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(arguments, {})
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_defaults_listen_to_this_machine_alone() -> None:
    settings = load_settings([], {})
    assert (settings.host, settings.port, settings.share) == ("127.0.0.1", 7860, False)
    assert (settings.model, settings.precision, settings.queue_limit) == ("auto", "auto", 64)


def test_a_flag_wins_over_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN_PORT", "8001")
    monkeypatch.setenv("QWEN_STRICT_API", "1")
    assert load_settings([]).port == 8001
    assert load_settings([]).strict_api is True
    assert load_settings(["--port", "8002", "--no-strict-api"]).port == 8002
    assert load_settings(["--no-strict-api"]).strict_api is False


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN_PORT", "")
    assert load_settings([]).port == 7860


def test_all_bad_values_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN_PRECISION", "fp17")
    with pytest.raises(SettingsError) as caught:
        load_settings(["--port", "abc", "--timeout-s=0", "--users", "--engine", "remote"])
    lines = str(caught.value).splitlines()
    assert "--port (QWEN_PORT) 'abc' is not possible: it takes a whole number from 1 up to 65,535." in lines
    assert any("'fp17'" in line and "auto, fp16, bf16, fp32, int4, 8bit, 4bit" in line for line in lines)
    assert any(line.startswith("--timeout-s") and "above 0" in line for line in lines)
    assert any(line.startswith("--users needs a value") for line in lines)
    assert any(line.startswith("--base-url") and "is needed with --engine remote" in line for line in lines)
    assert lines[-1] == "See all options with: python app.py --help"


def test_an_unknown_flag_is_told_with_the_one_that_was_meant() -> None:
    assert "There is no option --prot. Did you mean --port?" in refusal("--prot", "7861")
    assert "7861" not in refusal("--prot", "7861")


def test_an_unknown_variable_is_told() -> None:
    with pytest.raises(SettingsError, match=r"There is no setting QWEN_PROT\. Did you mean QWEN_PORT\?"):
        load_settings([], {"QWEN_PROT": "1", "PATH": "/bin"})


def test_a_stray_word_is_told() -> None:
    assert "'start' is not understood" in refusal("start")


@pytest.mark.parametrize("arguments", [["--host", "0.0.0.0"], ["--host", "::"], ["--share"], ["--host", "my-pod"]])
def test_where_other_machines_come_in_nobody_is_local(arguments: list[str]) -> None:
    settings = load_settings(arguments, {})  # a login is made at the start (serve/first_login.py)
    assert not settings.is_local()
    assert not settings.has_login()
    assert load_settings([*arguments, "--auth", "ada:secret"], {}).logins() == [("ada", "secret")]


def test_logins_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "logins"
    file.write_text("# the team\nada:a,b:c\n\n bob:other \n", encoding="utf-8")
    settings = load_settings(["--auth-file", str(file), "--auth", "eve:x"], {})
    assert settings.logins() == [("eve", "x"), ("ada", "a,b:c"), ("bob", "other")]
    assert settings.has_login()
    assert not settings.is_local()


@pytest.mark.parametrize("text", [None, "", "# nobody", "ada", "ada:x\nbob:", b"\xff:\xfe"])
def test_a_file_of_logins_that_is_none(tmp_path: Path, text: str | bytes | None) -> None:
    file = tmp_path / "logins"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert "--auth-file" in refusal("--auth-file", str(file))


@pytest.mark.parametrize(
    ("given", "shown", "hidden"),
    [
        (["--port", "1", "--auth", "a:b"], ["--port", "1"], {"QWEN_AUTH": "a:b"}),
        (["--auth=a:=c", "--share"], ["--share"], {"QWEN_AUTH": "a:=c"}),
        (["--api-keys", "k", "--api-key=u"], [], {"QWEN_API_KEYS": "k", "QWEN_API_KEY": "u"}),
        (["--share", "--auth"], ["--share", "--auth"], {}),
        (["--model", "--auth-file"], ["--model", "--auth-file"], {}),
    ],
)
def test_secrets_among_the_flags_become_variables(given: list[str], shown: list[str], hidden: dict[str, str]) -> None:
    assert without_secrets(given) == (shown, hidden)


@pytest.mark.parametrize("auth", ["ada", "ada:", ":secret", "ada:secret,", "ada:secret,bob"])
def test_a_login_is_a_user_and_a_password(auth: str) -> None:
    assert "--auth" in refusal("--auth", auth)


def test_several_logins_and_a_colon_in_a_password() -> None:
    assert load_settings(["--auth", "ada:a:b,bob:c"], {}).logins() == [("ada", "a:b"), ("bob", "c")]


def test_secrets_are_neither_echoed_nor_shown() -> None:
    assert "hunter2" not in refusal("--auth", "hunter2", "--api-key", "hunter2")
    settings = load_settings(["--auth", "ada:hunter2", "--api-key", "hunter2", "--api-keys", "hunter2"], {})
    assert "hunter2" not in repr(settings)


def test_the_address_of_another_server_is_checked_and_trimmed() -> None:
    assert "must start with http" in refusal("--engine", "remote", "--base-url", "host:8000")
    settings = load_settings(["--engine", "remote", "--base-url", "http://host:8000/v1/"], {})
    assert settings.base_url == "http://host:8000/v1"


def test_the_file_of_keys_must_exist(tmp_path: Path) -> None:
    assert "does not exist" in refusal("--api-keys-file", str(tmp_path / "none"))


def test_help_lists_every_option_with_its_default() -> None:
    done = subprocess.run(
        [sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    for name, field in Settings.model_fields.items():
        assert flag(name) in done.stdout
        assert str(field.description) in done.stdout
    assert "port of page and API (default: 7860)" in done.stdout


def test_bad_settings_end_the_process_before_torch_is_imported() -> None:
    script = "import sys, app; code = app.main(); sys.exit(99 if 'torch' in sys.modules else code)"
    done = subprocess.run(
        [sys.executable, "-c", script, "--port", "x"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "--port (QWEN_PORT) 'x' is not possible" in done.stderr
    assert "Traceback" not in done.stderr
