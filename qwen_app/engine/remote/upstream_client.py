"""The connection to one server: its clients, who answers there, and whether it is well, looked at now and then."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import openai

from qwen_app.engine.base import HealthState
from qwen_app.engine.remote.server_info import PROBE_TIMEOUT_S, Peer, probe, root_of
from qwen_app.engine.remote.tokens import EstimatedTokens, FolderTokens, ServerTokens, Tokens
from qwen_app.errors import AppError, EngineUnavailable

log = logging.getLogger(__name__)

FindTokenizer = Callable[[str], Path | None]

NO_KEY = "none"  # the client library insists on a key, local servers on none
CONNECT_TIMEOUT_S = 5.0


class Link:
    """``find_tokenizer`` gives a local folder with the tokenizer of the model it is called with, or None."""

    def __init__(self, base_url: str, api_key: str, model: str, find_tokenizer: FindTokenizer, poll_s: float) -> None:
        self.base_url = base_url.rstrip("/")
        self.peer: Peer | None = None
        self.tokens: Tokens = EstimatedTokens()
        self.refuses_tools = False  # found out by asking
        self.state: HealthState = "loading"
        self.reason = f"Asking {self.base_url} what it serves."
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._api_key = api_key or NO_KEY
        self._model = model
        self._find_tokenizer = find_tokenizer
        self._poll_s = poll_s
        self._http = self._new_http()
        self._looking = asyncio.Lock()
        self._poll: asyncio.Task[None] | None = None
        self._seen_at = time.monotonic()

    @property
    def title(self) -> str:
        """The server, for people."""
        return f"{self.peer.dialect.title} at {self.base_url}" if self.peer else f"The server at {self.base_url}"

    @property
    def age_s(self) -> float:
        """Seconds since the server was last seen well."""
        return time.monotonic() - self._seen_at

    def client(self) -> openai.AsyncOpenAI:
        """No time limit and no retries of its own: both are the caller's, who knows what was already said."""
        return openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=self._api_key,
            http_client=self._http,
            max_retries=0,
            timeout=self._timeout(),
        )

    async def ready_peer(self) -> Peer:
        """Who answers, asked for where it is not known yet. Raises EngineUnavailable or UpstreamError."""
        self.watch()
        if self.peer is None:
            await self.look()
        if self.peer is None:
            raise EngineUnavailable(self.reason)
        return self.peer

    async def look(self) -> None:
        """Finds out who answers and how its tokens are counted; failing that, ``state`` and ``reason`` say why."""
        async with self._looking:
            if self.state != "ready":
                await self._look()

    async def _look(self) -> None:
        try:
            async with self._new_http() as http:
                self.peer = await probe(http, self.base_url, self._model)
                self.refuses_tools = False
                self.tokens = await self._find_tokens(http, self.peer)
        except httpx2.HTTPError as error:
            self._ill("stalled", f"{self.title} cannot be reached ({error or type(error).__name__}). Is it running?")
        except AppError as error:
            self._ill("stalled", error.message)
        else:
            self._well()

    def watch(self) -> None:
        """Starts the background look at the server's health, where an event loop runs and none was started."""
        if self._poll is None:
            try:
                self._poll = asyncio.get_running_loop().create_task(self._watch())
            except RuntimeError:
                return

    async def close(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)
        await self._http.aclose()

    async def _watch(self) -> None:
        while True:
            if self.peer is None or self.state != "ready":
                await self.look()
            else:
                await self._check(self.peer)
            await asyncio.sleep(self._poll_s)

    async def _check(self, peer: Peer) -> None:
        path = peer.dialect.health
        url = root_of(self.base_url) + path if path else self.base_url + "/models"
        try:
            response = await self._http.get(url, timeout=PROBE_TIMEOUT_S)
        except httpx2.HTTPError as error:
            self._ill("stalled", f"{self.title} cannot be reached ({error or type(error).__name__}). Is it running?")
            return
        if response.status_code >= 500:
            state: HealthState = "loading" if response.status_code == 503 else "stalled"
            self._ill(state, f"{self.title} is not ready: HTTP {response.status_code}.")
        else:
            self._well()

    async def _find_tokens(self, http: httpx2.AsyncClient, peer: Peer) -> Tokens:
        """The server's tokenizer where its counts are exact, else the folder's, else the best there is."""
        kind, folder = peer.dialect.tokens, self._find_tokenizer(peer.model)
        if kind != "none" and await (server := ServerTokens(http, root_of(self.base_url), peer.model, kind)).works():
            lasting = ServerTokens(self._http, root_of(self.base_url), peer.model, kind)
            if server.exact or folder is None:
                return lasting
        return FolderTokens(folder) if folder else EstimatedTokens()

    def _well(self) -> None:
        self.state, self.reason = "ready", ""
        self._seen_at = time.monotonic()

    def _ill(self, state: HealthState, reason: str) -> None:
        if reason != self.reason:
            log.warning("remote server: %s", reason)
        self.state, self.reason = state, reason

    def _timeout(self) -> httpx2.Timeout:
        return httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)

    def _new_http(self) -> httpx2.AsyncClient:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=32)
        return httpx2.AsyncClient(headers=self._headers, timeout=self._timeout(), limits=limits)
