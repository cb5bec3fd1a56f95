"""Who may use the API, from where, and how much."""

from __future__ import annotations

import hashlib
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from qwen_app.api.access.api_keys import ApiKeyStore, is_from_here
from qwen_app.api.access.rate_limits import Bucket, Caller, RateLimits
from qwen_app.api.access.request_guard import key_of
from qwen_app.errors import AuthenticationError, PermissionDenied, SettingsError, TooManyRequests
from qwen_app.settings import Settings, load_settings
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.serving import reset, running_api, send_chat, wait_for

KEY = "secret-key-1"
GUARDED = ["/v1/models", "/v1/models/x", "/metrics"]
GUARDED_POST = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/tokenize",
    "/detokenize",
    "/v1/tokenize",
    "/v1/detokenize",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/embeddings",
    "/v1/files",
    "/v1/vector_stores",
    "/v1/vector_stores/{store_id}",
    "/v1/vector_stores/{store_id}/files",
    "/v1/vector_stores/{store_id}/file_batches",
    "/v1/vector_stores/{store_id}/search",
]
GUARDED_OTHER = ["/v1/vector_stores/{store_id}", "/v1/vector_stores/{store_id}/files/{file_id}"]  # GET, DELETE
ONE_BATCH = "/v1/vector_stores/{store_id}/file_batches/{batch_id}"  # GET


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def caller_of(store: ApiKeyStore, request: Request) -> Caller:
    return store.caller_of(request, key_of(request))


def request_from(client: str | None, host: str = "localhost:7860", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": host, **headers}.items()]
    return Request({"type": "http", "headers": raw, "client": (client, 5000) if client else None})


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.10", "::1"])
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]:7860"])
def test_programs_on_this_machine_are_from_here(client: str, host: str) -> None:
    assert is_from_here(request_from(client, host))
    assert is_from_here(request_from(client, host, origin=f"http://{host}"))
    assert not is_from_here(request_from(client, host, origin="http://localhost:3000"))
    allowed = frozenset(["http://localhost:3000"])
    assert is_from_here(request_from(client, host, origin="http://localhost:3000"), allowed)


@pytest.mark.parametrize(
    "request_",
    [
        request_from("192.168.1.5"),
        request_from(None),
        request_from("testclient"),
        request_from("127.0.0.1", x_forwarded_for="127.0.0.1"),
        request_from("127.0.0.1", x_forwarded_for=""),
        request_from("127.0.0.1", forwarded="for=127.0.0.1"),
        request_from("127.0.0.1", x_real_ip="127.0.0.1"),
        request_from("127.0.0.1", via="1.1 proxy"),
        request_from("127.0.0.1", "abc.gradio.live"),
        request_from("127.0.0.1", "localhost.evil.example"),
        request_from("127.0.0.1", ""),
        request_from("127.0.0.1", "[::1"),
        request_from("127.0.0.1", origin="https://evil.example"),
        request_from("127.0.0.1", origin="null"),
        request_from("127.0.0.1", origin="http://[bad"),
    ],
)
def test_everything_else_is_not(request_: Request) -> None:
    assert not is_from_here(request_)
    with pytest.raises(PermissionDenied, match="QWEN_API_KEYS"):
        caller_of(ApiKeyStore([]), request_)


@pytest.mark.parametrize("settings", [{"auth": "ada:s"}, {"auth": "ada:s", "share": True, "host": "0.0.0.0"}])
def test_a_server_that_listens_to_others_asks_everybody(settings: dict[str, Any]) -> None:
    store = ApiKeyStore.from_settings(Settings(**settings))
    request = request_from("127.0.0.1", "localhost")
    for key in (None, "any"):
        with pytest.raises(AuthenticationError, match="QWEN_API_KEYS"):
            store.caller_of(request, key)
    request.scope["state"] = {"user": "ada"}
    assert store.caller_of(request, None) is store.caller_of(request, "none")
    assert store.caller_of(request, None).name == "ada"


def test_with_keys_and_a_login_either_will_do() -> None:
    store = ApiKeyStore.from_settings(Settings(auth="ada:s", api_keys=KEY))
    request = request_from("9.9.9.9", "pod.example")
    assert store.caller_of(request, KEY).name.startswith("key-")
    with pytest.raises(AuthenticationError):
        store.caller_of(request, None)
    request.scope["state"] = {"user": "ada"}
    assert store.caller_of(request, None).name == "ada"
    with pytest.raises(AuthenticationError):
        store.caller_of(request, "wrong")


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip", "forwarded"])
def test_a_forwarded_request_is_refused_by_a_real_server(header: str) -> None:
    with running_api(ScriptedEngine()) as api:
        response = api.request("GET", "/v1/models", headers={header: "127.0.0.1"})
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "permission_denied"


