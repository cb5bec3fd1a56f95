"""Paths and methods the API does not have: answered here, so that they never fall through to the page behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute

from qwen_app.api.misplaced import Misplaced

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


class AnyPath(PathConvertor):
    """Starlette's ``path`` ends at a line break: such a path would fall through to the page behind the API."""

    regex = "(?s:.*)"


def allow_any_path() -> None:
    """Make ``{name:any}``, which holds anything, known to routes that are added from now on."""
    register_url_convertor("any", AnyPath())


class Unmatched:
    """404 for unknown paths, 405 with ``Allow`` for the wrong method on a path of ``routes``."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = [route for route in routes if isinstance(route, APIRoute)]
        self._misplaced = Misplaced(route.path for route in self._routes if route.include_in_schema)

    def add_to(self, router: APIRouter) -> None:
        """Put what is answered here behind all routes of ``router``."""
        own = {route.path for route in self._routes if not route.path.startswith("/v1/")}
        for path in (*sorted(own), "/v1", "/v1/{rest:any}"):
            router.add_api_route(path, self.refuse, methods=METHODS, include_in_schema=False)
        for path in self._misplaced.places():
            for place in {path, f"{path}/{{rest:any}}"} - own:
                router.add_api_route(place, self._misplaced.refuse, methods=METHODS, include_in_schema=False)

    async def refuse(self, request: Request) -> Response:
        """Raises the 405 or 404 that fits."""
        path = request.url.path
        taken = {method for route in self._routes if _leads(route, path) for method in route.methods or ()}
        allowed = sorted(taken | ({"HEAD"} if "GET" in taken else set()))
        if allowed:
            raise HTTPException(405, f"{path} takes {' and '.join(allowed)} only.", {"allow": ", ".join(allowed)})
        hint = self._misplaced.hint(request) or f"There is nothing at {path}. The API's paths are listed at /v1/docs."
        raise HTTPException(404, hint)


def _leads(route: APIRoute, path: str) -> bool:
    return re.match(route.path_regex, path) is not None
