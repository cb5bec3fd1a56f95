"""The public link: Gradio's tunnel to our server. It is opened aside and never holds the local page up."""

from __future__ import annotations

import hashlib
import logging
import queue
import secrets
import threading
from pathlib import Path

import httpx
from gradio import networking, tunneling
from gradio.exceptions import ChecksumMismatchError

from qwen_app.settings import Settings

log = logging.getLogger(__name__)

LIMIT_S = 60.0


def share_in_background(settings: Settings) -> threading.Thread:
    """Open the link in a thread of its own and log it, or why there is none."""
    thread = threading.Thread(target=open_share_link, args=(settings,), name="share", daemon=True)
    thread.start()
    return thread


def open_share_link(settings: Settings, *, limit_s: float = LIMIT_S) -> str | None:
    """The public address of the page, or None, with the reason logged. Takes ``limit_s`` seconds at most."""
    outcome: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
    threading.Thread(target=_tunnel, args=(settings, outcome), name="tunnel", daemon=True).start()
    try:
        found = outcome.get(timeout=limit_s)
    except queue.Empty:
        found = TimeoutError(f"the share service did not answer within {limit_s:.0f} s")
    if isinstance(found, str):
        log.info("Public link: %s (it works for a few days at most, and whoever has it sees the login)", found)
        return found
    log.warning("No public link: %s. The page runs on at http://localhost:%d", _reason(found), settings.port)
    return None


def _tunnel(settings: Settings, outcome: queue.SimpleQueue[str | Exception]) -> None:
    try:
        _remove_changed_binary()
        token = secrets.token_urlsafe(32)
        outcome.put(networking.setup_tunnel("127.0.0.1", settings.port, token, None, None))
    except Exception as error:
        outcome.put(error)


def _remove_changed_binary() -> None:
    """Gradio checks the tunnel's binary right after the download only; a changed one must not run later either."""
    binary = Path(tunneling.BINARY_PATH)
    expected = tunneling.CHECKSUMS.get(tunneling.BINARY_URL)
    if expected and binary.exists() and hashlib.sha256(binary.read_bytes()).hexdigest() != expected:
        binary.unlink()


def _reason(error: Exception) -> str:
    if isinstance(error, ChecksumMismatchError):
        return "the tunnel program that was downloaded is not the expected one"
    if isinstance(error.__cause__ or error, httpx.HTTPError):
        return "Gradio's share service cannot be reached; check the network or a proxy in between"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
