"""Who is at the other end: kind of server, model, context. Found with a few cheap GETs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx2

from qwen_app.engine.remote.server_profile import DIALECTS, OWNERS, SIGNS, Dialect
from qwen_app.errors import UpstreamError

PROBE_TIMEOUT_S = 5.0
VERSION_PATHS = ("/info", "/api/version", "/version")


@dataclass(frozen=True, slots=True)
class Peer:
    """``context_tokens`` 0 means that the server does not say."""

    dialect: Dialect
    model: str
    context_tokens: int = 0
    version: str = ""


def root_of(base_url: str) -> str:
    """The server's root: its own endpoints lie beside /v1, not under it."""
    return base_url.rstrip("/").removesuffix("/v1")


async def probe(http: httpx2.AsyncClient, base_url: str, model: str) -> Peer:
    """Asks ``base_url`` who it is. ``model`` empty means its first.

    Raises httpx2.HTTPError where nobody answers and UpstreamError for a wrong key, address or model.
    """
    models = await _models(http, base_url)
    root = root_of(base_url)
    owner = OWNERS.get(str(models[0].get("owned_by"))) if models else None
    signs = [sign for sign in SIGNS if owner in (None, sign.dialect)]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_ask(http, root + sign.path)) for sign in signs]
    answers = {sign: task.result() for sign, task in zip(signs, asked, strict=True)}
    name = owner or next((sign.dialect for sign, answer in answers.items() if sign.matches(answer)), "openai")
    chosen = _choose(models, model, base_url, DIALECTS[name])
    served = str(chosen["id"])
    facts = {sign.path: answer for sign, answer in answers.items() if isinstance(answer, dict)}
    context_tokens = _context(chosen, facts, served)
    if name == "ollama":
        context_tokens = await _ollama_context(http, root, served)
    return Peer(DIALECTS[name], served, context_tokens, _version(facts))


async def _models(http: httpx2.AsyncClient, base_url: str) -> list[dict[str, Any]]:
    """The server's models, none where it has no list."""
    response = await http.get(base_url.rstrip("/") + "/models", timeout=PROBE_TIMEOUT_S)
    if response.status_code in (401, 403):
        raise UpstreamError(f"The server at {base_url} refused this app's key. Set the right one with --api-key.")
    try:
        response.raise_for_status()
        return [entry for entry in response.json()["data"] if isinstance(entry, dict) and entry.get("id")]
    except (httpx2.HTTPStatusError, ValueError, KeyError, TypeError):
        return []


def _choose(models: list[dict[str, Any]], model: str, base_url: str, dialect: Dialect) -> dict[str, Any]:
    """The entry of the model to ask for. Raises UpstreamError where the server has no such model."""
    chosen = next((entry for entry in models if model in ("", entry["id"])), None)
    if chosen is not None:
        return chosen
    if model and not dialect.lists_all_models:
        return {"id": model}
    if not models:
        raise UpstreamError(f"The server at {base_url} lists no models. Check --base-url: it usually ends in /v1.")
    known = ", ".join(str(entry["id"]) for entry in models)
    raise UpstreamError(f"The server at {base_url} has no model {model!r}; it has: {known}. Set --remote-model.")


async def _ask(http: httpx2.AsyncClient, url: str) -> Any:
    """The JSON at ``url``, or None: a server need not have it."""
    try:
        response = await http.get(url, timeout=PROBE_TIMEOUT_S)
        return response.json() if response.status_code == 200 else None
    except (httpx2.HTTPError, ValueError):
        return None


def _context(model: dict[str, Any], facts: dict[str, Any], served: str) -> int:
    """Tokens of context, wherever this kind of server tells it."""
    studio = facts.get("/api/v0/models", {}).get("data") or ()
    loaded: dict[str, Any] = next((entry for entry in studio if entry.get("id") == served), {})
    told = (
        model.get("max_model_len"),  # vLLM, SGLang
        model.get("context_length"),  # this app
        facts.get("/props", {}).get("default_generation_settings", {}).get("n_ctx"),  # llama.cpp, a slot's share
        facts.get("/info", {}).get("max_total_tokens"),  # TGI
        loaded.get("loaded_context_length"),
        loaded.get("max_context_length"),
    )
    return next((number for number in told if isinstance(number, int) and number > 0), 0)


async def _ollama_context(http: httpx2.AsyncClient, root: str, model: str) -> int:
    """What the loaded model was given, which is often less than it could hold."""
    running = await _ask(http, root + "/api/ps")
    loaded = running.get("models") if isinstance(running, dict) else None
    lengths = [entry.get("context_length") for entry in loaded or () if entry.get("name") == model]
    return next((length for length in lengths if isinstance(length, int)), 0)


def _version(facts: dict[str, Any]) -> str:
    told = (facts.get("/props", {}).get("build_info"), *(facts.get(path, {}).get("version") for path in VERSION_PATHS))
    return str(next((value for value in told if value), ""))
