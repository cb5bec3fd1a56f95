"""What a request says of itself: the host it was sent to, and the origin of the page that sent it."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import Scope

_HOST = re.compile(r"(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.IGNORECASE | re.ASCII)
_PORTS = {"http": ":80", "https": ":443"}


def host_line(scope: Scope) -> str | None:
    """The request's ``Host``; None unless there is exactly one line, of the form ``host`` or ``host:port``."""
    lines = Headers(scope=scope).getlist("host")
    return lines[0] if len(lines) == 1 and _HOST.fullmatch(lines[0]) else None


def origin_of(url: str) -> str:
    """``url``, which is scheme, host and port, in lower case and without the scheme's own port."""
    text = url.strip().lower().rstrip("/")
    return text.removesuffix(_PORTS.get(text.partition("://")[0], "\0"))


def own_origin(scope: Scope) -> str:
    """The origin that a page of this server has for who sent the request."""
    return origin_of(f"{scope.get('scheme', 'http')}://{host_line(scope) or ''}")


def is_foreign(scope: Scope, allowed: frozenset[str] = frozenset()) -> bool:
    """Whether a page of another origin sent the request. Programs name no origin; ``allowed`` are welcome.

    ``Sec-Fetch-Site`` cannot be set by a page. A browser that says "same-origin" by it may name https where we see
    http: the connection is secured by somebody before us.
    """
    headers = Headers(scope=scope)
    origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
    if len(origins) == 1 and origin_of(origins[0]) in allowed:
        return False
    if len(origins) > 1 or any(site not in ("same-origin", "none") for site in sites):
        return True
    if not origins or origin_of(origins[0]) == own_origin(scope):
        return False
    secured = sites == ["same-origin"] and origins[0].startswith("https://")
    return not (secured and host_line(scope) and origin_of(origins[0]) == origin_of(f"https://{host_line(scope)}"))
