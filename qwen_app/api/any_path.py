"""A piece of a path that may hold anything, line breaks included: ``{name:any}`` in a route."""

from __future__ import annotations

from starlette.convertors import PathConvertor, register_url_convertor


class AnyPath(PathConvertor):
    """Starlette's ``path`` ends at a line break: such a path would fall through to the page behind the API."""

    regex = "(?s:.*)"


def allow_any_path() -> None:
    """Make ``{name:any}`` known to routes that are added from now on."""
    register_url_convertor("any", AnyPath())
