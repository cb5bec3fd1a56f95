"""Vectors of texts, from any server that answers OpenAI's ``/v1/embeddings``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2
import numpy as np
from pydantic import BaseModel, ValidationError

from qwen_app.errors import SettingsError, UpstreamError
from qwen_app.http.key_values import header_key
from qwen_app.http.server_address import ServerAddress

AT_ONCE = 64  # texts in a request
LIMIT_S = 60.0
OF_THE_REQUEST = (400, 404, 413, 422)  # statuses of a server that could do its work, were it asked for something else
MOST_WORDS = 300  # characters of what a server says of its refusal
Input = str | list[int]  # a text, or its token ids


class _Vector(BaseModel):
    index: int
    embedding: list[float | None]  # in the place of what is no number, for which JSON has no word


class _Usage(BaseModel):
    prompt_tokens: int | None = None


class _Answer(BaseModel):
    data: list[_Vector]
    usage: _Usage | None = None


class _Reason(BaseModel):
    message: str = ""


class _Refusal(BaseModel):
    error: _Reason | str | None = None
    message: str | None = None


class InputRefused(UpstreamError):
    """What was asked for is at fault: no such model, a text that is too long for it, a size that it does not have."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors as the server gave them (float32), one for each input, and the ``tokens`` it counted; 0 where it says
    nothing of them."""

    vectors: tuple[np.ndarray, ...]
    tokens: int


class Embedder:
    """``base_url`` is the server's API, such as http://host:8000/v1; ``model`` names one of its embedding models.

    A name and a password in the address are sent where there is no ``api_key``. Raises SettingsError for an address
    that is none, and an ``api_key`` that no HTTP header carries.
    """

    def __init__(self, base_url: str, api_key: str = "", model: str = "") -> None:
        self.model = model
        address = _address(base_url)
        self._url = f"{address.url}/embeddings"
        self._headers = address.headers(_header_key(api_key))

    async def vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        """A vector of length 1 for each text. Raises UpstreamError where the server does not give them."""
        return [of_length_one(vector) for vector in (await self.embed(texts)).vectors]

    async def embed(self, inputs: Sequence[Input], *, model: str = "", dimensions: int | None = None) -> Embedded:
        """What the server answers, asked for few inputs at a time. Raises UpstreamError, InputRefused where another
        request would be answered."""
        wanted: dict[str, object] = {"model": model or self.model}
        wanted |= {} if dimensions is None else {"dimensions": dimensions}
        found: list[np.ndarray] = []
        tokens = 0
        async with httpx2.AsyncClient(timeout=LIMIT_S, headers=self._headers) as client:
            for start in range(0, len(inputs), AT_ONCE):
                some = await self._some(client, wanted, inputs[start : start + AT_ONCE])
                found += some.vectors
                tokens += some.tokens
        return Embedded(tuple(found), tokens)

    async def _some(self, client: httpx2.AsyncClient, wanted: dict[str, object], inputs: Sequence[Input]) -> Embedded:
        try:
            response = await client.post(self._url, json={**wanted, "input": list(inputs)})
            response.raise_for_status()
            return await asyncio.to_thread(_read, response.content, len(inputs))
        except httpx2.HTTPStatusError as refused:
            raise _refusal(refused.response) from refused
        except (httpx2.HTTPError, ValidationError) as refused:
            raise UpstreamError(
                f"The embedding server did not answer as it should ({type(refused).__name__})."
            ) from refused


def _address(base_url: str) -> ServerAddress:
    try:
        return ServerAddress.parse(base_url)
    except ValueError as refused:
        raise SettingsError(f"The address of the embedding server {refused}.") from refused


def _header_key(api_key: str) -> str:
    try:
        return header_key(api_key)
    except ValueError as refused:
        raise SettingsError(f"The key for the embedding server {refused}.") from refused


def _refusal(response: httpx2.Response) -> UpstreamError:
    """A refusal with a reason is the caller's to mend. A bare 404 is not: the address is wrong."""
    words = _words_of(response.content)
    if response.status_code in OF_THE_REQUEST and words:
        return InputRefused(f"The embedding server refused the request: {words}")
    return UpstreamError(f"The embedding server refused the request (status {response.status_code}).")


def _words_of(content: bytes) -> str:
    """What a refusal says, in OpenAI's form or one of those of other servers; empty where it has none."""
    try:
        body = _Refusal.model_validate_json(content)
    except ValidationError:
        return ""
    reason = body.error.message if isinstance(body.error, _Reason) else body.error
    return (reason or body.message or "")[:MOST_WORDS]


def _read(content: bytes, count: int) -> Embedded:
    """Raises ValidationError, UpstreamError where there are not ``count`` vectors of one size, and InputRefused where
    one holds what is no number: a text, or its place among others, was too much for the model."""
    answer = _Answer.model_validate_json(content)
    rows = {one.index: one.embedding for one in answer.data}
    if sorted(rows) != list(range(count)) or len({len(row) for row in rows.values()} | {0}) != 2:
        raise UpstreamError("The embedding server did not give a vector for each text.")
    with np.errstate(over="ignore"):  # it is found as no number below
        vectors = tuple(np.asarray(rows[index], dtype=np.float32) for index in range(count))
    if not all(np.isfinite(vector).all() for vector in vectors):
        raise InputRefused("The embedding server gave a vector that holds more than numbers.")
    return Embedded(vectors, (answer.usage.prompt_tokens if answer.usage else None) or 0)


def of_length_one(vector: np.ndarray) -> np.ndarray:
    """``vector`` in its direction; one of nothing but zeros as it is."""
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector
