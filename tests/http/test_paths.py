"""Paths belong together by whole segments."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from starlette.responses import Response

from qwen_app.http.paths import PathPrefixes


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/models/x", "/a/b", "/a/b/c"])
def test_what_lies_below_a_prefix(path: str) -> None:
    assert PathPrefixes(["/v1", "/a/b"]).holds(path)


@pytest.mark.parametrize("path", ["", "/", "v1", "/v1x", "/V1", "//v1", "/x/v1", "/a", "/a/bc", "/a//b"])
def test_what_only_looks_like_it(path: str) -> None:
    assert not PathPrefixes(["/v1", "/a/b"]).holds(path)


async def endpoint() -> Response:
    return Response()


def test_the_prefixes_of_routes_are_their_first_segments() -> None:
    router = APIRouter()
    for path in ("/v1/models/{name}", "/health", "/new/area/deep"):
        router.add_api_route(path, endpoint)
    prefixes = PathPrefixes.of_routes(router.routes)
    for path in ("/v1/other", "/health", "/new/thing"):
        assert prefixes.holds(path)
    assert not prefixes.holds("/")
    assert not prefixes.holds("/config")


def test_a_route_at_the_root_takes_nothing_else_along() -> None:
    router = APIRouter()
    router.add_api_route("/", endpoint)
    assert not PathPrefixes.of_routes(router.routes).holds("/config")
