"""The two doors behind the wall: logins, where there are any, and guests, who are kept to a site of their own."""

from __future__ import annotations

from starlette.types import ASGIApp

from qwen_app.settings import Settings
from qwen_app.web.attempts import Attempts
from qwen_app.web.guests.guest_door import GuestDoor
from qwen_app.web.guests.guest_wall import GuestWall
from qwen_app.web.login import LoginWall
from qwen_app.web.passwords import Passwords
from qwen_app.web.sessions import Sessions


def behind_doors(
    app: ASGIApp,
    settings: Settings,
    sessions: Sessions | None,
    guests: GuestDoor | None,
    passwords: Passwords | None,
) -> ASGIApp:
    """``app`` behind both. With no login in the settings of a server that strangers reach, nobody comes in."""
    door = guests or GuestDoor()  # one that is never opened knows nobody
    kept: ASGIApp = GuestWall(app, door=door)
    if settings.is_local():
        return kept
    known = passwords or Passwords(settings.logins())
    return LoginWall(kept, passwords=known, sessions=sessions or Sessions(), attempts=Attempts(), guests=door)
