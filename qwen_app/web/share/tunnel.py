"""One tunnel: Gradio's frp client, run as a process that is known by its hash.

The relay's address and certificate come from Gradio's service, unless the settings name a relay of one's own.
"""

from __future__ import annotations

import hashlib
import os
import queue
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from gradio import networking, tunneling

CERTIFICATE = Path("run/relay.pem")
LEASH = Path(__file__).with_name("leash.py")
OPENS_WITHIN_S = 30.0
ENDS_WITHIN_S = 3.0
PROGRAM_LIMIT_BYTES = 100_000_000
_OPENED = re.compile(r"start proxy success: (https?://\S+)")
_REFUSED = re.compile(r"login to server failed.*|start error.*", re.IGNORECASE)


class NoTunnel(Exception):
    """Why there is no tunnel, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class TunnelProgram:
    """The frp client: where it lies, where it is fetched from, and its sha256; empty where none is known."""

    path: Path
    url: str
    sha256: str

    @classmethod
    def of_gradio(cls) -> TunnelProgram:
        return cls(Path(tunneling.BINARY_PATH), tunneling.BINARY_URL, tunneling.CHECKSUMS.get(tunneling.BINARY_URL, ""))

    def ensure(self) -> None:
        """Have it there, unchanged: looked at before every run. Raises NoTunnel."""
        if not self.sha256:
            raise NoTunnel("the tunnel program is not published for this kind of machine")
        if self._hash() == self.sha256:
            return
        self.path.unlink(missing_ok=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fetched = self.path.with_suffix(".new")
        fetched.write_bytes(_fetch(self.url))
        fetched.chmod(0o755)
        if hashlib.sha256(fetched.read_bytes()).hexdigest() != self.sha256:
            fetched.unlink()
            raise NoTunnel("the tunnel program that was downloaded is not the expected one")
        fetched.replace(self.path)

    def _hash(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest() if self.path.is_file() else ""


@dataclass(frozen=True, slots=True)
class Relay:
    """A server of frp. ``certificate`` is the file that proves it; None: it is not asked for."""

    address: str
    certificate: Path | None = None


def gradios_relay() -> Relay:
    """The relay that Gradio's service names today. Raises NoTunnel."""
    try:
        (entry, *_) = httpx.get(networking.GRADIO_API_SERVER, timeout=30).json()
        address, certificate = f"{entry['host']}:{int(entry['port'])}", str(entry["root_ca"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as unreachable:
        raise NoTunnel("Gradio's share service cannot be reached") from unreachable
    CERTIFICATE.parent.mkdir(exist_ok=True)
    CERTIFICATE.write_text(certificate, encoding="utf-8")
    return Relay(address, CERTIFICATE)


class Tunnel:
    """A running tunnel to ``port`` of this machine. It ends with the thread that made it, however that one ends."""

    def __init__(self, program: Path, relay: Relay, port: int) -> None:
        tls = ["--tls_enable", "--tls_trusted_ca_file", str(relay.certificate)] if relay.certificate else []
        command = [sys.executable, "-I", str(LEASH), str(os.getpid()), str(program.resolve()), "http"]
        command += ["-n", secrets.token_urlsafe(32), "-l", str(port), "-i", "127.0.0.1", "--uc", "--sd", "random"]
        command += ["--ue", "--server_addr", relay.address, "--disable_log_color", *tls]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="tunnel", daemon=True).start()
        self.url = ""

    def wait_open(self, limit_s: float = OPENS_WITHIN_S) -> str:
        """The public address. Raises NoTunnel, after ``limit_s`` seconds at most; then the process is gone too."""
        try:
            while not self.url:
                line = self._lines.get(timeout=limit_s)
                if line is None:
                    raise NoTunnel("the tunnel program ended")
                if opened := _OPENED.search(line):
                    self.url = opened[1]
                elif refused := _REFUSED.search(line):
                    raise NoTunnel(f"the relay refused: {refused[0][:200]}")
        except queue.Empty:
            self.close()
            raise NoTunnel(f"the relay did not answer within {limit_s:.0f} s") from None
        except NoTunnel:
            self.close()
            raise
        return self.url

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        """Lines are read to the end, lest a full pipe stops the program; after it is open nobody wants them."""
        assert self._process.stdout is not None  # it is a pipe
        for line in self._process.stdout:
            if not self.url:
                self._lines.put(line)
        self._lines.put(None)
        self._process.stdout.close()


OpenTunnel = Callable[[int], Tunnel]


def open_tunnel(port: int, relay_address: str = "", program: TunnelProgram | None = None) -> Tunnel:
    """A tunnel that is open. Raises NoTunnel."""
    program = program or TunnelProgram.of_gradio()
    try:
        program.ensure()
        tunnel = Tunnel(program.path, Relay(relay_address) if relay_address else gradios_relay(), port)
    except OSError as refused:
        raise NoTunnel(f"the tunnel program cannot be run ({refused.strerror or type(refused).__name__})") from refused
    tunnel.wait_open()
    return tunnel


def _fetch(url: str) -> bytes:
    try:
        with httpx.stream("GET", url, timeout=30, follow_redirects=True) as answer:
            answer.raise_for_status()
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > PROGRAM_LIMIT_BYTES:
                    raise NoTunnel("the tunnel program that was downloaded is not the expected one")
            return bytes(content)
    except httpx.HTTPError as unreachable:
        raise NoTunnel("the tunnel program cannot be downloaded; check the network") from unreachable
