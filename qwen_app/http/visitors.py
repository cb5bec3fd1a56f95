"""Whom a request counts for: what is kept and what runs for somebody is limited by this name. And the cookies by which
a browser is known."""

from __future__ import annotations

from itertools import islice

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope

from qwen_app.http.addresses import user_at

USER = "user"  # in the state of a request: the login's name, where there is a login
BROWSER = "browser"  # and which of its sessions: a name that says nothing
GUEST = "guest"  # the id of a guest link, which is no login
CHATS_OWNER = "chats_owner"  # whose saved chats it may read
MOST_COOKIES = 20  # looked at under one name: each is a hash or a signature to compare


def visitor_of(connection: HTTPConnection) -> str:
    """The login, the guest, or the address where there is neither: nobody chooses any of them freely."""
    if guest := guest_of(connection):
        return guest
    user: str | None = connection.scope.get("state", {}).get(USER)
    if user is not None:
        return f"login {user}"
    return f"address {user_at(connection.client.host if connection.client else '')}"


def guest_of(connection: HTTPConnection) -> str:
    """The name that a guest's requests count under; empty for everybody else."""
    guest: str = connection.scope.get("state", {}).get(GUEST, "")
    return guest


def owner_of(connection: HTTPConnection) -> str:
    """The visitor in one browser: what he opens there is no other's, not even with the same login."""
    return f"{visitor_of(connection)} {connection.scope.get('state', {}).get(BROWSER, '')}"


def chats_owner_of(connection: HTTPConnection) -> str:
    """Whose saved chats a request may read: the login's, else the browser's; empty where it says neither."""
    owner: str = connection.scope.get("state", {}).get(CHATS_OWNER, "")
    return owner


def cookies_named(name: str, scope: Scope) -> list[str]:
    """The values of the first MOST_COOKIES called ``name``, as they were sent; other pages of our host may set some."""
    lines = Headers(scope=scope).getlist("cookie")
    pairs = (pair.strip().partition("=") for line in lines for pair in line.split(";"))
    return list(islice((value for called, _, value in pairs if called == name), MOST_COOKIES))
