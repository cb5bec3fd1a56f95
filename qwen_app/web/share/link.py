"""The public link as long as the app runs: opened aside, watched, and opened again a few times when it dies."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Sequence

import httpx
import segno

from qwen_app.web.share.state import LinkState, remove_note, write_note
from qwen_app.web.share.tunnel import NoTunnel, OpenTunnel, Tunnel

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 5.0, 20.0)  # before each time that a link that died is opened again
LOOK_S = 20.0  # how often the link is looked at
SILENT_LOOKS = 2  # in a row, after which a link counts as dead though its program runs: it has expired
INSTEAD = (
    "Instead: the pod's own HTTPS proxy with --host 0.0.0.0; ssh -L {port}:127.0.0.1:{port} to this machine; or an frp "
    "server of your own, named by QWEN_SHARE_RELAY. The page runs on at http://localhost:{port}"
)


def answers(url: str) -> bool:
    """Whether our server is at the other end of ``url``."""
    try:
        told: object = httpx.get(f"{url}/health", timeout=10).json()
        return told == {"status": "ok"}
    except (httpx.HTTPError, ValueError):
        return False


class ShareLink:
    """A public link to ``port``, made by ``open_tunnel``. ``state`` is what to tell of it, from any thread."""

    def __init__(
        self,
        port: int,
        open_tunnel: OpenTunnel,
        *,
        look_s: float = LOOK_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._port = port
        self._open_tunnel = open_tunnel
        self._look_s = look_s
        self._pauses_s = pauses_s
        self._closed = threading.Event()
        self._tunnel: Tunnel | None = None
        self.state = LinkState()

    def start(self) -> None:
        """Begin aside; nothing waits for the link."""
        self._tell(LinkState())
        threading.Thread(target=self._keep, name="share", daemon=True).start()

    def close(self) -> None:
        """End the link with the app."""
        self._closed.set()
        if self._tunnel:
            self._tunnel.close()
        remove_note()

    def _keep(self) -> None:
        problem, opened = "", False
        for pause_s in (0.0, *self._pauses_s):
            if self._closed.wait(pause_s):
                return
            try:
                tunnel = self._tunnel = self._open_tunnel(self._port)
            except NoTunnel as why:
                problem = str(why)
                if not opened:  # what never opened is not tried again: the reason stays the same
                    break
                continue
            opened = True
            self._tell_open(tunnel.url)
            problem = self._watch(tunnel)
            tunnel.close()
            if self._closed.is_set():
                return
            log.warning("The public link %s is gone: %s. It is opened again.", tunnel.url, problem)
            self._tell(LinkState())
        self._tell(LinkState(problem=problem))
        log.warning("No public link: %s. %s", problem, INSTEAD.format(port=self._port))

    def _watch(self, tunnel: Tunnel) -> str:
        """Wait until ``tunnel`` is dead or the app ends; why it is dead."""
        silent = 0
        while not self._closed.wait(self._look_s):
            if not tunnel.runs:
                return "the tunnel program ended"
            silent = 0 if answers(tunnel.url) else silent + 1
            if silent >= SILENT_LOOKS:
                return "it no longer leads here; such links expire after a few days"
        return ""

    def _tell_open(self, url: str) -> None:
        self._tell(LinkState(url))
        log.info("Public link: %s (it works for a few days at most, and whoever has it sees the login)", url)
        sys.stdout.write(qr_code(url))
        sys.stdout.flush()

    def _tell(self, state: LinkState) -> None:
        self.state = state
        write_note(state)


def qr_code(text: str) -> str:
    """``text`` as a QR code (ISO/IEC 18004) in half blocks, for a phone to read off the terminal."""
    drawn = io.StringIO()
    segno.make(text, error="l").terminal(drawn, compact=True, border=2)
    return drawn.getvalue()
