"""Sets of URL paths, compared by whole segments: ``/v1`` holds ``/v1/models`` and not ``/v1x``."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute


class PathPrefixes:
    """All paths that start with one of ``prefixes``, segment by segment."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self._prefixes = {tuple(prefix.strip("/").split("/")) for prefix in prefixes}
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})

    @classmethod
    def of_routes(cls, routes: Iterable[BaseRoute]) -> PathPrefixes:
        """Every path below the first segment of one of ``routes``. A route at ``/`` itself has no segment."""
        paths = (str(getattr(route, "path", "")) for route in routes)
        return cls({segments[0] for path in paths if (segments := path.strip("/").split("/"))[0]})

    def also(self, *prefixes: str) -> PathPrefixes:
        """The set with more prefixes."""
        return PathPrefixes(["/".join(prefix) for prefix in self._prefixes] + list(prefixes))

    def holds(self, path: str) -> bool:
        """Whether ``path``, which starts with a slash, lies in the set."""
        if not path.startswith("/"):
            return False
        segments = tuple(path[1:].split("/"))
        return any(segments[:length] in self._prefixes for length in self._lengths)


# The API's paths by their first segment, known before the API is built; a test holds them equal to its routes.
_WRONG_BASES = (  # where clients with a wrong base URL ask: the API tells them the right one
    *("/api", "/audio", "/chat", "/completions", "/embeddings", "/images", "/messages", "/models", "/moderations"),
    *("/files", "/rerank", "/responses", "/vector_stores"),
    *("/V1", "/compatible-mode", "/engines", "/inference", "/openai", "/v1beta"),
)
API_PATHS = PathPrefixes(["/v1", "/health", "/ready", "/metrics", "/tokenize", "/detokenize", *_WRONG_BASES])
# The page's and Gradio's, by their first segment; a test holds them, too, equal to the routes there are.
PAGE_PATHS = PathPrefixes(
    [
        *("/assets", "/config", "/favicon.ico", "/gradio_api", "/monitoring", "/pwa_icon", "/robots.txt", "/static"),
        *("/svelte", "/theme.css", "/dev", "/chats", "/g", "/guest", "/icon.png", "/icon.svg", "/login", "/logout"),
        *("/manifest.json", "/presenter", "/s", "/status", "/uploads"),
    ]
)
PROBES = frozenset(["/health", "/ready"])  # what load balancers ask, under any name
