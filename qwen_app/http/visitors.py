"""Whom a request counts for: what is kept and what runs for somebody is limited by this name."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from qwen_app.http.addresses import user_at

USER = "user"  # in the state of a request: the login's name, where there is a login
BROWSER = "browser"  # and which of its sessions: a name that says nothing


def visitor_of(connection: HTTPConnection) -> str:
    """The login, or the address where there is none: nobody chooses either of them freely."""
    user: str | None = connection.scope.get("state", {}).get(USER)
    if user is not None:
        return f"login {user}"
    return f"address {user_at(connection.client.host if connection.client else '')}"


def owner_of(connection: HTTPConnection) -> str:
    """The visitor in one browser: what he opens there is no other's, not even with the same login."""
    return f"{visitor_of(connection)} {connection.scope.get('state', {}).get(BROWSER, '')}"
