"""Few files come in at once, one of a user, and guests never take all places."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from qwen_app.errors import TooManyRequests
from qwen_app.http.turns import AT_ONCE, GUESTS_AT_ONCE, Turnstile

pytestmark = pytest.mark.anyio


async def test_guests_who_send_slowly_leave_places_to_others() -> None:
    turnstile = Turnstile()
    async with AsyncExitStack() as reading:
        for number in range(GUESTS_AT_ONCE):
            await reading.enter_async_context(turnstile.passing(f"guest {number}"))
        with pytest.raises(TooManyRequests):
            await reading.enter_async_context(turnstile.passing("guest of one link more"))
        for number in range(AT_ONCE - GUESTS_AT_ONCE):
            await reading.enter_async_context(turnstile.passing(f"login {number}"))
        with pytest.raises(TooManyRequests):
            await reading.enter_async_context(turnstile.passing("login of one more"))
    async with turnstile.passing("guest of one link more"):
        pass
