"""RemoteEngine when the server breaks, lies, stalls or is not there."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from qwen_app.engine.remote import RemoteEngine
from qwen_app.errors import EngineUnavailable, RequestError, TooManyRequests, UpstreamError
from qwen_app.messages import Delta, Failed, Finished, Queued, Tool, ToolCallDelta
from tests.engine.contract import PATIENCE_S, ask, check_shape, collect, text_of, until_text
from tests.engine.remote.engines import CHAT, engine_with_chat, says
from tests.engine.remote.fake_servers import Ollama
from tests.engine.remote.upstream import Handler, Reply, Request, Upstream
from tests.engine.remote.vllm_like import VllmLike, piece


async def outcome(chat: Handler) -> tuple[Finished | Failed, str, int]:
    """How an answer ends, its text, and how often the server was asked for it."""
    async with engine_with_chat(chat) as (engine, upstream):
        events = await collect(engine, ask())
        return check_shape(events), text_of(events), len(upstream.requests_to(CHAT))


async def hung_up(upstream: Upstream) -> None:
    """Waits until the server notices that its client is gone, in its own time."""
    async with asyncio.timeout(PATIENCE_S):
        while not upstream.hang_ups:  # noqa: ASYNC110 (there is no event for it)
            await asyncio.sleep(0.01)


def refuses(status: int, body: object, times: int = 100, **headers: str) -> Handler:
    """Refuses ``times`` times, then answers."""
    left = [times]

    async def chat(request: Request, reply: Reply) -> None:
        left[0] -= 1
        if left[0] >= 0:
            await reply.json(body, status, **headers)
        else:
            await says(piece("ok"), piece("", finish="stop"), "[DONE]")(request, reply)

    return chat


@pytest.mark.parametrize("way", ["reset", "end"])
@pytest.mark.anyio
async def test_death_in_mid_answer_keeps_the_text(way: str) -> None:
    last, text, requests = await outcome(says(piece("Once "), piece("upon"), before_end=way))
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert last.partial_text == text == "Once upon"
    assert requests == 1


@pytest.mark.anyio
async def test_death_before_the_first_word_is_tried_again() -> None:
    lives = [0]

    async def chat(request: Request, reply: Reply) -> None:
        lives[0] += 1
        if lives[0] < 3:
            await reply.stream()
            reply.abort()
        else:
            await says(piece("Alive"), piece("", finish="stop"))(request, reply)

    last, text, requests = await outcome(chat)
    assert isinstance(last, Finished)
    assert (text, requests) == ("Alive", 3)


@pytest.mark.anyio
async def test_tries_end() -> None:
    last, _, requests = await outcome(says(before_end="reset"))
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert requests == 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.anyio
async def test_a_busy_server_is_asked_again(status: int) -> None:
    last, text, requests = await outcome(refuses(status, {"error": "busy"}, times=1, retry_after="0"))
    assert isinstance(last, Finished)
    assert (text, requests) == ("ok", 2)


@pytest.mark.anyio
async def test_a_long_retry_after_is_passed_on_instead() -> None:
    last, _, requests = await outcome(refuses(429, {"error": {"message": "slow down"}}, retry_after="30"))
    assert isinstance(last, Failed)
    assert isinstance(last.error, TooManyRequests)
    assert last.error.retry_after_s == 30
    assert last.error.message.endswith("says: slow down. Try again in 30 seconds.")
    assert requests == 1


@pytest.mark.parametrize("status", [400, 404, 422, 500])
@pytest.mark.anyio
async def test_a_refusal_for_good_is_not_repeated(status: int) -> None:
    last, _, requests = await outcome(refuses(status, {"error": {"message": "no such thing"}}))
    assert isinstance(last, Failed)
    assert isinstance(last.error, RequestError if status in (400, 422) else UpstreamError)
    assert "no such thing" in last.error.message
    assert requests == 1


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "the reason", "type": "x", "param": None, "code": 400}},
        {"error": "the reason"},
        {"error": "the reason", "error_type": "validation"},
        {"object": "error", "message": "the reason", "type": "400", "code": 400},
        {"detail": "the reason"},
        {"detail": [{"loc": ["body", "x"], "msg": "the reason", "type": "value_error"}]},
        {"message": "the reason"},
        "the reason",
    ],
    ids=["nested", "string", "tgi", "flat", "detail", "detail-list", "message", "text"],
)
@pytest.mark.anyio
async def test_every_error_shape_gives_its_reason(body: object) -> None:
    last, _, _ = await outcome(refuses(400, body))
    assert isinstance(last, Failed)
    assert isinstance(last.error, RequestError)
    assert "the reason" in last.error.message


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (b"<html><head><title>502 Bad Gateway</title></head><h1>nginx</h1></html>", "says: 502 Bad Gateway."),
        (b"<!DOCTYPE html>\n<H1 class=x>Bad <b>\nGateway</b></H1>", "says: Bad Gateway."),
        (b"<title> </title><h1>Gone</h1>", "says: Gone."),
        (b"<html></html>", "says: a page of HTML."),
        (b"<h1>" + b" " * 9_000 + b"x", "says: a page of HTML."),
        (b"", "says: HTTP 500, and no reason given."),
    ],
    ids=["title", "headline", "empty-title", "neither", "blanks-without-an-end", "nothing"],
)
async def test_an_error_page_is_told_by_what_a_reader_sees_of_it(page: bytes, sentence: str) -> None:
    last, _, _ = await outcome(answers(page, "text/html", 500))
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert last.error.message.endswith(sentence)


@pytest.mark.parametrize("path", ["GET /v1/models", f"POST {CHAT}"])
@pytest.mark.parametrize("location", ["https://ada:hunter2@there.example/v2{}?key=hunter2", "//there.example/v2{}/"])
@pytest.mark.anyio
async def test_a_server_that_sends_requests_on_says_which_address_to_set(path: str, location: str) -> None:
    async def elsewhere(request: Request, reply: Reply) -> None:
        await reply.raw(b"", 308, location=location.format(request.path.removeprefix("/v1")))

    async with engine_with_chat(says()) as (engine, upstream):
        upstream.routes[path] = elsewhere
        last = check_shape(await collect(engine, ask()))
    assert isinstance(last, Failed)
    assert last.error.message.endswith("://there.example/v2: set --base-url to that.")
    assert "hunter2" not in last.error.message


@pytest.mark.parametrize(
    ("come", "requests", "seconds"),
    [("Wed, 21 Oct 2015 07:28:40 GMT", 1, 40.0), ("Wed, 21 Oct 2015 07:20:00 GMT", 3, 0.0), ("soon", 3, 0.0)],
)
@pytest.mark.anyio
async def test_a_date_to_come_again_at_is_heeded_by_the_server_s_clock(
    come: str, requests: int, seconds: float
) -> None:
    sent = "Wed, 21 Oct 2015 07:28:00 GMT"
    last, _, asked = await outcome(refuses(429, {"error": "slow down"}, retry_after=come, date=sent))
    assert isinstance(last, Failed)
    assert isinstance(last.error, TooManyRequests)
    assert (last.error.retry_after_s or 0.0) >= seconds
    assert asked == requests


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "out of memory", "type": "server_error", "param": None, "code": None}},
        {"error": "out of memory"},
        {"object": "error", "message": "out of memory", "type": "500", "code": 500},
        {"code": "InternalError", "message": "out of memory", "request_id": "7"},
        {"error_code": 336100, "error_msg": "out of memory", "id": "7"},
        piece("", finish="error", error={"code": 500, "message": "out of memory"}),
    ],
    ids=["nested", "string", "flat", "bare", "prefixed", "choice"],
)
@pytest.mark.parametrize("before", ["Once", ""])
@pytest.mark.anyio
async def test_an_error_inside_the_stream(event: dict[str, Any], before: str) -> None:
    last, _, requests = await outcome(says(piece(before), event, "[DONE]"))
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert "out of memory" in last.error.message
    assert last.partial_text == before
    assert requests == 1


@pytest.mark.anyio
async def test_word_of_a_queue_inside_the_stream_is_no_error() -> None:
    waiting = {"status": "queued", "message": "You are third."}
    last, text, _ = await outcome(says(waiting, piece("Once"), piece("", finish="stop"), "[DONE]"))
    assert isinstance(last, Finished)
    assert text == "Once"


def answers(body: object, kind: str = "application/json", status: int = 200) -> Handler:
    """One document in the place of a stream."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def chat(request: Request, reply: Reply) -> None:
        await reply.raw(content, status, kind)

    return chat


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "text/event-stream", "text/html"]
)
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": {"message": "the reason", "type": "insufficient_quota", "code": "Arrearage"}}, UpstreamError),
        ({"error": {"message": "the reason", "code": 400}}, RequestError),
        ([{"error": {"message": "the reason", "code": 400, "status": "INVALID_ARGUMENT"}}], RequestError),
        ({"code": 401, "msg": "the reason"}, UpstreamError),
        ({"choices": [], "message": "the reason"}, UpstreamError),
    ],
    ids=["nested", "status", "list", "flat", "no-choices"],
)
@pytest.mark.anyio
async def test_an_error_that_comes_as_an_answer_gives_its_reason_and_is_not_repeated(
    body: object, error: type[Exception], kind: str
) -> None:
    last, _, requests = await outcome(answers(body, kind))
    assert isinstance(last, Failed)
    assert isinstance(last.error, error)
    assert "the reason" in last.error.message
    assert requests == 1


