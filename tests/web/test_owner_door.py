"""The owner's socket: who is logged in, ended, invited; and the page's side of it on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from qwen_app.web.owner_door import ELSEWHERE, OwnerDoor, ask, main
from qwen_app.web.sessions import Sessions
from tests.attacks.walled_server import walled

URL = "http://127.0.0.1:7860"


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[OwnerDoor, None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "owner.sock").write_text("left by a process that was killed")
    async with OwnerDoor(Sessions(), URL, frozenset({"ada"})) as opened:
        yield opened


@pytest.mark.anyio
async def test_the_command_lists_ends_and_links(door: OwnerDoor, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(main, []) == 0
    assert "Nobody is logged in." in capsys.readouterr().out
    token = door.sessions.token("ada", "203.0.113.7")
    assert await asyncio.to_thread(main, []) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["id", "user", "from"]
    assert row.split()[1:3] == ["ada", "203.0.113.7"]
    assert await asyncio.to_thread(main, ["end", row.split()[0]]) == 0
    assert "Sessions ended: 1." in capsys.readouterr().out
    assert door.sessions.user(token) is None
    assert await asyncio.to_thread(main, ["link", "ada"]) == 0
    said = capsys.readouterr()
    link = said.out.strip()
    assert ELSEWHERE in said.err
    assert link.startswith(f"{URL}/login#")
    assert door.sessions.redeem(link.partition("#")[2]) == "ada"
    assert await asyncio.to_thread(main, ["link", "eve"]) == 1
    assert await asyncio.to_thread(main, ["what"]) == 2


@pytest.mark.anyio
async def test_the_socket_is_its_owners(door: OwnerDoor) -> None:
    assert stat.filemode(os.stat("run/owner.sock").st_mode) == "srw-------"


@pytest.mark.anyio
@pytest.mark.parametrize("line", [b"nonsense\n", b"[" * 900 + b"\n", b"x" * 5000 + b"\n", b"{}\n", b"1\n", b"\n"])
async def test_nonsense_leaves_the_door_open(door: OwnerDoor, line: bytes) -> None:
    def send() -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect("run/owner.sock")
            connection.sendall(line)
            try:
                return connection.recv(1000)
            except ConnectionResetError:
                return b""

    answer = await asyncio.to_thread(send)
    assert answer == b"" or "problem" in json.loads(answer)
    assert await asyncio.to_thread(ask, {"do": "list"}) == []


@pytest.mark.anyio
async def test_where_no_socket_can_be_made_there_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with OwnerDoor(Sessions(), URL, frozenset(), Path("/proc/nowhere/owner.sock")):
        assert "sessions does not work" in caplog.text


def test_a_link_logs_in_once_and_an_ended_session_is_cut_off() -> None:
    sessions = Sessions()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """Streams a letter and never ends, but for /end, which ends all of ada's."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        if scope["path"] != "/end":
            await asyncio.Event().wait()
        sessions.end_named("ada")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    with walled(app, sessions=sessions, auth="ada:secret,bob:other") as server, ExitStack() as stack:
        ada, bob = (stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, verify=False)) for _ in "ab")
        key = {"key": sessions.invite("ada")}
        assert ada.post("/login", data=key).status_code == 200
        assert bob.post("/login", data={"username": "bob", "password": "other"}).status_code == 200
        with ada.stream("GET", "/") as answer:
            parts = answer.iter_raw()
            assert next(parts) == b"a"
            assert bob.get("/end").text == "a"
            assert list(parts) == []
        assert ada.get("/").status_code == 401
        assert ada.post("/login", data=key).status_code == 401