def test_every_route_but_the_listed_needs_the_key() -> None:
    with running_api(ScriptedEngine(), api_keys=KEY) as api:
        for path in (*GUARDED, ONE_BATCH):
            assert api.request("GET", path).status_code == 401
        for path in GUARDED_POST:
            assert api.post(path, {}).status_code == 401
        for path in GUARDED_OTHER:
            assert api.request("DELETE", path).status_code == 401
        for path in ("/health", "/ready", "/v1/docs", "/v1/openapi.json"):
            assert api.request("GET", path).status_code == 200
        listed = set(api.request("GET", "/v1/openapi.json").json()["paths"])
        assert listed == {
            "/health",
            "/ready",
            "/v1/models",
            "/v1/models/{name}",
            "/metrics",
            *GUARDED_POST,
            *GUARDED_OTHER,
            ONE_BATCH,
        }


@pytest.mark.parametrize("content_type", ["text/x", "application/json"])
def test_the_key_is_checked_before_the_body_is_read(content_type: str) -> None:
    with running_api(ScriptedEngine(), api_keys=KEY) as api:
        response = api.request("POST", "/v1/completions", content=b"{" * 100, headers={"content-type": content_type})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer \xff", "Bearer \t"],
)
def test_other_keys_are_refused(value: str) -> None:
    request = Request({"type": "http", "headers": [(b"authorization", value.encode("latin-1"))], "client": None})
    with pytest.raises(AuthenticationError):
        caller_of(ApiKeyStore([KEY]), request)


def test_each_of_several_keys_works_from_anywhere() -> None:
    store = ApiKeyStore([KEY, "second"])
    names = {
        caller_of(store, request_from("9.9.9.9", authorization=f"{s} {k}")).name
        for s in ("Bearer", "bearer")
        for k in (KEY, "second")
    }
    assert len(names) == 2
    assert not any(key in name for name in names for key in (KEY, "second"))


def test_keys_come_from_settings_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    digest = hashlib.sha256(b"hashed").hexdigest()
    file.write_text(f"# our keys\nplain # of Ann\n\nsha256:{digest}\n", encoding="utf-8")
    store = ApiKeyStore.from_settings(Settings(api_keys=f"{KEY}, other,", api_keys_file=str(file)))
    for key in (KEY, "other", "plain", "hashed"):
        assert caller_of(store, request_from("9.9.9.9", authorization=f"Bearer {key}"))
    for key in ("# our keys", digest, f"sha256:{digest}", "of Ann"):
        with pytest.raises(AuthenticationError):
            caller_of(store, request_from("9.9.9.9", authorization=f"Bearer {key}"))


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/messages"])
@pytest.mark.parametrize(
    "key", ["clé".encode(), "clé".encode("latin-1"), "钥匙".encode(), b"\xff\xfe", f"“{KEY}”".encode()]
)
def test_a_key_beyond_ascii_is_refused_with_a_sentence(key: bytes, path: str, name: str) -> None:
    sent = b"Bearer " + key if name == "authorization" else key
    with running_api(ScriptedEngine(), api_keys=KEY) as api:
        response = api.request("GET" if path == "/v1/models" else "POST", path, headers={name.encode(): sent})
    assert response.status_code == 401
    assert "beyond ASCII" in response.json()["error"]["message"]


@pytest.mark.parametrize("sent", [f"Bearer {KEY} ", f"Bearer   {KEY}", f"bearer {KEY}\t"])
def test_blanks_around_a_key_are_no_part_of_it(sent: str) -> None:
    store = ApiKeyStore([KEY])
    assert caller_of(store, request_from("9.9.9.9", authorization=sent))
    assert caller_of(store, request_from("9.9.9.9", x_api_key=sent.split(" ", 1)[1]))


@pytest.mark.parametrize("key", ["clé", "钥匙", "a\x00b", "a\tb", "a\nb", "a\x7f", "\ufeffa", "a\u00a0b"])
def test_a_configured_key_that_no_header_carries_is_refused_at_the_start(key: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="printable ASCII"):
        ApiKeyStore([KEY, key])
    with pytest.raises(SettingsError, match="printable ASCII"):
        load_settings(["--api-keys", f"{KEY},{key}"], {})
    if "\n" not in key and "\ufeff" not in key:
        file = tmp_path / "keys"
        file.write_text(key, encoding="utf-8")
        with pytest.raises(SettingsError, match="printable ASCII"):
            load_settings(["--api-keys-file", str(file)], {})


