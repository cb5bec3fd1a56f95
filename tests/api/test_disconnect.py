"""A client that leaves takes its request with it: within two tokens, streaming or not, running or waiting."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.serving import reset, running_api, send_chat, wait_for

ENDLESS = Script(("word ",) * 5000, token_s=0.02)


@pytest.mark.parametrize("fields", [{"stream": True}, {"stream": False}, {"stream": True, "n": 3}, {"n": 3}])
@pytest.mark.parametrize("leave", [reset, socket.socket.close])
def test_running_request_stops(fields: dict[str, object], leave: Callable[[socket.socket], None]) -> None:
    engine = ScriptedEngine(ENDLESS)
    with running_api(engine) as api:
        connection = send_chat(api, **fields)
        wait_for(lambda: engine.tokens_made > 5)
        leave(connection)
        wait_for(lambda: api.service.health().running == 0)
        made = engine.tokens_made
        time.sleep(0.2)
        assert engine.tokens_made == made
        assert engine.cancelled == fields.get("n", 1)
        assert api.chat(max_tokens=2).status_code == 200


def test_it_stops_within_two_tokens() -> None:
    engine = ScriptedEngine(Script(("word ",) * 100, token_s=0.25))
    with running_api(engine) as api:
        connection = send_chat(api, stream=True)
        wait_for(lambda: engine.tokens_made == 2)
        reset(connection)
        wait_for(lambda: api.service.health().running == 0)
    assert engine.tokens_made <= 4


def test_waiting_request_never_starts() -> None:
    engine = ScriptedEngine(ENDLESS, slots=1)
    with running_api(engine) as api:
        running = send_chat(api, stream=True)
        wait_for(lambda: api.service.health().running == 1)
        waiting = [send_chat(api, stream=stream) for stream in (True, False)]
        wait_for(lambda: api.service.health().queued == 2)
        for connection in waiting:
            reset(connection)
        wait_for(lambda: api.service.health().queued == 0)
        reset(running)
        wait_for(lambda: api.service.health().running == 0)
    assert len(engine.requests) == 3
    assert engine.cancelled == 3


@pytest.mark.slow
def test_many_leave_at_once_and_no_slot_is_lost() -> None:
    engine = ScriptedEngine(Script(("word ",) * 500, token_s=0.005), slots=4)
    with running_api(engine) as api:
        for _ in range(5):
            connections = [send_chat(api, stream=index % 2 == 0) for index in range(10)]
            wait_for(lambda: api.service.health().running == 4)
            for connection in connections:
                reset(connection)
            wait_for(lambda: api.service.health().running + api.service.health().queued == 0)
        assert api.chat(max_tokens=3).status_code == 200
        metrics = api.request("GET", "/metrics").text
    assert "qwen_running 0.0" in metrics


def test_a_second_request_on_the_same_connection_is_answered() -> None:
    engine = ScriptedEngine()
    with running_api(engine) as api:
        for stream in (True, False, True):
            assert api.chat(stream=stream).status_code == 200
    assert engine.cancelled == 0


def test_slow_reader_disturbs_nobody() -> None:
    engine = ScriptedEngine(Script(("x" * 2000,) * 2000), slots=2)
    with running_api(engine) as api:
        slow = send_chat(api, stream=True)
        done = threading.Event()

        def ask_beside() -> None:
            api.chat(max_tokens=50)
            done.set()

        others = threading.Thread(target=ask_beside)
        others.start()
        others.join(20)
        assert done.is_set()
        assert engine.tokens_made < 2050
        reset(slow)
        wait_for(lambda: api.service.health().running == 0)
