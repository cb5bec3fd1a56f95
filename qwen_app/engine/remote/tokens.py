"""Tokens of a conversation: by the server's tokenizer, by a local folder of the model, or estimated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx2

from qwen_app.engine.remote.request import Body, message_body
from qwen_app.errors import RequestError
from qwen_app.messages import Message, Tool
from qwen_app.tools.prompt_format import tool_definition

MESSAGE_TOKENS = 5  # role and borders of one message in ChatML
ASCII_PER_TOKEN = 3.5  # English prose and code, byte-pair encoded
OTHER_PER_TOKEN = 1.3  # Chinese, Japanese, Korean and the rest, Qwen's vocabulary


class Tokens(Protocol):
    """Counts, encodes and decodes. ``exact`` says that counts are the server's own."""

    exact: bool

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int: ...

    async def encode(self, text: str) -> list[int]: ...

    async def decode(self, token_ids: Sequence[int]) -> str: ...


class EstimatedTokens:
    exact = False

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        texts = [json.dumps(message_body(message), ensure_ascii=False) for message in messages if message.tool_calls]
        texts += [message.content for message in messages if not message.tool_calls]
        texts += [json.dumps(tool_definition(tool), ensure_ascii=False) for tool in tools]
        return MESSAGE_TOKENS * (len(messages) + 1) + sum(map(estimate, texts))

    async def encode(self, text: str) -> list[int]:
        raise RequestError("The remote server has no tokenizer to ask, and no folder of the model is at hand.")

    async def decode(self, token_ids: Sequence[int]) -> str:
        raise RequestError("The remote server has no tokenizer to ask, and no folder of the model is at hand.")


def estimate(text: str) -> int:
    """Tokens that ``text`` will be, within some 20 % for prose."""
    plain = sum(character.isascii() for character in text)
    return round(plain / ASCII_PER_TOKEN + (len(text) - plain) / OTHER_PER_TOKEN)


class FolderTokens:
    """The tokenizer of a local model folder, loaded at first use."""

    exact = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tokenizer: Any = None

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        return await asyncio.to_thread(self._count, messages, tools)

    async def encode(self, text: str) -> list[int]:
        return await asyncio.to_thread(lambda: self._load().encode(text, add_special_tokens=False))

    async def decode(self, token_ids: Sequence[int]) -> str:
        return await asyncio.to_thread(lambda: self._load().decode(list(token_ids)))

    def _count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        ids = self._load().apply_chat_template(
            [_for_template(message) for message in messages],
            tools=[tool_definition(tool) for tool in tools] or None,
            add_generation_prompt=True,
            return_dict=False,
        )
        return len(ids)

    def _load(self) -> Any:
        if self._tokenizer is None:
            from transformers import AutoTokenizer  # slow to import, and seldom needed

            self._tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
        return self._tokenizer


def _for_template(message: Message) -> dict[str, Any]:
    """As ``message_body``, with arguments as objects: a template would quote a string twice."""
    body = message_body(message)
    for call in body.get("tool_calls", ()):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return body | {"content": message.content}


class ServerTokens:
    """The server's tokenizer over HTTP. ``url`` is the server's root, with ``http`` carrying the key.

    Raises httpx2.HTTPError, KeyError, TypeError or ValueError where the server has none after all; see ``works``.
    """

    def __init__(self, http: httpx2.AsyncClient, url: str, model: str, kind: str) -> None:
        self._http = http
        self._url = url
        self._model = model
        self._kind = kind
        self.exact = kind in ("vllm", "llama", "tgi")

    async def works(self) -> bool:
        """Whether the endpoint is there, found by asking it."""
        try:
            return await self.count([Message("user", "Hi")], []) > 0
        except (httpx2.HTTPError, KeyError, TypeError, ValueError):
            return False

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        bodies: Body = {"messages": [message_body(message) for message in messages]}
        if tools:
            bodies["tools"] = [tool_definition(tool) for tool in tools]
        if self._kind == "vllm":
            answer = await self._post("/tokenize", bodies | {"model": self._model, "add_generation_prompt": True})
            return int(answer["count"])
        if self._kind == "llama":
            prompt = (await self._post("/apply-template", bodies))["prompt"]
            marked = {"content": prompt, "add_special": True, "parse_special": True}
            return len((await self._post("/tokenize", marked))["tokens"])
        if self._kind == "tgi":
            answer = await self._post("/chat_tokenize", bodies | {"model": self._model})
            return len(answer["tokenize_response"])
        text = "".join(f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n" for message in messages)
        text += "".join(json.dumps(body, ensure_ascii=False) for body in bodies.get("tools", ()))
        return len(await self.encode(text)) + MESSAGE_TOKENS

    async def encode(self, text: str) -> list[int]:
        if self._kind == "llama":
            return list((await self._post("/tokenize", {"content": text}))["tokens"])
        if self._kind == "tgi":
            return [
                token["id"] for token in await self._post("/tokenize", {"inputs": text, "add_special_tokens": False})
            ]
        if self._kind == "webui":
            return list((await self._post("/v1/internal/encode", {"text": text}))["tokens"])
        body = {"model": self._model, "prompt": text, "add_special_tokens": False}
        return list((await self._post("/tokenize", body))["tokens"])

    async def decode(self, token_ids: Sequence[int]) -> str:
        body = {"tokens": list(token_ids)}
        if self._kind == "llama":
            return str((await self._post("/detokenize", body))["content"])
        if self._kind == "webui":
            return str((await self._post("/v1/internal/decode", body))["text"])
        if self._kind == "tgi":
            raise RequestError("Text Generation Inference turns no token ids into text.")
        answer = await self._post("/detokenize", body | {"model": self._model})
        return str(answer["prompt"] if self._kind == "vllm" else answer["text"])

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        response = await self._http.post(self._url + path, json=body, timeout=10.0)
        response.raise_for_status()
        return response.json()
