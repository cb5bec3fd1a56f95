"""Long conversations are converted while the event loop goes on."""

from __future__ import annotations

import threading

import pytest

from qwen_app.api.protocol.long_lists import SHORT, converted
from qwen_app.errors import RequestError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("length", [1, SHORT])
async def test_short_ones_are_converted_at_once(length: int) -> None:
    assert await converted(length, threading.get_ident) == threading.get_ident()


async def test_long_ones_are_converted_beside_the_loop() -> None:
    assert await converted(SHORT + 1, threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize("length", [SHORT, SHORT + 1])
async def test_a_refusal_is_the_same_from_both(length: int) -> None:
    def refuse(param: str) -> None:
        raise RequestError("It cannot be read.", param=param)

    with pytest.raises(RequestError) as refused:
        await converted(length, refuse, param="messages[3]")
    assert refused.value.param == "messages[3]"
