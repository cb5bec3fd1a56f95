from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx
import pytest

from qwen_app.errors import TooManyRequests
from qwen_app.messages import GenerationRequest, Message
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.web.status.live_status import MOST_OF_ONE, LiveStatus, StatusSample
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def answer(service: Service) -> None:
    request = GenerationRequest("1", (Message("user", "Hi"),), sampling=service.sampling(), user="ada")
    async with aclosing(service.generate(request)) as events:
        async for _ in events:
            pass


async def newest(samples: AsyncGenerator[tuple[StatusSample, ...], None]) -> StatusSample:
    return (await anext(samples))[-1]


async def test_a_sample_counts_what_was_written_since_the_last() -> None:
    service, clock = Service(ScriptedEngine(lambda _: Script(text=("a ", "b ", "c ")))), Clock()
    status = LiveStatus(service, clock)
    await answer(service)
    clock.now_s += 2
    await status.sample()
    clock.now_s += 1
    await status.sample()
    first, second = status.samples
    assert first.tokens_per_s == 1.5
    assert first.first_token_s == 0
    assert first.memory_bytes > 0
    assert (second.tokens_per_s, second.first_token_s, second.reused_share) == (0, None, None)


async def test_all_who_watch_get_the_same_samples_and_are_counted_once() -> None:
    status = LiveStatus(Service(ScriptedEngine()))
    await status.sample()
    async with (
        aclosing(status.watch("ada")) as ada,
        aclosing(status.watch("ada")) as tab,
        aclosing(status.watch("bo")) as bo,
    ):
        assert len(await anext(ada)) == len(await anext(tab)) == len(await anext(bo)) == 1
        await status.sample()
        assert status.samples[-1].users == 2
    await status.sample()
    assert status.samples[-1].users == 0


async def test_one_visitor_cannot_take_all_the_places() -> None:
    status = LiveStatus(Service(ScriptedEngine()))
    open_streams = [status.watch("ada") for _ in range(MOST_OF_ONE)]
    for stream in open_streams:
        await anext(stream)
    with pytest.raises(TooManyRequests):
        await anext(status.watch("ada"))
    await anext(status.watch("bo"))
    await open_streams[0].aclose()
    await anext(status.watch("ada"))


async def test_the_route_streams_and_is_no_other_sites_business() -> None:
    with running_page(ScriptedEngine()) as url:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            async with client.stream("GET", f"{url}/status/stream") as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                samples: list[dict[str, object]] = []
                async for line in stream.aiter_lines():
                    samples += json.loads(line.removeprefix("data: ")) if line else []
                    if samples:
                        break
                assert samples[-1]["users"] == 1
            refused = await client.get(f"{url}/status/stream", headers={"origin": "https://other.example"})
            assert refused.status_code == 403
