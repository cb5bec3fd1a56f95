"""The class: what Gradio keeps for all visitors together. Nobody's use of it reaches another's sessions or answers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui import mount
from qwen_app.web.page_calls import install
from qwen_app.web.page_calls.ledger import Ledger
from tests.attacks.page_client import API, PageClient, page_client
from tests.browser.serving import running_page

LOGINS = "ada:one,guest:two"
ADA, GUEST = ("ada", "one"), ("guest", "two")
WORDS = [f"word{number} " for number in range(60)]
TABLE = (
    100  # entries of each of Gradio's tables in these tests: as many as overflow in a second. Its own have thousands
)


def answers(request: GenerationRequest) -> Script:
    """Ada's long answer takes three seconds and more; everybody else's hangs."""
    question = request.messages[-1].content
    if "long" in question:
        return Script(WORDS, token_s=0.1)
    return Script(("ok",) if request.user == "ada" else ("x",) * 1000, token_s=0.01 if request.user == "ada" else 1.0)


@contextlib.contextmanager
def small_page() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mount, "GRADIO_SESSIONS", TABLE)
        with running_page(ScriptedEngine(answers), auth=LOGINS) as address:
            yield address


@pytest.fixture
def url() -> Iterator[str]:
    """A page of the test's own, for it fills its tables."""
    with small_page() as address:
        yield address


@pytest.fixture
def ada(url: str) -> Iterator[PageClient]:
    with page_client(url, "adassession", ADA) as client:
        yield client


@pytest.fixture
def guest(url: str) -> Iterator[PageClient]:
    with page_client(url, "guestssession", GUEST) as client:
        yield client


@pytest.fixture(scope="module")
def refused_guest() -> Iterator[PageClient]:
    """One whose calls are all refused: they leave nothing, so one page serves many tests."""
    with small_page() as address, page_client(address, "guestssession", GUEST) as client:
        yield client


def finish(client: PageClient) -> str:
    """All that comes of the session's stream."""
    return str([message for message in client.read() if message["msg"].startswith("process")])


def test_a_guest_who_names_many_sessions_wipes_nobodys_chat(ada: PageClient, guest: PageClient) -> None:
    ada.ask("the word is albatross")
    assert "process_completed" in finish(ada)
    body = guest.body("chat-use-code", "click", composer="")
    statuses = Counter(guest.direct(body | {"session_hash": f"guest{n}"}).status_code for n in range(TABLE + 10))
    assert statuses == {200: TABLE + 10}
    assert "albatross" in ada.chat_so_far()


def test_a_guest_who_joins_many_times_cuts_nobodys_answer(ada: PageClient, guest: PageClient) -> None:
    ada.ask("a long answer please")
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(finish(ada)))
    reader.start()
    body = guest.body("composer", "submit", composer="hold")
    statuses = Counter(guest.join(body | {"session_hash": f"guest{n}"}).status_code for n in range(TABLE + 20))
    reader.join(60)
    assert set(statuses) == {200, 429}
    assert statuses[200] <= 64
    assert "word59" in seen[0]
    assert "Not Found" not in seen[0]
    assert "word59" in ada.chat_so_far() or "long answer" in ada.chat_so_far()


def test_joins_are_refused_with_a_sentence_the_page_shows(guest: PageClient) -> None:
    body = guest.body("composer", "submit", composer="hold")
    refusals = [answer for answer in (guest.join(body) for _ in range(80)) if answer.status_code == 429]
    assert refusals
    assert "Try again" in refusals[0].json()["detail"] == refusals[0].json()["error"]
    assert int(refusals[0].headers["retry-after"]) > 0


def test_a_client_that_reads_no_answers_locks_its_login_out_for_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    skipped_s = 0.0
    monkeypatch.setattr(install, "Ledger", lambda: Ledger(clock=lambda: time.monotonic() + skipped_s))
    with small_page() as address, page_client(address, "adassession", ADA) as crashed:
        body = crashed.body("composer", "submit", composer="short")
        statuses = Counter(crashed.join(body | {"session_hash": f"gone{n}"}).status_code for n in range(70))
        assert statuses[429] > 0
        with page_client(address, "another", ADA) as ada:
            for _ in range(60):
                asked = ada.join(ada.body("composer", "submit", composer="are you there"))
                if asked.status_code == 200:
                    break
                time.sleep(0.5)  # for what still runs
                skipped_s += 150
            assert asked.status_code == 200, asked.text
            assert "process_completed" in finish(ada)


