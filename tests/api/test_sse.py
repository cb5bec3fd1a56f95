"""Event streams: comments while waiting, readers that stall, and a close that always runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest

from qwen_app.api.protocol.sse import PING, ClientGone, EventStream, run_beside

pytestmark = pytest.mark.anyio

SCOPE = {"type": "http"}


class Client:
    """Takes what is sent; ``stalls_after`` messages it takes no more."""

    def __init__(self, stalls_after: int | None = None) -> None:
        self.bodies: list[bytes] = []
        self.gone = asyncio.Event()
        self._stalls_after = stalls_after

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            if self._stalls_after is not None and len(self.bodies) >= self._stalls_after:
                await asyncio.Event().wait()
            self.bodies.append(message["body"])


class Closing:
    """Counts closes, and cancellations of the chunks."""

    def __init__(self) -> None:
        self.closes = 0
        self.cancelled = False

    async def aclose(self) -> None:
        self.closes += 1

    async def chunks(self, *waits_s: float) -> AsyncGenerator[bytes, None]:
        try:
            for wait_s in waits_s:
                await asyncio.sleep(wait_s)
                yield b"chunk"
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled = True
            raise


async def stream(client: Client, closing: Closing, *waits_s: float, **options: float) -> None:
    response = EventStream(closing.chunks(*waits_s), closing.aclose, **options)
    await asyncio.wait_for(response(SCOPE, client.receive, client.send), 20)


async def test_all_is_sent_in_order_and_closed() -> None:
    client, closing = Client(), Closing()
    await stream(client, closing, 0, 0, 0)
    assert client.bodies == [b"chunk"] * 3 + [b""]
    assert (closing.closes, closing.cancelled) == (1, False)


async def test_comments_fill_the_wait() -> None:
    client, closing = Client(), Closing()
    await stream(client, closing, 0, 0.5, ping_interval_s=0.05)
    assert client.bodies[0] == client.bodies[-2] == b"chunk"
    assert set(client.bodies[1:-2]) == {PING}


async def test_no_comments_while_chunks_come() -> None:
    client, closing = Client(), Closing()
    await stream(client, closing, *[0.01] * 20, ping_interval_s=5)
    assert PING not in client.bodies


async def test_a_client_that_leaves_cancels_the_chunks() -> None:
    client, closing = Client(), Closing()
    asyncio.get_running_loop().call_later(0.05, client.gone.set)
    await stream(client, closing, 0, 60)
    assert client.bodies == [b"chunk"]
    assert (closing.closes, closing.cancelled) == (1, True)


@pytest.mark.slow
async def test_a_reader_that_stalls_is_dropped() -> None:
    client, closing = Client(stalls_after=2), Closing()
    await stream(client, closing, 0, 0, 0, 0, stall_limit_s=0.1)
    assert len(client.bodies) == 2
    assert closing.closes == 1


@pytest.mark.slow
async def test_a_reader_that_stalls_while_nothing_comes_is_dropped() -> None:
    client, closing = Client(stalls_after=1), Closing()
    await stream(client, closing, 0, 10, ping_interval_s=0.05, stall_limit_s=0.1)
    assert len(client.bodies) == 1
    assert closing.closes == 1


async def test_it_closes_even_when_nothing_can_be_sent() -> None:
    closing = Closing()

    async def send(message: Any) -> None:
        raise OSError("broken pipe")

    response = EventStream(closing.chunks(0), closing.aclose)
    with pytest.raises(OSError, match="broken pipe"):
        await response(SCOPE, Client().receive, send)
    assert closing.closes == 1


async def test_an_error_beside_guards_keeps_its_kind() -> None:
    async def fail() -> None:
        raise KeyError("x")

    async def guard() -> None:
        await asyncio.sleep(60)

    with pytest.raises(KeyError):
        await run_beside(fail(), guard())


async def test_a_guard_that_raises_cancels_the_work() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    async def guard() -> None:
        raise ClientGone

    with pytest.raises(ClientGone):
        await run_beside(work(), guard())
    assert cancelled.is_set()


async def test_cancelling_from_outside_is_no_disconnect() -> None:
    def sleep() -> Coroutine[Any, Any, None]:
        return asyncio.sleep(60)

    task = asyncio.create_task(run_beside(sleep(), sleep()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
