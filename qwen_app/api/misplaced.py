"""Known paths at a wrong place, answered with the base URL that was meant: no ``/v1``, two of them, another provider's
base path, or Ollama's API.

Pasting a base URL without ``/v1`` is the most common mistake of all, and a bare 404 looks like a server that is not
there.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from qwen_app.api.protocol.anthropic_error import ANTHROPIC_PATHS

OLLAMA = "/api"
OLLAMAS_OWN = "/api/embeddings/"  # ends as a path of ours does
# How the base paths of other providers begin: they stay where a program's host is changed and its path is not.
ELSEWHERE = ("/V1", "/compatible-mode", "/engines", "/inference", "/openai", "/v1beta")
NO_MODEL = {
    "/audio": "speaks or listens",
    "/images": "draws",
    "/moderations": "judges text",
    "/rerank": "ranks documents",
}
# What other servers keep, below /v1, and what to do here instead.
NOT_KEPT = {
    "/responses/input_tokens": "Tokens of a conversation are counted by POST /tokenize.",
    "/responses/": "This server keeps no responses. Send the whole conversation to POST /v1/responses.",
    "/files/": "Uploads are kept for two hours, and for good in a store: /v1/vector_stores/{id}/files lists its files.",
    "/conversations/": "This server keeps no conversations. Send all of it to POST /v1/responses.",
    "/assistants/": "This server keeps no assistants. Send instructions and tools to POST /v1/responses.",
    "/threads/": "This server keeps no threads. Send the whole conversation to POST /v1/responses.",
    "/batches/": "This server takes no batches. Send the requests one by one, several at once.",
    "/messages/batches/": "This server takes no batches. Send the requests one by one, several at once.",
}


class Misplaced:
    """Knows where ``paths``, those of the API, are looked for in vain."""

    def __init__(self, paths: Iterable[str]) -> None:
        own = [path for path in paths if path.startswith("/v1/")]
        self._known = sorted({path.split("/{")[0] for path in own})
        self._nested = [path for path in own if "}/" in path]

    def places(self) -> list[str]:
        """The paths outside of ``/v1`` that are answered here, without what follows them."""
        return sorted({known.removeprefix("/v1") for known in self._known} | NO_MODEL.keys() | {OLLAMA, *ELSEWHERE})

    async def refuse(self, request: Request) -> Response:
        """404 with the base URL; to Ollama's clients in the one shape that they show."""
        hint = self.hint(request)
        if hint is None and request.url.path.startswith(OLLAMA):
            return JSONResponse({"error": f"Ollama's API is not spoken here. {_openai_base(request)}"}, 404)
        raise HTTPException(404, hint or f"There is nothing at {request.url.path}.")

    def hint(self, request: Request) -> str | None:
        """The base URL that was meant, what no model here does, or what is not kept; None where the path tells none."""
        path = request.url.path.rstrip("/") + "/"
        for part, what in NO_MODEL.items():
            if path.removeprefix("/v1").startswith(part + "/"):
                return f"This server has no model that {what}. What it has is listed at /v1/docs."
        if path == OLLAMAS_OWN:
            return None
        if request.url.path == path and path[:-1] in self._known:
            return f"There is nothing at {path}. Leave out the slash at its end."
        if any(_is_below(path, nested) for nested in self._nested):  # its end may be called as a path of its own is
            return None
        meant = [known for known in self._known if _leads_astray(path, known)]
        if not meant:
            kept = (what for part, what in NOT_KEPT.items() if path.startswith(f"/v1{part}"))
            return next(kept, None)
        of_anthropic = ANTHROPIC_PATHS.holds(meant[0])
        return f"There is nothing at {path[:-1]}. {_anthropic_base(request) if of_anthropic else _openai_base(request)}"


def _is_below(path: str, route: str) -> bool:
    """Whether ``path`` is that of ``route``, whose parts in braces may be anything, or goes on behind it."""
    parts, wanted = path.split("/"), route.split("/")
    return len(parts) > len(wanted) and all(
        part == want or want.startswith("{") for part, want in zip(parts, wanted, strict=False)
    )


def _leads_astray(path: str, known: str) -> bool:
    """Whether ``path`` has the end of ``known`` in it, other than where it belongs."""
    rest = path.removeprefix(known) if path.startswith(known + "/") else path
    return known.removeprefix("/v1") + "/" in rest


def _openai_base(request: Request) -> str:
    return f"Use OpenAI's API: its base URL is {request.base_url}v1"


def _anthropic_base(request: Request) -> str:
    """Anthropic's clients add ``/v1`` themselves."""
    return f"For clients of Anthropic's API the base URL is {str(request.base_url).rstrip('/')}"
