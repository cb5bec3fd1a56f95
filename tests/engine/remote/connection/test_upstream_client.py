"""The address of the other server and the key for it, as they come from a file or the environment."""

from __future__ import annotations

import pytest

from qwen_app.engine.remote import RemoteEngine
from qwen_app.engine.remote.connection.upstream_errors import MESSAGE_LIMIT
from qwen_app.errors import SettingsError
from qwen_app.messages import Failed, Finished
from tests.engine.contract import ask, check_shape, collect
from tests.engine.remote.engines import engine_with_chat
from tests.engine.remote.fake_servers import Vllm
from tests.engine.remote.upstream import Reply, Request


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


@pytest.mark.parametrize(("key", "sent"), [("", "Basic YWRhOmh1bnRlcjI="), ("sk-1", "Bearer sk-1")])
@pytest.mark.anyio
async def test_a_password_in_the_address_is_sent_where_there_is_no_key(key: str, sent: str) -> None:
    async with Vllm().upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url.replace("//", "//ada:hunter2@"), api_key=key)
        last = check_shape(await collect(engine, ask()))
        await engine.drain(0.0)
        asked = {request.headers.get("authorization") for request in upstream.requests}
    assert isinstance(last, Finished)
    assert asked == {sent}


@pytest.mark.parametrize("model", ["", "other"])
@pytest.mark.anyio
async def test_nobody_reads_the_password_in_the_address(model: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with Vllm().upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url.replace("//", "//ada:hunter2@"), model=model)
        told = [engine.health().reason, *map(repr, await collect(engine, ask())), repr(engine.info())]
        await engine.drain(0.0)
    gone = RemoteEngine(base_url=upstream.base_url.replace("//", "//ada:hunter2@"))
    last = check_shape(await collect(gone, ask()))
    assert isinstance(last, Failed)
    told += [last.error.message, repr(gone.info()), gone.health().reason, caplog.text]
    await gone.drain(0.0)
    assert "http://127.0.0.1:" in last.error.message
    assert [text for text in told if "hunter2" in text or "ada" in text] == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1:9/v1", "http://ada:hunter2/x@127.0.0.1:9/v1", "http://h/v1?key=hunter2"]
)
def test_an_address_that_is_none_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(SettingsError, match="The address of the other server must") as refused:
        RemoteEngine(base_url=address)
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize("key", ["sk-123456", "sk-123456 of mine"])
@pytest.mark.parametrize("status", [200, 400, 401, 429])
@pytest.mark.anyio
async def test_nobody_reads_the_key_that_a_server_repeats(
    status: int, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def chat(request: Request, reply: Reply) -> None:
        await reply.json({"error": f"I do not like {request.headers['authorization']}."}, status)

    caplog.set_level("DEBUG")
    async with engine_with_chat(chat, api_key=key) as (engine, _):
        last = check_shape(await collect(engine, ask()))
    assert isinstance(last, Failed)
    assert "I do not like Bearer ***." in last.error.message
    assert "sk-123456" not in caplog.text


@pytest.mark.anyio
async def test_nobody_reads_the_beginning_of_a_key_that_a_long_message_ends_in() -> None:
    async def chat(request: Request, reply: Reply) -> None:
        await reply.json({"error": "no" * ((MESSAGE_LIMIT - 20) // 2) + request.headers["authorization"]}, 400)

    async with engine_with_chat(chat, api_key="sk-1234567890123456") as (engine, _):
        last = check_shape(await collect(engine, ask()))
    assert isinstance(last, Failed)
    assert last.error.message.endswith("noBearer ***.")
