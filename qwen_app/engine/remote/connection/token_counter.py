"""Tokens of a conversation: by the server's tokenizer, by a local folder of the model, or estimated."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx2

from qwen_app.engine.remote.connection.server_profile import TokenizerApi, TokenizerEndpoint
from qwen_app.errors import RequestError
from qwen_app.messages import Message, Tool
from qwen_app.openai_format import RequestBody, message_body, tool_body, tool_call_body
from qwen_app.tools.messages import shown_arguments

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MESSAGE_TOKENS = 5  # role and borders of one message in ChatML
ASCII_PER_TOKEN = 3.5  # English prose and code, byte-pair encoded
OTHER_PER_TOKEN = 1.3  # Chinese, Japanese, Korean and the rest, Qwen's vocabulary
TIMEOUT_S = 10.0
NO_COUNT = (httpx2.HTTPError, KeyError, TypeError, ValueError, RecursionError)  # the last for JSON nested too deeply
A_TOOL = Tool("clock", "Tells the time.")
CONTROL_TOKEN = re.compile(r"<\|[^<>|]+\|>|</?s>")  # those of Qwen, Llama and Mistral, as they are written
PARSES_ALL = "The remote server's tokenizer takes control tokens in a text for such. Leave out parse_special, or them."
NO_TOKENIZER = "The remote server has no tokenizer to ask, and no folder of the model is at hand."


class TokenCounter(Protocol):
    """Counts, encodes and decodes. ``exact`` says that counts are those of the model's own tokenizer.

    With ``parse_special`` False control tokens in a text are text; ``add_special_tokens`` has BOS before it, of models
    that have it and servers that can be told. Raises RequestError where that cannot be had.
    """

    exact: bool

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int: ...

    async def encode(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]: ...

    async def decode(self, token_ids: Sequence[int]) -> str: ...


class EstimatedTokenCounter:
    """Counts by the length of the text; knows no ids."""

    exact = False

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        texts = [json.dumps(message_body(message), ensure_ascii=False) for message in messages if message.tool_calls]
        texts += [message.content for message in messages if not message.tool_calls]
        texts += [json.dumps(tool_body(tool), ensure_ascii=False) for tool in tools]
        return MESSAGE_TOKENS * (len(messages) + 1) + sum(map(estimate_tokens, texts))

    async def encode(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        raise RequestError(NO_TOKENIZER)

    async def decode(self, token_ids: Sequence[int]) -> str:
        raise RequestError(NO_TOKENIZER)


def estimate_tokens(text: str) -> int:
    """Tokens that ``text`` will be, within some 20 % for prose."""
    ascii_characters = sum(character.isascii() for character in text)
    return round(ascii_characters / ASCII_PER_TOKEN + (len(text) - ascii_characters) / OTHER_PER_TOKEN)


class FolderTokenCounter:
    """The tokenizer of a local model folder, loaded at first use."""

    exact = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._lock = threading.Lock()  # how it takes control tokens is a state of the tokenizer's

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        return await asyncio.to_thread(self._count, messages, tools)

    async def encode(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        return await asyncio.to_thread(self._encode, text, parse_special, add_special_tokens)

    async def decode(self, token_ids: Sequence[int]) -> str:
        return str(await asyncio.to_thread(lambda: self._load().decode(list(token_ids))))

    def _encode(self, text: str, parse_special: bool, add_special_tokens: bool) -> list[int]:
        with self._lock:
            ids = self._load().encode(
                text, add_special_tokens=add_special_tokens, split_special_tokens=not parse_special
            )
        return list(ids)

    def _count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        with self._lock:
            ids = self._load().apply_chat_template(
                [_for_template(message) for message in messages],
                tools=[dict(tool_body(tool)) for tool in tools] or None,
                add_generation_prompt=True,
                return_dict=False,
            )
        return len(ids)

    def _load(self) -> PreTrainedTokenizerBase:
        if self._tokenizer is None:
            from transformers import AutoTokenizer  # slow to import, and seldom needed

            self._tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
        return self._tokenizer


def _for_template(message: Message) -> dict[str, Any]:
    """As ``message_body``, with arguments as objects: a template would quote a string twice."""
    body: dict[str, Any] = {**message_body(message), "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [
            {**tool_call_body(call), "function": {"name": call.name, "arguments": shown_arguments(call)}}
            for call in message.tool_calls
        ]
    return body


class ServerTokenCounter:
    """The server's tokenizer over HTTP. ``root_url`` is the server's root, with ``http`` carrying the key.

    Raises one of NO_COUNT where the server has none after all; see ``works``.
    """

    def __init__(self, http: httpx2.AsyncClient, root_url: str, model: str, api: TokenizerApi) -> None:
        self._http = http
        self._root_url = root_url
        self._model = model
        self._api = api
        self.exact = api.counts_exactly

    async def works(self) -> bool:
        """Whether the endpoint is there, found by asking it."""
        try:
            return await self.count([Message("user", "Hi")], []) > 0
        except NO_COUNT:
            return False

    async def hides_tools(self) -> bool:
        """Whether tools make no prompt longer: the model's template has no place for them, and it never sees them."""
        messages = [Message("user", "Hi")]
        try:
            return self.exact and await self.count(messages, [A_TOOL]) == await self.count(messages, [])
        except NO_COUNT:
            return False

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        if not self._api.count:
            return len(await self.encode(_as_chatml(messages, tools))) + MESSAGE_TOKENS
        chat: RequestBody = {"messages": [message_body(message) for message in messages]}
        if tools:
            chat["tools"] = [tool_body(tool) for tool in tools]
        result: object = chat
        for endpoint in self._api.count:
            result = await self._post(endpoint, result)
        return result if isinstance(result, int) else len(_list(result))

    async def encode(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        endpoint, field = self._api.encode, self._api.special_field
        if self._api.opening_field:
            endpoint = replace(endpoint, also={**endpoint.also, self._api.opening_field: add_special_tokens})
        if field:
            endpoint = replace(endpoint, also={**endpoint.also, field: parse_special})
        elif not parse_special and CONTROL_TOKEN.search(text):
            raise RequestError(PARSES_ALL, param="parse_special")
        tokens = _list(await self._post(endpoint, text))
        return [_id(token) for token in tokens]

    async def decode(self, token_ids: Sequence[int]) -> str:
        if self._api.decode is None:
            raise RequestError("The remote server turns no token ids into text.")
        return str(await self._post(self._api.decode, list(token_ids)))

    async def _post(self, endpoint: TokenizerEndpoint, value: object) -> object:
        """Sends ``value`` and returns the field of the answer that the endpoint names."""
        body: RequestBody = {endpoint.takes: value} if endpoint.takes else dict(_mapping(value))
        body |= endpoint.also
        if endpoint.names_model:
            body["model"] = self._model
        response = await self._http.post(self._root_url + endpoint.path, json=body, timeout=TIMEOUT_S)
        response.raise_for_status()
        return _mapping(response.json())[endpoint.gives] if endpoint.gives else response.json()


def _as_chatml(messages: Sequence[Message], tools: Sequence[Tool]) -> str:
    """About what the template makes of a chat."""
    text = "".join(f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n" for message in messages)
    return text + "".join(json.dumps(tool_body(tool), ensure_ascii=False) for tool in tools)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a JSON object was expected, not {type(value).__name__}")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"a JSON list was expected, not {type(value).__name__}")
    return value


def _id(token: object) -> int:
    token_id = token.get("id") if isinstance(token, Mapping) else token
    if not isinstance(token_id, int):
        raise TypeError(f"a token id was expected, not {type(token_id).__name__}")
    return token_id
