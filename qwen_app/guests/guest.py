"""A guest, as the presenter invited one."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.fair_share import GUESTS

LIMIT_NAME_CHARS = 60


def user_of(guest_id: str) -> str:
    """See ``Guest.user``."""
    return f"{GUESTS}{guest_id}"


@dataclass(frozen=True, slots=True)
class Guest:
    """Whoever opens one guest link. ``turns`` answers may be asked for, ``turns_used`` were; times are seconds since
    1970."""

    id: str
    name: str
    turns: int
    expires_at: float
    created_at: float
    turns_used: int = 0
    revoked: bool = False

    @property
    def user(self) -> str:
        """The name that the guest's requests, answers and chats count under."""
        return user_of(self.id)

    @property
    def turns_left(self) -> int:
        return max(0, self.turns - self.turns_used)

    def is_over(self, now: float) -> bool:
        """Whether the link opens nothing any more."""
        return self.revoked or now >= self.expires_at