@pytest.mark.parametrize("written", ["\ufeffone\ntwo", "one\r\ntwo\r\n", " one \n\n\ttwo  # of Ann: clé\n"])
def test_a_file_of_keys_may_be_written_by_any_editor(written: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(written.encode())
    store = ApiKeyStore.from_settings(Settings(api_keys=" three \n", api_keys_file=str(file)))
    for key in ("one", "two", "three"):
        assert caller_of(store, request_from("9.9.9.9", authorization=f"Bearer {key}"))


def test_a_file_of_keys_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"\xff\xfek\x00")
    with pytest.raises(SettingsError, match="keys' names a file that cannot be read as UTF-8"):
        load_settings(["--api-keys-file", str(file)], {})


def test_a_broken_hash_is_named() -> None:
    with pytest.raises(SettingsError, match="64 hexadecimal"):
        ApiKeyStore(["sha256:abc"])


def test_keys_are_not_kept_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    store = ApiKeyStore([KEY])
    assert KEY not in repr(vars(store))
    with caplog.at_level(logging.DEBUG), running_api(ScriptedEngine(), api_keys=KEY) as api:
        assert api.chat().status_code == 401
        assert api.request("GET", "/v1/models", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    assert KEY not in caplog.text


def test_requests_a_minute() -> None:
    clock = Clock()
    caller = Caller("a", RateLimits(requests_per_minute=6), clock)
    for _ in range(6):
        caller.count_request()
    with pytest.raises(TooManyRequests) as refused:
        caller.count_request()
    assert refused.value.retry_after_s == pytest.approx(10)
    clock.now_s += 10
    caller.count_request()
    clock.now_s += 1.6
    with pytest.raises(TooManyRequests, match="Try again in 9 s"):  # 8.4 s, after which a request may come
        caller.count_request()


def test_tokens_a_minute_may_be_overdrawn_and_are_paid_back() -> None:
    clock = Clock()
    caller = Caller("a", RateLimits(tokens_per_minute=60), clock)
    caller.count_request()
    caller.acquire()(180)
    with pytest.raises(TooManyRequests, match="60 tokens a minute") as refused:
        caller.count_request()
    assert refused.value.retry_after_s == pytest.approx(121)
    clock.now_s += 121
    caller.count_request()


def test_requests_at_once() -> None:
    caller = Caller("a", RateLimits(concurrency=2), Clock())
    first, _ = caller.acquire(), caller.acquire()
    with pytest.raises(TooManyRequests, match="at once"):
        caller.acquire()
    first(0)
    caller.acquire()


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), max_size=50))
def test_a_bucket_never_lets_more_through_than_it_gained(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    spent, started = 0, clock.now_s
    for wait_s, amount in steps:
        clock.now_s += wait_s
        if bucket.wait_s(amount) == 0:
            bucket.spend(amount)
            spent += amount
    assert spent <= 60 + (clock.now_s - started) + 1e-6


def bearer(key: str) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {key}"}}


def test_limits_count_for_each_key_alone() -> None:
    with running_api(ScriptedEngine(), api_keys="a,b", requests_per_minute=2) as api:
        codes = [api.request("GET", "/v1/models", **bearer(key)).status_code for key in "aaab"]
        refused = api.request("GET", "/v1/models", **bearer("a"))
        assert codes == [200, 200, 429, 200]
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert api.request("GET", "/metrics", **bearer("a")).status_code == 200


def test_tokens_of_answers_are_charged_to_the_key() -> None:
    with running_api(ScriptedEngine(), api_keys="a", tokens_per_minute=8) as api:
        body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
        assert api.post("/v1/chat/completions", body, **bearer("a")).status_code == 200
        assert api.post("/v1/chat/completions", body, **bearer("a")).status_code == 429


def test_an_answer_that_ends_frees_its_place() -> None:
    engine = ScriptedEngine(Script(("w ",) * 500, token_s=0.02))
    with running_api(engine, concurrency_per_key=1) as api:
        connection: socket.socket = send_chat(api, stream=True)
        wait_for(lambda: api.service.health().running == 1)
        assert api.chat().status_code == 429
        reset(connection)
        wait_for(lambda: api.service.health().running == 0)
        assert api.chat(max_tokens=1).status_code == 200
        assert api.chat(content="w " * 9000).status_code == 400
        assert api.chat(max_tokens=1, n=2).status_code == 200
