"""Who is at the other end: kind of server, model, context. Found with a few cheap GETs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from difflib import get_close_matches

import httpx2

from qwen_app.engine.remote.connection.server_profile import (
    CONTEXT_IN_MODEL_LIST,
    MODELS_PATH,
    SERVER_PROFILES,
    UNKNOWN_SERVER,
    ServerProfile,
)
from qwen_app.engine.remote.connection.upstream_errors import sent_on_to
from qwen_app.errors import AppError, EngineUnavailable, UpstreamError

PROBE_TIMEOUT_S = 5.0
NAMED_MODELS = 8  # of a list that may have hundreds
LOOKED_MODELS = 1000  # to find the likeliest among them
AWAY = (502, 503, 504)  # what a gateway says of a server behind it, whatever is asked for
NO_JSON = (ValueError, RecursionError)  # the latter for what is nested too deeply

Pages = dict[str, object]  # the JSON of each path, None where there is none


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What answers. ``context_tokens`` 0 means that the server does not say; ``listed`` are the models that its list
    names where ``model`` is none of them."""

    profile: ServerProfile
    model: str
    context_tokens: int = 0
    version: str = ""
    listed: str = ""

    def without(self, refused: Set[str]) -> ServerInfo:
        """The same server where it takes none of these fields, as far as an answer can do without them."""
        return replace(self, profile=self.profile.without(refused)) if refused else self


def root_of(base_url: str) -> str:
    """The server's root: its own endpoints lie beside /v1, not under it."""
    return base_url.rstrip("/").removesuffix("/v1")


async def probe(http: httpx2.AsyncClient, base_url: str, model: str) -> ServerInfo:
    """Asks ``base_url`` who it is. ``model`` empty means its first.

    Raises httpx2.HTTPError where nobody answers, EngineUnavailable or UpstreamError where a gateway says that nobody
    does, and UpstreamError for a wrong key, address or model.
    """
    listed = await _model_list(http, base_url)
    pages: Pages = {MODELS_PATH: {"data": listed.entries}}
    root = root_of(base_url)
    profile = _by_owner(listed.entries)
    if profile is None:
        pages |= await _fetch(http, root, {known.sign.path for known in SERVER_PROFILES if known.sign})
        profile = _by_sign(pages)
    if not profile.health_path:
        _check_status(listed.status, base_url, profile)
    pages |= await _fetch(http, root, profile.fact_paths - pages.keys())
    served = _choose_model(listed, model, base_url, profile)
    others = "" if served in listed.ids or not listed.complete else listed.likely(served)
    return ServerInfo(profile, served, _context_tokens(profile, pages, served), _version(profile, pages), others)


async def check_health(http: httpx2.AsyncClient, base_url: str, server: ServerInfo) -> None:
    """Raises httpx2.HTTPError where nobody answers, EngineUnavailable or UpstreamError for a server that is not well.

    One without a page for that is as well as its list of models, which ``probe`` and ``check_model`` read.
    """
    path = server.profile.health_path
    if path:
        response = await http.get(root_of(base_url) + path, timeout=PROBE_TIMEOUT_S)
        _check_status(response.status_code, base_url, server.profile)


async def check_model(http: httpx2.AsyncClient, base_url: str, server: ServerInfo) -> None:
    """Another server may be put in the place of ``server`` and none be away meanwhile.

    Raises as ``probe`` does where nobody answers, UpstreamError for a wrong key, and EngineUnavailable where there is a
    list of models and the model is not on it any more.
    """
    listed = await _model_list(http, base_url)
    if not server.profile.health_path:
        _check_status(listed.status, base_url, server.profile)
    if listed.ids and server.model not in listed.ids and listed.complete and server.profile.lists_all_models:
        raise EngineUnavailable(f"The server at {base_url} has the model {server.model!r} no more.")


def _check_status(status: int, base_url: str, profile: ServerProfile) -> None:
    if status >= 500:
        raise _not_ready(f"{profile.title} at {base_url}", status)


def _not_ready(server: str, status: int) -> AppError:
    kind = EngineUnavailable if status == 503 else UpstreamError
    return kind(f"{server} is not ready: HTTP {status}.")


def _by_owner(entries: list[dict[str, object]]) -> ServerProfile | None:
    owner = entries[0].get("owned_by") if entries else None
    return next((profile for profile in SERVER_PROFILES if profile.owned_by and profile.owned_by == owner), None)