def test_what_is_held_is_given_back(guest: PageClient) -> None:
    body = guest.body("composer", "submit", composer="hold")
    with contextlib.suppress(httpx.ReadTimeout):
        for n in range(70):
            answer = guest.join(body | {"session_hash": f"g{n % 3}"})
            if answer.status_code == 200:
                event = answer.json()["event_id"]
                ended = {"session_hash": f"g{n % 3}", "fn_index": body["fn_index"], "event_id": event}
                assert guest.http.post(f"{API}/cancel", json=ended).status_code == 200
    for n in range(3):
        with page_stream(guest, f"g{n}"):
            pass


@contextlib.contextmanager
def page_stream(client: PageClient, session: str) -> Iterator[httpx.Response]:
    with client.http.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as stream:
        yield stream


@pytest.mark.parametrize("path", ["heartbeat", "queue/data"])
def test_streams_are_counted_per_user(url: str, ada: PageClient, guest: PageClient, path: str) -> None:
    def open_stream(stack: contextlib.ExitStack, n: int) -> int:
        named = f"{API}/heartbeat/s{n % 8}" if path == "heartbeat" else f"{API}/queue/data?session_hash=s{n % 8}"
        client = stack.enter_context(httpx.Client(base_url=url, cookies=guest.http.cookies, trust_env=False))
        return stack.enter_context(client.stream("GET", named)).status_code

    guest.join(guest.body("composer", "submit", composer="hold"))
    for n in range(8):
        guest.join(guest.body("composer", "submit", composer="hold") | {"session_hash": f"s{n}"})
    with contextlib.ExitStack() as stack:
        statuses = Counter(open_stream(stack, n) for n in range(140))
        assert statuses[429] >= 12
        assert statuses[200] + statuses[429] == 140
        ada.ask("are you there")
        assert "process_completed" in finish(ada)


def test_a_session_is_used_by_nobody_but_its_owner(ada: PageClient, guest: PageClient) -> None:
    event = ada.ask("a long answer please")
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(finish(ada)))
    reader.start()
    stolen = {"session_hash": ada.session}
    theft = guest.body("chat-use-code", "click", composer="") | stolen
    cancel = stolen | {"fn_index": guest.dependency("composer", "submit")["id"], "event_id": event}
    own = {"session_hash": guest.session, "fn_index": cancel["fn_index"], "event_id": event}
    answers = [
        guest.direct(theft),
        guest.join(guest.body("composer", "submit", composer="mine now") | stolen),
        guest.http.get(f"{API}/queue/data", params=stolen),
        guest.http.get(f"{API}/heartbeat/{ada.session}"),
        guest.http.get(f"{API}/call/chat/{event}"),
        guest.http.post(f"{API}/call/chat", json={"data": [[]], **stolen}),
        guest.http.post(f"{API}/cancel", json=cancel),
        guest.http.post(f"{API}/cancel", json=own),
        guest.http.post(f"{API}/reset", json={"event_id": event}),
    ]
    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert all("albatross" not in answer.text and "word" not in answer.text for answer in answers)
    reader.join(60)
    assert "word59" in seen[0]


def test_a_hundred_at_once_are_no_way_past_the_bound(url: str, guest: PageClient) -> None:
    body = guest.body("composer", "submit", composer="hold")

    def join(n: int) -> int:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in guest.http.cookies.items())}
        named = body | {"session_hash": f"b{n}"}
        return httpx.post(
            f"{url}{API}/queue/join", json=named, headers=headers, trust_env=False, timeout=60
        ).status_code

    with ThreadPoolExecutor(50) as pool:
        statuses = Counter(pool.map(join, range(120)))
    assert statuses[200] <= 64
    assert statuses[200] + statuses[429] == 120


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("queue/join", b""),
        ("queue/join", b"[]"),
        ("queue/join", b"[" * 100_000),
        ("queue/join", b'{"data": [], "session_hash": ["a"]}'),
        ("queue/join", b'{"data": [], "session_hash": "../../etc"}'),
        ("run/predict", b'{"data": [], "session_hash": 7}'),
        ("cancel", b'{"session_hash": "a", "fn_index": 0}'),
        ("reset", b"{}"),
    ],
)
def test_calls_that_are_none_are_refused(refused_guest: PageClient, path: str, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = refused_guest.http.post(f"{API}/{path}", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_one_call_has_a_bounded_body(refused_guest: PageClient) -> None:
    body = refused_guest.body("composer", "submit", composer="x" * 3_000_000)
    assert refused_guest.join(body).status_code == 413
