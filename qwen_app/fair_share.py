"""What all visitors share, such as memory for uploads: how much of it one may hold, so that room is left for others.

Nobody may hold more than he leaves free, and a crowd counts as one: all guests together, and all browsers without a
login. Whoever takes all he can get leaves half of what he found to the next. It is the dynamic threshold of shared
buffers (Choudhury and Hahne, IEEE/ACM Transactions on Networking 6, 1998).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

GUESTS = "guest "  # how the name of each guest begins: one pair of hands may have hundreds of links
BROWSERS = "browser "  # and of each browser on a server without a login, whose cookie costs nothing
_CROWDS = (GUESTS, BROWSERS)


def is_guest(user: str) -> bool:
    """Whether ``user`` came by a guest link."""
    return user.startswith(GUESTS)


def crowd_of(user: str) -> str:
    """How all the names begin that count as one with ``user``; empty: he counts alone."""
    return next((crowd for crowd in _CROWDS if user.startswith(crowd)), "")


@dataclass(frozen=True, slots=True)
class Held:
    """What one user, all who count as one with him, and everybody hold of what is shared, in its own unit."""

    own: int
    together: int
    everybody: int


def held_by(user: str, sizes: Iterable[tuple[str, int]]) -> Held:
    """What ``user`` holds of all the ``sizes``, each with the name of who holds it."""
    own = together = everybody = 0
    crowd = crowd_of(user)
    for name, size in sizes:
        everybody += size
        own += size if name == user else 0
        together += size if name == user or (crowd and name.startswith(crowd)) else 0
    return Held(own, together, everybody)


def has_room(size: int, held: Held, in_all: int) -> bool:
    """Whether the user of ``held`` may hold ``size`` more of the ``in_all`` there are."""
    return held.together + size <= in_all - held.everybody - size
