"""The key for the other server, as it comes from a file or the environment."""

from __future__ import annotations

import pytest

from qwen_app.engine.remote import RemoteEngine
from qwen_app.errors import SettingsError
from qwen_app.messages import Finished
from tests.engine.contract import ask, check_shape, collect
from tests.engine.remote.fake_servers import Vllm


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        ("sk-1", {"Bearer sk-1"}),
        (" sk-1\r\n", {"Bearer sk-1"}),
        ("\tsk 1\n", {"Bearer sk 1"}),
        ("", {None, "Bearer none"}),
        (" \n", {None, "Bearer none"}),
    ],
)
@pytest.mark.anyio
async def test_a_key_is_sent_without_the_blanks_and_line_breaks_around_it(key: str, sent: set[str | None]) -> None:
    async with Vllm().upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url, api_key=key)
        last = check_shape(await collect(engine, ask()))
        await engine.drain(0.0)
        asked = {request.headers.get("authorization") for request in upstream.requests}
    assert isinstance(last, Finished)
    assert asked == sent


@pytest.mark.parametrize("key", ["clé", "钥匙", "sk\r\nX-Other: 1", "sk\n1", "sk\x00", "\ufeffsk", "“sk”", "sk\u200b"])
def test_a_key_that_no_header_carries_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(SettingsError, match="QWEN_API_KEY") as refused:
        RemoteEngine(base_url="http://127.0.0.1:9/v1", api_key=key)
    assert key not in refused.value.message
