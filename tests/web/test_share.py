from __future__ import annotations

import logging
import threading
from pathlib import Path

import httpx
import pytest
from gradio import networking, tunneling
from gradio.exceptions import ChecksumMismatchError

from qwen_app.settings import Settings
from qwen_app.web.share import open_share_link

SETTINGS = Settings(auth="ada:secret", share=True, port=12345)


@pytest.fixture(autouse=True)
def no_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "frpc"
    monkeypatch.setattr(tunneling, "BINARY_PATH", str(path))
    return path


def set_up(monkeypatch: pytest.MonkeyPatch, outcome: str | Exception) -> list[tuple[object, ...]]:
    calls: list[tuple[object, ...]] = []

    def setup_tunnel(*arguments: object) -> str:
        calls.append(arguments)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(networking, "setup_tunnel", setup_tunnel)
    return calls


def test_the_link_leads_to_our_server(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    calls = set_up(monkeypatch, "https://abc.gradio.live")
    with caplog.at_level(logging.INFO):
        assert open_share_link(SETTINGS) == "https://abc.gradio.live"
    host, port, token, *rest = calls[0]
    assert (host, port, rest) == ("127.0.0.1", 12345, [None, None])
    assert len(str(token)) > 30
    assert "https://abc.gradio.live" in caplog.text


def unreachable() -> RuntimeError:
    error = RuntimeError("Could not get share link from Gradio API Server.")
    error.__cause__ = httpx.ConnectError("no route")
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (unreachable(), "cannot be reached"),
        (httpx.ReadTimeout("slow"), "cannot be reached"),
        (ChecksumMismatchError(), "not the expected one"),
        (ValueError("Could not create share URL. Please check\nlong log"), "Could not create share URL"),
    ],
)
def test_why_there_is_no_link(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_up(monkeypatch, error)
    assert open_share_link(SETTINGS) is None
    assert reason in caplog.text
    assert "runs on at http://localhost:12345" in caplog.text
    assert len(caplog.records) == 1
    assert "\n" not in caplog.records[0].getMessage()


def test_a_tunnel_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    monkeypatch.setattr(networking, "setup_tunnel", lambda *arguments: release.wait())
    assert open_share_link(SETTINGS, limit_s=0.05) is None
    release.set()
    assert "did not answer" in caplog.text


def test_a_changed_tunnel_program_is_not_run(monkeypatch: pytest.MonkeyPatch, no_binary: Path) -> None:
    no_binary.write_bytes(b"not the program Gradio published")
    monkeypatch.setitem(tunneling.CHECKSUMS, tunneling.BINARY_URL, "0" * 64)
    set_up(monkeypatch, "https://abc.gradio.live")
    open_share_link(SETTINGS)
    assert not no_binary.exists()