@pytest.mark.parametrize("error", [{"code": 503}, {"code": "429"}, {"type": "overloaded_error"}])
@pytest.mark.anyio
async def test_a_busy_server_that_says_so_in_an_answer_is_asked_again(error: dict[str, object]) -> None:
    last, text, requests = await outcome(refuses(200, {"error": {"message": "busy", **error}}, times=1))
    assert isinstance(last, Finished)
    assert (text, requests) == ("ok", 2)


@pytest.mark.parametrize("content", [b"<!doctype html><title>Log in</title>", b"Welcome", b""])
@pytest.mark.anyio
async def test_a_page_in_the_place_of_an_answer_is_named_and_not_asked_for_again(content: bytes) -> None:
    last, _, requests = await outcome(answers(content, "text/html; charset=utf-8"))
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert "It answered with text/html and" in last.error.message
    assert requests == 1


@pytest.mark.parametrize("content", [b'{"choices": [', b"{'single': 'quotes'}", b"[" * 200_000])
@pytest.mark.anyio
async def test_a_document_that_is_no_json_is_a_failure(content: bytes) -> None:
    last, _, requests = await outcome(answers(content))
    assert isinstance(last, Failed)
    assert "not JSON" in last.error.message
    assert requests == 1


@pytest.mark.anyio
async def test_a_whole_answer_is_one() -> None:
    token = {"token": "Yes", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    call = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Yes", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "logprobs": {"content": [token]}, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    chat = answers({"object": "chat.completion", "choices": [choice], "usage": usage})
    async with engine_with_chat(chat) as (engine, upstream):
        events = await collect(engine, ask())
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert (last.reason, text_of(events)) == ("tool_calls", "Yes")
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (3, 2)
    assert [one.text for event in events if isinstance(event, Delta) for one in event.logprobs] == ["Yes"]
    (found,) = [event for event in events if isinstance(event, ToolCallDelta)]
    assert (found.id, found.name, found.arguments) == ("c1", "clock", "{}")
    assert len(upstream.requests_to(CHAT)) == 1


@pytest.mark.parametrize("word", ["null", "None", "", None])
@pytest.mark.anyio
async def test_a_whole_answer_has_ended_whatever_is_said_of_its_end(word: str | None) -> None:
    last, text, requests = await outcome(answers({"choices": [{"message": {"content": "Yes"}, "finish_reason": word}]}))
    assert isinstance(last, Finished)
    assert (last.reason, text, requests) == ("stop", "Yes", 1)


@pytest.mark.anyio
async def test_a_whole_plain_completion_is_one() -> None:
    async with engine_with_chat(says()) as (engine, upstream):
        choice = {"index": 0, "text": " on a time", "logprobs": None, "finish_reason": "length"}
        upstream.routes["POST /v1/completions"] = answers({"object": "text_completion", "choices": [choice]})
        events = await collect(engine, ask(messages=(), prompt="Once upon"))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert (last.reason, text_of(events)) == ("length", " on a time")


@pytest.mark.parametrize("data", ['{"message": "the reason", "code": "X"}', "the reason"])
@pytest.mark.parametrize("fields", ["event: error\ndata: ", "error: "], ids=["event", "field"])
@pytest.mark.anyio
async def test_an_event_called_error_is_one(fields: str, data: str) -> None:
    async def chat(request: Request, reply: Reply) -> None:
        await reply.stream()
        await reply.piece(f"{fields}{data}\n\n".encode())
        await reply.end()

    last, _, requests = await outcome(chat)
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert "says: the reason." in last.error.message
    assert requests == 1


@pytest.mark.parametrize("junk", ['{"error": "a "quote" unescaped"}', "not json", "[1, 2]", '{"choices": 5}', '"text"'])
@pytest.mark.anyio
async def test_junk_in_the_stream(junk: str) -> None:
    last, _, _ = await outcome(says(piece("Once"), junk))
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert last.partial_text == "Once"


@pytest.mark.parametrize("ending", [{"before_end": "reset"}, {"before_end": "end"}])
@pytest.mark.anyio
async def test_no_done_is_no_fault(ending: dict[str, str]) -> None:
    last, text, _ = await outcome(says(piece("Yes"), piece("", finish="stop"), **ending))
    assert isinstance(last, Finished)
    assert (last.reason, text) == ("stop", "Yes")


@pytest.mark.anyio
async def test_a_stream_that_stays_open_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwen_app.engine.remote.upstream_answer.AFTER_FINISH_S", 0.05)
    last, text, _ = await outcome(says(piece("Yes"), piece("", finish="stop"), before_end="hang"))
    assert isinstance(last, Finished)
    assert text == "Yes"


@pytest.mark.anyio
@pytest.mark.parametrize("told", [{}, {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}], ids=["none", "zero"])
async def test_usage_is_counted_where_it_is_missing(told: dict[str, Any]) -> None:
    last, _, _ = await outcome(says(piece("four"), piece("", finish="stop") | told, "[DONE]"))
    assert isinstance(last, Finished)
    assert last.usage.completion_tokens == 4  # the pretend tokenizer: a byte a token
    assert last.usage.prompt_tokens == 7


@pytest.mark.anyio
async def test_slow_headers_do_not_hold_back_the_admission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwen_app.engine.remote.upstream_answer.HEADERS_PATIENCE_S", 0.02)
    go = asyncio.Event()

    async def chat(request: Request, reply: Reply) -> None:
        await go.wait()
        await says(piece("late"), piece("", finish="stop"))(request, reply)

    async with engine_with_chat(chat) as (engine, _), aclosing(engine.generate(ask())) as events:
        assert isinstance(await asyncio.wait_for(anext(events), PATIENCE_S), Queued)
        go.set()
        assert text_of([event async for event in events]) == "late"


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_silent_server_meets_the_deadline() -> None:
    async with engine_with_chat(says(piece("Once"), before_end="hang")) as (engine, _):
        events = await collect(engine, ask(timeout_s=2.0))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert last.reason == "deadline"
    assert text_of(events) == "Once"


@pytest.mark.anyio
async def test_a_server_that_ignores_the_limit_is_stopped() -> None:
    async def chat(request: Request, reply: Reply) -> None:
        await reply.stream()
        while not reply.gone:
            await reply.event(piece("and on "))

    async with engine_with_chat(chat) as (engine, upstream):
        events = await collect(engine, ask(max_tokens=100))
        last = check_shape(events)
        assert isinstance(last, Finished)
        assert last.reason == "length"
        assert 200 <= text_of(events).count("and on ") < 400
        await hung_up(upstream)


@pytest.mark.parametrize("text", ["and on " * 90, "x" * 300, " " * 12000])
@pytest.mark.anyio
async def test_an_answer_in_small_pieces_or_of_long_tokens_is_not_cut(text: str) -> None:
    pieces = [piece(character) for character in text] if len(text) < 1000 else [piece(text[:120])] * 100
    upstream = Ollama().upstream()  # without a tokenizer to ask: estimated
    upstream.routes[f"POST {CHAT}"] = says(*pieces, piece("", finish="stop"), "[DONE]")
    async with upstream.serving():
        engine = RemoteEngine(base_url=upstream.base_url)
        events = await collect(engine, ask(max_tokens=100))
        await engine.drain(0.0)
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert (last.reason, text_of(events)) == ("stop", text)


@pytest.mark.anyio
async def test_cancelling_reaches_the_server() -> None:
    async with engine_with_chat(says(piece("Once"), before_end="hang")) as (engine, upstream):
        async with aclosing(engine.generate(ask())) as events:
            await until_text(events)
        await hung_up(upstream)


@pytest.mark.anyio
async def test_cancelling_before_the_headers_reaches_the_server() -> None:
    arrived = asyncio.Event()

    async def chat(request: Request, reply: Reply) -> None:
        arrived.set()
        await reply.wait_gone()

    async with engine_with_chat(chat) as (engine, upstream):
        reader = asyncio.create_task(collect(engine, ask()))
        await asyncio.wait_for(arrived.wait(), PATIENCE_S)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await hung_up(upstream)
        assert engine.health().running == 0


@pytest.mark.anyio
async def test_nobody_there() -> None:
    async with VllmLike().upstream().serving() as upstream:
        address = upstream.base_url
    engine = RemoteEngine(base_url=address)
    last = check_shape(await collect(engine, ask()))
    assert isinstance(last, Failed)
    assert isinstance(last.error, EngineUnavailable)
    assert address in last.error.message
    assert not engine.health().ready
    assert await engine.count_tokens([ask().messages]) > [0]
    await engine.drain(0.0)


@pytest.mark.anyio
async def test_health_follows_the_server() -> None:
    server = VllmLike()
    upstream = server.upstream()
    answers = {"status": 200}

    async def health(request: Request, reply: Reply) -> None:
        await reply.raw(b"", answers["status"])

    upstream.routes["GET /health"] = health

    async def until(state: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while engine.health().state != state:  # noqa: ASYNC110 (health is all there is to watch)
                await asyncio.sleep(0.01)

    async with upstream.serving():
        engine = RemoteEngine(base_url=upstream.base_url, poll_s=0.02)
        assert engine.health().state == "loading"
        await until("ready")
        answers["status"] = 503
        await until("loading")
        assert "503" in engine.health().reason
        answers["status"] = 200
        await until("ready")
    await until("stalled")
    assert "cannot be reached" in engine.health().reason
    await engine.drain(0.0)
    assert engine.health().state == "stopped"


@pytest.mark.anyio
async def test_the_conversation_id_goes_along() -> None:
    async with engine_with_chat(says(piece("x"), piece("", finish="stop"))) as (engine, upstream):
        await collect(engine, ask(conversation_id="c-1"))
        await collect(engine, ask(conversation_id="c-1"))
        await collect(engine, ask(conversation_id="聊天\n"))
        ids = [request.headers["x-conversation-id"] for request in upstream.requests_to(CHAT)]
        assert ids == [request.headers["x-session-id"] for request in upstream.requests_to(CHAT)]
    assert ids[:2] == ["c-1", "c-1"]
    assert ids[2].isalnum()


@pytest.mark.anyio
async def test_calls_without_index_or_id_are_mended() -> None:
    calls = [
        {"function": {"name": "clock", "arguments": '{"zone":'}},
        {"index": "0", "function": {"arguments": ' "UTC"}'}},
    ]
    chunks = [piece("", delta={"tool_calls": [call]}) for call in calls]
    async with engine_with_chat(says(*chunks, piece("", finish="stop"), "[DONE]")) as (engine, _):
        events = await collect(engine, ask())
    found = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [call.index for call in found] == [0, 0]
    assert found[0].id
    assert found[0].name == "clock"
    assert "".join(call.arguments for call in found) == '{"zone": "UTC"}'
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reason == "tool_calls"


@pytest.mark.parametrize(
    "odd",
    [
        {"index": 0, "id": "a", "function": {"name": "clock", "arguments": {"zone": "中国"}}},
        {"index": 0, "id": 7, "function": {"name": "clock", "arguments": '{"zone": "中国"}'}},
        {"index": "first", "id": "a", "function": {"name": "clock", "arguments": '{"zone": "中国"}'}},
    ],
    ids=["object", "number", "word"],
)
@pytest.mark.anyio
async def test_a_call_is_read_whatever_json_its_parts_are(odd: dict[str, Any]) -> None:
    chunk = piece("", delta={"tool_calls": [odd]})
    async with engine_with_chat(says(chunk, piece("", finish="stop"), "[DONE]")) as (engine, _):
        events = await collect(engine, ask())
    assert isinstance(check_shape(events), Finished)
    (call,) = [event for event in events if isinstance(event, ToolCallDelta)]
    assert (call.name, call.arguments) == ("clock", '{"zone": "中国"}')
    assert call.id


@pytest.mark.parametrize(
    "deltas",
    [
        [{"name": "clock", "arguments": '{"zone": "UTC"}'}],
        [{"name": "clock", "arguments": ""}, {"arguments": '{"zone":'}, {"name": "", "arguments": ' "UTC"}'}, {}],
    ],
    ids=["whole", "in pieces"],
)
@pytest.mark.anyio
async def test_a_call_in_the_older_form_is_one(deltas: list[dict[str, str]]) -> None:
    """It was left out, and the answer was empty, though it had ended with a call."""
    chunks = [piece("", delta={"content": None, "tool_calls": None, "function_call": call}) for call in deltas]
    async with engine_with_chat(says(*chunks, piece("", finish="function_call"), "[DONE]")) as (engine, _):
        events = await collect(engine, ask(tools=(Tool("clock"),)))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert last.reason == "tool_calls"
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [call.name for call in calls if call.name] == ["clock"]
    assert "".join(call.arguments for call in calls) == '{"zone": "UTC"}'


@pytest.mark.anyio
async def test_logprobs_come_through() -> None:
    entry = {"token": "Yes", "logprob": -0.5, "bytes": [89, 101, 115]}
    entry["top_logprobs"] = [{"token": "No", "logprob": -1.0, "bytes": None}]
    chunk = piece("Yes", logprobs={"content": [entry]})
    async with engine_with_chat(says(chunk, piece("", finish="stop"))) as (engine, _):
        events = await collect(engine, ask())
    (token,) = next(event.logprobs for event in events if isinstance(event, Delta))
    assert (token.text, token.logprob, token.bytes) == ("Yes", -0.5, b"Yes")
    assert [(other.text, other.logprob) for other in token.top] == [("No", -1.0)]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        *((word, "stop") for word in ("eos", "eos_token", "stop_sequence", "end_turn", "STOP", "content_filter")),
        *((word, "length") for word in ("max_tokens", "MAX_TOKENS", "model_length", "repetition")),
        *((word, "tool_calls") for word in ("tool_use", "function_call")),
    ],
)
@pytest.mark.anyio
async def test_an_ending_is_known_whatever_the_server_calls_it(word: str, reason: str) -> None:
    last, text, _ = await outcome(says(piece("Hi", finish="null"), piece("!"), piece("", finish=word), "[DONE]"))
    assert isinstance(last, Finished)
    assert (last.reason, text) == (reason, "Hi!")


