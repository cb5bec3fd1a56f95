"""Settings: where values come from, and how bad ones are told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import SettingsError
from qwen_app.settings import Settings, flag, load_settings, without_secrets
from qwen_app.settings.proxies import settle_proxies

ROOT = Path(__file__).resolve().parents[2]
REMOTE = ["--engine", "remote", "--base-url", "http://host:8000/v1"]
WITHOUT_ROOTS_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
EMBEDDING = ["--embeddings-url", "http://host:8000/v1"]


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "builtin"),
        ("precision", "int4"),
        ("host", "::1"),
        ("data_dir", Path("/tmp/chats of ada")),
        ("share", True),
    ],
)
def test_blanks_and_line_breaks_around_a_value_are_none_of_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setenv(f"QWEN_{name.upper()}", f" {value}\r\n")
    assert getattr(load_settings([]), name) == value


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
    assert lines[-1] == "See all options with: .venv/bin/python app.py --help"


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
        (["--base-url", "http://a:b@h/v1"], [], {"QWEN_BASE_URL": "http://a:b@h/v1"}),
        (["--share", "--auth"], ["--share", "--auth"], {}),
        (["--model", "--auth-file"], ["--model", "--auth-file"], {}),
    ],
)
def test_secrets_among_the_flags_become_variables(given: list[str], shown: list[str], hidden: dict[str, str]) -> None:
    assert without_secrets(given) == (shown, hidden)


def test_a_user_has_one_password(tmp_path: Path) -> None:
    file = tmp_path / "logins"
    file.write_text("ada:one\neve:two\n", encoding="utf-8")
    for doubled in (["--auth", "ada:one,ada:two"], ["--auth", "ada:three", "--auth-file", str(file)]):
        told = refusal(*doubled)
        assert "ada more than once" in told
        assert "eve" not in told


@pytest.mark.parametrize("auth", ["ada", "ada:", ":secret", "ada:secret,", "ada:secret,bob"])
def test_a_login_is_a_user_and_a_password(auth: str) -> None:
    assert "--auth" in refusal("--auth", auth)


def test_blanks_and_line_breaks_around_a_login_are_none_of_it() -> None:
    """As behind each comma of a list, or at the end of what a shell read from a file."""
    assert load_settings(["--auth", "ada:x, bob:y z \n"], {}).logins() == [("ada", "x"), ("bob", "y z")]


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


@pytest.mark.parametrize("option", ["--api-keys-file", "--auth-file"])
def test_a_file_of_secrets_must_be_a_file(tmp_path: Path, option: str) -> None:
    assert "cannot be read (No such file or directory)" in refusal(option, str(tmp_path / "none"))
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path, tmp_path / "pipe"):
        assert "a folder, a pipe or a device where a file is needed" in refusal(option, str(other))


@pytest.mark.parametrize("later", ["", "bob:other\n", "ada", None])
def test_what_becomes_of_a_file_of_secrets_changes_nobodys_rights(tmp_path: Path, later: str | None) -> None:
    file = tmp_path / "secrets"
    file.write_text("ada:lovelace\nbob:other\n", encoding="utf-8")
    settings = load_settings(["--auth-file", str(file), "--api-keys-file", str(file)], {})
    file.unlink()
    if later is not None:
        file.write_text(later, encoding="utf-8")
    assert settings.is_owner("ada")
    assert not settings.is_owner("bob")
    assert settings.keys() == ["ada:lovelace", "bob:other"]


@pytest.mark.parametrize("written", [b"", b"\n \n", b"# nobody yet\n", b"\xef\xbb\xbf", b"  # a\n#b"])
def test_a_file_without_a_key_does_not_switch_keys_off(tmp_path: Path, written: bytes) -> None:
    file = tmp_path / "keys"
    file.write_bytes(written)
    assert "must hold an API key on a line" in refusal("--api-keys-file", str(file))


@pytest.mark.parametrize("keys", [",", " ", " , ,"])
def test_keys_that_are_none_do_not_switch_keys_off(keys: str) -> None:
    assert "must hold at least one key" in refusal("--api-keys", keys)


@pytest.mark.parametrize("option", ["--api-keys-file", "--auth-file"])
def test_a_file_of_secrets_may_begin_with_a_mark_and_must_be_text(tmp_path: Path, option: str) -> None:
    file = tmp_path / "secrets"
    file.write_bytes("\ufeffada:lovelace\n".encode())
    settings = load_settings([option, str(file)], {})
    assert settings.keys() == ["ada:lovelace"] or settings.logins() == [("ada", "lovelace")]
    for refused in ("ada:ö".encode("latin-1"), "ada:b".encode("utf-16")):
        file.write_bytes(refused)
        assert "cannot be read as UTF-8 text" in refusal(option, str(file))


@pytest.mark.parametrize("shut", [".", "secrets"])
@pytest.mark.parametrize("option", ["--api-keys-file", "--auth-file"])
def test_a_file_of_secrets_that_may_not_be_read_is_told(tmp_path: Path, option: str, shut: str) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    file = folder / "secrets"
    file.write_text("ada:lovelace", encoding="utf-8")
    (folder / shut).chmod(0)
    script = "import sys, app; sys.exit(app.main())"
    command = [*WITHOUT_ROOTS_RIGHTS, sys.executable, "-c", script, option, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"{option} (QWEN_" in done.stderr
    assert "cannot be read (Permission denied)" in done.stderr


def test_a_folder_for_chats_that_was_asked_for_must_be_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    script = "import sys, app; sys.exit(app.main())"
    command = [*WITHOUT_ROOTS_RIGHTS, sys.executable, "-c", script, "--data-dir", str(tmp_path / "new")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--data-dir (QWEN_DATA_DIR)" in done.stderr
    assert "names a folder that cannot be written" in done.stderr


@pytest.mark.parametrize("key", ["clé", "钥匙", "a\tb", "a\nb", "“k”", "\ufeffk", "k\u200b"])
@pytest.mark.parametrize("option", ["--api-key", "--api-keys", "--embeddings-key", "--api-keys-file"])
def test_a_key_that_no_header_carries_is_refused_before_anything_is_loaded(
    option: str, key: str, tmp_path: Path
) -> None:
    value = key
    if option == "--api-keys-file":
        (tmp_path / "keys").write_text(f"whole\nk{key}k\n", encoding="utf-8")
        value = str(tmp_path / "keys")
        if key == "a\nb":
            return  # two keys
    told = refusal(option, value, *REMOTE, *EMBEDDING)
    assert "must be of printable ASCII characters" in told
    assert key not in told


@given(st.text())
def test_whatever_is_given_as_a_key_is_taken_as_it_is_or_refused(key: str) -> None:
    try:
        settings = load_settings([*REMOTE, "--api-key=" + key], {})
    except SettingsError:
        assert not (key.strip().isascii() and key.strip().isprintable()) or key == "\0"
    else:
        assert settings.api_key == key.strip()


@pytest.mark.parametrize("option", ["--base-url", "--embeddings-url", "--database-url"])
@pytest.mark.parametrize("address", ["ftp://ada:hunter2@host", "http://ada:hunter2#@host", "ada:hunter2@host"])
def test_an_address_that_is_refused_is_not_shown_for_its_password(option: str, address: str) -> None:
    assert "hunter2" not in refusal(option, address, "--engine", "remote")


def test_a_broken_hash_of_a_key_is_refused_at_once() -> None:
    assert "64 hexadecimal digits" in refusal("--api-keys", "sha256:abc")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--base-url", "http://host:8000/v1"], "also needs --engine remote"),
        (["--remote-model", "m"], "also needs --engine remote"),
        (["--gpu-gb", "24"], "also needs --plan"),
        (["--embeddings-key", "k"], "also needs --embeddings-url"),
        (["--embeddings-model", "m"], "also needs --embeddings-url"),
        (["--embeddings-url", "foo"], "must start with http"),
        (["--embeddings-url", "http://"], "must name a server"),
        (["--embeddings-url", "http://[x"], "must name a server"),
        (["--engine", "remote", "--base-url", "http://:80"], "must name a server"),
        (["--engine", "remote", "--base-url", "http://host/v1?key=k"], "must end with its path"),
        (["--share-relay", "foo"], "such as relay.example:7000"),
        (["--share-relay", "host:0"], "such as relay.example:7000"),
        (["--share-relay", "http://host:1"], "such as relay.example:7000"),
        (["--database-url", "foo"], "such as postgresql://user@host/db"),
        (["--database-url", "mysql://h/d"], "such as postgresql://user@host/db"),
        (["--host="], "--host (QWEN_HOST) '' is not possible"),
        (["--data-dir", ""], "needs the name of a folder"),
        (["--models-dir="], "needs the name of a folder"),
        (["--models-dir", " "], "needs the name of a folder"),
        (["--auth", "ada:x, ,bob:y"], "with no empty part"),
        (["--auth", " "], "must be user:password"),
        (["--data-dir", __file__], "names a file where a folder is needed"),
        (["--models-dir", __file__], "names a file where a folder is needed"),
        (["--data-dir", f"{__file__}/x"], "names a folder that cannot be written"),
        (["--data-dir", "~nobody-of-this-name/x"], "name of a user that this machine does not have"),
        (["--no-share=1"], "--no-share takes no value"),
        (["--share=perhaps"], "--share (QWEN_SHARE) 'perhaps' is not possible: it takes true or false"),
    ],
)
def test_what_would_be_left_undone_is_refused(arguments: list[str], told: str) -> None:
    assert told in refusal(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        [*REMOTE, "--api-key", "k", "--remote-model", "m"],
        [*EMBEDDING, "--embeddings-key", "k", "--embeddings-model", "m"],
        ["--engine", "remote", "--base-url", "http://ada:secret@host/v1"],
        ["--plan", "--gpu-gb", "24"],
        ["--share-relay", "relay.example:7000"],
        ["--share-relay", "[::1]:7000"],
        ["--database-url", "postgres://me@host/db"],
    ],
)
def test_what_belongs_together_is_taken(arguments: list[str]) -> None:
    load_settings(arguments, {})


@pytest.mark.parametrize(("argument", "on"), [("--share=false", False), ("--share=true", True), ("--no-share", False)])
def test_a_switch_may_have_its_value_behind_it(argument: str, on: bool) -> None:
    assert load_settings([argument], {}).share is on


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--api-key", "hunter2"], "Not used: --api-key (QWEN_API_KEY). It is for another server"),
        ([*REMOTE, "--model", "a/b", "--without", "drafts"], "--model (QWEN_MODEL), --without (QWEN_WITHOUT)"),
        (["--share-relay", "relay.example:7000"], "No public link is opened"),
    ],
)
def test_what_was_set_and_does_nothing_is_told_and_no_refusal(arguments: list[str], told: str) -> None:
    (sentence,) = load_settings(arguments, {}).unused()
    assert told in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "a/b", "--precision", "int4"],
        [*REMOTE, "--api-key", "k", "--model", "auto", "--users", "3"],
        ["--share", "--share-relay", "relay.example:7000"],
    ],
)
def test_nothing_is_told_of_what_is_used(arguments: list[str]) -> None:
    assert load_settings(arguments, {}).unused() == []


def test_home_is_found_where_the_shell_left_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "keys").write_text("key", encoding="utf-8")
    (tmp_path / "logins").write_text("ada:x", encoding="utf-8")
    monkeypatch.setenv("QWEN_DATA_DIR", "~/data")
    settings = load_settings(["--models-dir=~/mm", "--api-keys-file=~/keys", "--auth-file", "~/logins"])
    assert (settings.models_dir, settings.data_dir) == (tmp_path / "mm", tmp_path / "data")
    assert (settings.keys(), settings.logins()) == (["key"], [("ada", "x")])


@pytest.mark.parametrize("program", ["app.py", "download_model.py"])
def test_a_start_that_is_interrupted_ends_without_a_traceback(program: str) -> None:
    script = (
        "import importlib, os, signal, sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'qwen_app.settings': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Slow())\n"
        f"sys.exit(importlib.import_module({program.removesuffix('.py')!r}).main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_help_of_the_download_is_its_own() -> None:
    command = [sys.executable, "download_model.py", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert {"--verify", "--model", "--models-dir"} <= set(done.stdout.split())
    assert "app.py [options]" not in done.stdout
    assert "--port" not in done.stdout


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


@pytest.mark.parametrize("unusable", ["socks5://127.0.0.1:1080", "socks://127.0.0.1:1080/", "http://[::", "http://h:x"])
def test_a_proxy_that_no_client_can_use_is_left_out(
    unusable: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    proxies = {"https_proxy": "http://127.0.0.1:9", "ALL_PROXY": unusable, "all_proxy": unusable}
    for name, value in (proxies | {"no_proxy": "", "NO_PROXY": ""}).items():
        monkeypatch.setenv(name, value)
    load_settings([])
    httpx2.Client().close()
    assert os.environ["https_proxy"] == "http://127.0.0.1:9"
    assert {"ALL_PROXY", "all_proxy"}.isdisjoint(os.environ)
    assert "Not used: ALL_PROXY" in caplog.text
    assert unusable not in caplog.text


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_a_proxy_is_not_asked_for_this_machine_nor_for_what_the_owner_excepts(name: str) -> None:
    environ = {"http_proxy": "user:pass@proxy.example:3128", name: "intern.example"}
    settle_proxies(environ)
    assert environ["http_proxy"] == "user:pass@proxy.example:3128"
    assert environ["no_proxy"] == environ["NO_PROXY"] == "intern.example,localhost,127.0.0.1,0.0.0.0,::1"


def test_without_a_proxy_the_environment_stays_as_it_is() -> None:
    environ = {"http_proxy": "", "PATH": "/bin"}
    settle_proxies(environ)
    assert environ == {"http_proxy": "", "PATH": "/bin"}
