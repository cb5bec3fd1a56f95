"""The connection to one server: its clients, and who answers there."""

from __future__ import annotations

import functools
import hashlib
import ssl
import time
from collections.abc import Callable, Set
from dataclasses import replace
from pathlib import Path

import httpx2
import openai

from qwen_app.engine.remote.connection.health_monitor import HealthMonitor
from qwen_app.engine.remote.connection.server_info import ServerInfo, check_health, check_model, probe, root_of
from qwen_app.engine.remote.connection.token_counter import (
    EstimatedTokenCounter,
    FolderTokenCounter,
    ServerTokenCounter,
    TokenCounter,
)
from qwen_app.engine.remote.connection.upstream_call import UpstreamCall
from qwen_app.engine.remote.connection.upstream_errors import UpstreamFailure
from qwen_app.errors import EngineUnavailable, SettingsError
from qwen_app.http.key_values import fits_header, header_key
from qwen_app.http.server_address import ServerAddress
from qwen_app.messages import GenerationRequest
from qwen_app.openai_format import RequestBody

FindTokenizer = Callable[[str], Path | None]

NO_KEY = "none"  # the client library insists on a key, local servers on none
TIMEOUT = httpx2.Timeout(None, connect=5.0)  # seconds; for the rest each caller sets its own limit
KEY_CHARACTERS = 8  # a shorter key is no secret but a word, such as EMPTY

# The same id under both names: vLLM's router hashes on X-Session-Id, and knows no conversations.
CONVERSATION_HEADERS = ("X-Conversation-Id", "X-Session-Id")
CONVERSATION_ID_CHARACTERS = 200  # a longer id is hashed