@pytest.mark.parametrize(
    "nothing", [{"choices": [None]}, piece("", delta={"tool_calls": [None]})], ids=["a choice", "a call"]
)
@pytest.mark.anyio
async def test_a_part_that_is_null_says_nothing(nothing: dict[str, Any]) -> None:
    last, text, _ = await outcome(says(piece("Hi"), nothing, piece("!"), piece("", finish="stop"), "[DONE]"))
    assert isinstance(last, Finished)
    assert text == "Hi!"


@pytest.mark.parametrize("held", ["", "<tool_"])
@pytest.mark.anyio
async def test_the_end_mark_is_an_end_where_the_server_gives_no_reason(held: str) -> None:
    async with engine_with_chat(says(piece("Hi"), piece(held), "[DONE]")) as (engine, _):
        events = await collect(engine, ask(tools=(Tool("clock"),)))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert (last.reason, text_of(events)) == ("stop", f"Hi{held}")


@pytest.mark.anyio
async def test_a_call_that_the_end_mark_ends_is_one() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "clock"}}
    async with engine_with_chat(says(piece("", delta={"tool_calls": [call]}), "[DONE]")) as (engine, _):
        events = await collect(engine, ask(tools=(Tool("clock"),)))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert last.reason == "tool_calls"
    assert "".join(event.arguments for event in events if isinstance(event, ToolCallDelta)) == "{}"