def _by_sign(pages: Pages) -> ServerProfile:
    known = (profile for profile in SERVER_PROFILES if profile.sign and profile.sign.find(pages) is not None)
    return next(known, UNKNOWN_SERVER)


@dataclass(frozen=True, slots=True)
class _ModelList:
    """``entries`` are empty where the server has no list. Where more pages follow, it is not ``complete``."""

    status: int
    entries: list[dict[str, object]]
    complete: bool = True

    @property
    def ids(self) -> list[str]:
        return [str(entry["id"]) for entry in self.entries]

    def likely(self, model: str) -> str:
        """The names on it that ``model`` may have been meant for, as a sentence has them."""
        likely = get_close_matches(model, self.ids[:LOOKED_MODELS], NAMED_MODELS, cutoff=0.0)
        more = f" and {len(self.ids) - len(likely)} more" if len(self.ids) > len(likely) else ""
        return ", ".join(likely) + more

    def id_of(self, model: str) -> str | None:
        """How the list names ``model``: as it is, else in other letters, or with the tag that Ollama leaves unsaid."""
        if model in self.ids:
            return model
        same = (model.casefold(), f"{model}:latest".casefold())
        found = [listed for listed in self.ids if listed.casefold() in same]
        return found[0] if len(found) == 1 else None


async def _model_list(http: httpx2.AsyncClient, base_url: str) -> _ModelList:
    """Raises as ``probe`` does."""
    response = await http.get(base_url.rstrip("/") + "/models", timeout=PROBE_TIMEOUT_S)
    if response.status_code in (401, 403):
        raise UpstreamError(f"The server at {base_url} refused this app's key. Set the right one with --api-key.")
    if response.is_redirect:
        raise UpstreamError(f"The server at {base_url} says: {sent_on_to(response)}")
    if response.status_code in AWAY:
        raise _not_ready(f"The server at {base_url}", response.status_code)
    try:
        response.raise_for_status()
        body = response.json()
        told = body if isinstance(body, list) else body["data"]  # Together's is the list alone
        entries = [entry for entry in told if isinstance(entry, dict) and entry.get("id")]
        return _ModelList(response.status_code, entries, complete=told is body or not body.get("has_more"))
    except (httpx2.HTTPStatusError, *NO_JSON, KeyError, TypeError):
        return _ModelList(response.status_code, [])


def _choose_model(listed: _ModelList, model: str, base_url: str, profile: ServerProfile) -> str:
    """The model to ask for. Raises UpstreamError where the server has no such model."""
    known = listed.id_of(model)
    if known or (model and not (profile.lists_all_models and listed.complete)):
        return known or model
    ids = listed.ids
    if not ids:
        raise UpstreamError(
            f"The server at {base_url} lists no models (HTTP {listed.status}). "
            "Check --base-url: it usually ends in /v1. Name one with --remote-model where it has no list."
        )
    if not model:
        return next((one for one in ids if "embed" not in one.lower()), ids[0])  # which answers no chat
    raise UpstreamError(
        f"The server at {base_url} has no model {model!r}; it has: {listed.likely(model)}. Set --remote-model."
    )


async def _fetch(http: httpx2.AsyncClient, root: str, paths: Iterable[str]) -> Pages:
    async with asyncio.TaskGroup() as group:
        tasks = {path: group.create_task(_fetch_json(http, root + path)) for path in paths}
    return {path: task.result() for path, task in tasks.items()}


async def _fetch_json(http: httpx2.AsyncClient, url: str) -> object:
    """The JSON at ``url``, or None: a server need not have it."""
    try:
        response = await http.get(url, timeout=PROBE_TIMEOUT_S)
        return response.json() if response.status_code == 200 else None
    except (httpx2.HTTPError, *NO_JSON):
        return None


def _context_tokens(profile: ServerProfile, pages: Pages, model: str) -> int:
    facts = (source.find(pages, model) for source in (*CONTEXT_IN_MODEL_LIST, *profile.context_sources))
    return next((fact for fact in facts if isinstance(fact, int) and fact > 0), 0)


def _version(profile: ServerProfile, pages: Pages) -> str:
    return str(profile.version_source.find(pages) or "") if profile.version_source else ""