class UpstreamClient:
    """``base_url`` may have a name and a password in it, which an ``api_key`` is sent in the place of.
    ``find_tokenizer`` gives a local folder with the tokenizer of the model it is called with, or None. Raises
    SettingsError for an address that is none, and an ``api_key`` that cannot be sent."""

    def __init__(self, base_url: str, api_key: str, model: str, find_tokenizer: FindTokenizer, poll_s: float) -> None:
        address = _address(base_url)
        self.base_url = address.url
        self.server: ServerInfo | None = None
        self.token_counter: TokenCounter = EstimatedTokenCounter()
        self.refuses_tools = False  # or drops them; found out by asking
        self.ignores_forced_calls = False  # likewise
        key = _header_key(api_key)
        self._headers = address.headers(key)
        self._api_key = key or NO_KEY
        self._model = model
        self._find_tokenizer = find_tokenizer
        self._http = self._new_http()
        self._confirmed_at = float("-inf")  # when the same server was last found anew
        self.health = HealthMonitor(
            self._discover,
            self._check,
            lambda: self.title,
            reason=f"Asking {self.base_url} what it serves.",
            interval_s=poll_s,
        )

    @property
    def title(self) -> str:
        """The server, for people."""
        return f"{self.server.profile.title} at {self.base_url}" if self.server else f"The server at {self.base_url}"

    def send(self, body: RequestBody, request: GenerationRequest) -> UpstreamCall:
        """Starts the request ``body``, which is ``request`` in the server's words.

        No time limit and no retries here: both are the caller's, who knows what was already said.
        """
        client = openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=self._api_key,
            http_client=self._http,
            max_retries=0,
            timeout=TIMEOUT,
        )
        stream = client.post(
            "/completions" if "prompt" in body else "/chat/completions",
            cast_to=object,
            body=body,
            options={"headers": _headers(request) | self._headers},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return UpstreamCall(stream)

    def without_key(self, failure: UpstreamFailure) -> UpstreamFailure:
        """``failure`` as everybody may read it: some servers say which key it was that they refused. A long message is
        cut, maybe within the key."""
        key = self._headers.get("Authorization", "").partition(" ")[2]
        if len(key) < KEY_CHARACTERS:
            return failure
        message = failure.message.replace(key, "***")
        beginnings = (key[:length] + "." for length in range(len(key) - 1, KEY_CHARACTERS - 1, -1))
        cut = next(filter(message.endswith, beginnings), "")
        return replace(failure, message=message.removesuffix(cut) + "***." if cut else message)

    async def ready_server(self) -> ServerInfo:
        """Who answers, asked for where it is not known yet. Raises EngineUnavailable."""
        self.health.start()
        if self.server is None:
            await self.health.discover()
        if self.server is None:
            raise EngineUnavailable(self.health.reason)
        return self.server

    async def other_server(self, server: ServerInfo) -> ServerInfo:
        """Who answers now that ``server`` has not what it had. Raises EngineUnavailable.

        That it is the same counts until the next poll: what is missing for good is asked for often.
        """
        if self._known(server) and time.monotonic() - self._confirmed_at >= self.health.interval_s:
            await self.health.rediscover()
            if self._known(server):
                self._confirmed_at = time.monotonic()
        return await self.ready_server()

    def goes_without(self, refused: Set[str], server: ServerInfo) -> None:
        """Leave these fields out from now on: ``server`` has answered without them, having refused them."""
        if known := self._known(server):
            self.server = known.without(refused)
            self.refuses_tools = self.refuses_tools or "tools" in refused

    def _known(self, server: ServerInfo) -> ServerInfo | None:
        """What is known by now of ``server``; None where another model answers."""
        return self.server if self.server is not None and self.server.model == server.model else None

    async def _discover(self) -> None:
        """Finds out who answers and how its tokens are counted."""
        async with self._new_http() as http:
            server = await probe(http, self.base_url, self._model)
            counter, hides_tools = await self._find_token_counter(http, server)
            # All at once: meanwhile answers go on by what was found last.
            self.server, self.token_counter, self.refuses_tools = server, counter, hides_tools
            self.ignores_forced_calls = False
            await check_health(http, self.base_url, server)

    async def close(self) -> None:
        await self.health.close()
        await self._http.aclose()

    async def _check(self) -> None:
        if (server := self.server) is not None:
            await check_health(self._http, self.base_url, server)
            await check_model(self._http, self.base_url, server)

    async def _find_token_counter(self, http: httpx2.AsyncClient, server: ServerInfo) -> tuple[TokenCounter, bool]:
        """The server's tokenizer where its counts are exact, else the folder's, else the best there is; and whether the
        server's shows that it drops tools."""
        api, folder = server.profile.tokenizer, self._find_tokenizer(server.model)
        root_url, hides_tools = root_of(self.base_url), False
        asking = None if api is None else ServerTokenCounter(http, root_url, server.model, api)
        if api is not None and asking is not None and await asking.works():
            hides_tools = await asking.hides_tools()
            lasting = ServerTokenCounter(self._http, root_url, server.model, api)
            if lasting.exact or folder is None:
                return lasting, hides_tools
        return FolderTokenCounter(folder) if folder else EstimatedTokenCounter(), hides_tools

    def _new_http(self) -> httpx2.AsyncClient:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=32)
        return httpx2.AsyncClient(headers=self._headers, timeout=TIMEOUT, limits=limits, verify=_certificates())


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Whom HTTPS trusts. Reading the machine's list holds the event loop as long as a token takes: once is enough."""
    return httpx2.create_ssl_context()


def _address(base_url: str) -> ServerAddress:
    """Raises SettingsError."""
    try:
        return ServerAddress.parse(base_url)
    except ValueError as refused:
        raise SettingsError(f"The address of the other server {refused}.") from refused


def _header_key(api_key: str) -> str:
    """``api_key`` as a header carries it. Raises SettingsError."""
    try:
        return header_key(api_key)
    except ValueError as refused:
        raise SettingsError(
            f"The key for the other server cannot be sent: it {refused}. Copy it anew into --api-key (QWEN_API_KEY)."
        ) from refused


def _headers(request: GenerationRequest) -> dict[str, str]:
    """A router that hashes on the conversation finds the replica that still holds its prefix."""
    conversation = request.conversation_id or request.request_id
    if not fits_header(conversation) or len(conversation) > CONVERSATION_ID_CHARACTERS:
        conversation = hashlib.sha256(conversation.encode(errors="replace")).hexdigest()
    return dict.fromkeys(CONVERSATION_HEADERS, conversation) | {"X-Request-Id": request.request_id}