@pytest.mark.anyio
async def test_an_end_mark_after_nothing_is_no_answer() -> None:
    last, _, requests = await outcome(says("[DONE]"))
    assert isinstance(last, Failed)
    assert requests == 3


@pytest.mark.anyio
async def test_an_unknown_ending_is_a_failure() -> None:
    last, _, _ = await outcome(says(piece("x"), piece("", finish="abort")))
    assert isinstance(last, Failed)
    assert "abort" in last.error.message


ODD_FIGURES: dict[str, dict[str, Any]] = {
    "usage in words": piece("Hi") | {"usage": {"prompt_tokens": "few", "completion_tokens": 1.5}},
    "usage as a list": piece("Hi") | {"usage": [1, 2]},
    "details of usage in words": piece("Hi") | {"usage": {"prompt_tokens_details": {"cached_tokens": "all"}}},
    "timings in words": piece("Hi") | {"timings": {"cache_n": "all"}},
    "progress in words": piece("Hi") | {"prompt_progress": {"processed": "half"}},
    "logprobs as a text": piece("Hi", logprobs={"content": "none"}),
    "likeliest tokens as an object": piece("Hi", logprobs={"content": [{"token": "Hi", "top_logprobs": {"Hi": -1}}]}),
    "tokens by number": piece("Hi", logprobs={"tokens": [17], "token_logprobs": [-1]}),
    "bytes that are none": piece("Hi", logprobs={"content": [{"token": "Hi", "logprob": -1, "bytes": [300]}]}),
}


@pytest.mark.parametrize("chunk", ODD_FIGURES.values(), ids=ODD_FIGURES.keys())
@pytest.mark.anyio
async def test_figures_of_an_unknown_shape_cost_no_answer(chunk: dict[str, Any]) -> None:
    last, text, _ = await outcome(says(chunk, piece("", finish="stop"), "[DONE]"))
    assert isinstance(last, Finished)
    assert text == "Hi"
    assert last.usage.completion_tokens > 0


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
@pytest.mark.anyio
async def test_content_in_parts_is_the_text_of_its_parts(whole: bool) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hmm."}]}
    parts = [thought, {"type": "text", "text": "Hi "}, "there"]
    if whole:
        chat = answers({"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]})
    else:
        chat = says(*(piece("", delta={"content": [part]}) for part in parts), piece("", finish="stop"), "[DONE]")
    last, text, _ = await outcome(chat)
    assert isinstance(last, Finished)
    assert text == "Hi there"
