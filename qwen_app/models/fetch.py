"""Fetches files over HTTP: resumes after a restart, checks size and sha256, leaves no half file under a whole name.

What is not whole yet lies beside its place as ``NAME.part``.

Listing is huggingface_hub's work (hub.py), fetching is ours: its ``hf_hub_download`` writes to a file of random name
and deletes that when it fails, so 15 GB of weights would start over after each break, and it compares sizes, not
sha256.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import httpx2

from qwen_app.errors import DownloadError
from qwen_app.models.files.disk import writing
from qwen_app.models.files.names import PART
from qwen_app.models.hub import RemoteFile

log = logging.getLogger(__name__)

ATTEMPTS = 6
AT_ONCE = 4
_CHUNK_BYTES = 1 << 20
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)  # 30 s without a byte is a stall
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})

Advance = Callable[[int], object]


def fetch_files(
    files: Sequence[RemoteFile],
    folder: Path,
    headers: dict[str, str],
    advance: Advance,
    *,
    pause_s: Callable[[float], object] | None = None,
) -> None:
    """Bring all ``files`` into ``folder``; those already there are kept. ``advance`` hears of bytes as they arrive.

    Raises DownloadError; what has arrived stays and is continued by the next call, also after a KeyboardInterrupt.
    """
    stopped = threading.Event()
    with (
        httpx2.Client(follow_redirects=True, timeout=_TIMEOUT, headers=headers) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        jobs = [
            pool.submit(_Fetch(client, file, folder, advance, pause_s or stopped.wait, stopped).run) for file in files
        ]
        try:
            wait(jobs)
        except KeyboardInterrupt:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for job in jobs:
        job.result()


class _Fetch:
    """One file on its way."""

    def __init__(
        self,
        client: httpx2.Client,
        file: RemoteFile,
        folder: Path,
        advance: Advance,
        pause_s: Callable[[float], object],
        stopped: threading.Event,
    ) -> None:
        self._stopped = stopped
        self._client, self._file, self._advance, self._pause_s = client, file, advance, pause_s
        self._target = folder / file.path
        self._part = folder / f"{file.path}{PART}"

    def run(self) -> None:
        with writing(self._part):
            self._bring()

    def _bring(self) -> None:
        if self._file.is_at(self._target):
            self._advance(self._file.size_bytes)
            return
        self._advance(self._have())
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._receive()
                break
            except httpx2.HTTPError as failed:
                self._retry_or_raise(failed, attempt)
        self._finish()

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _receive(self) -> None:
        have = self._have()
        if have == self._file.size_bytes and self._part.is_file():
            return
        if have > self._file.size_bytes:  # of another revision: the hub has nothing after its end
            self._advance(-have)
            self._part.unlink()
            have = 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with self._client.stream("GET", self._file.url, headers=headers) as response:
            response.raise_for_status()
            if have and response.status_code != 206:  # the server starts over, so do we
                self._advance(-have)
                have = 0
            with self._part.open("ab" if have else "wb") as part:
                for chunk in response.iter_raw(_CHUNK_BYTES):
                    part.write(chunk)
                    self._advance(len(chunk))
                    have += len(chunk)
                    self._go_on()
                    if have > self._file.size_bytes:  # more than was announced: _finish refuses it, at any length
                        return
        if self._have() < self._file.size_bytes:
            raise httpx2.RemoteProtocolError("the connection closed early")

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise DownloadError(f"{self._file.path} was stopped. Run the same command again: it continues.")

    def _retry_or_raise(self, failed: httpx2.HTTPError, attempt: int) -> None:
        status = failed.response.status_code if isinstance(failed, httpx2.HTTPStatusError) else 0
        if attempt == ATTEMPTS or (status and status not in _RETRIED):
            reason = f"status {status}" if status else str(failed) or type(failed).__name__
            raise DownloadError(
                f"{self._file.path} could not be fetched ({reason}). Run the same command again: it continues."
            ) from failed
        self._pause_s(2.0 ** (attempt - 1))
        self._go_on()

    def _finish(self) -> None:
        if not self._file.is_at(self._part):
            self._part.unlink()
            raise DownloadError(
                f"{self._file.path} arrived damaged (size or checksum differs) and was deleted. Run the command again."
            )
        self._part.rename(self._target)
