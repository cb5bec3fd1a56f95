"""Files, vector stores and embeddings as OpenAI's client asks for them; each key has its own."""

from __future__ import annotations

import base64
import json
import re
import select
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import openai
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import JSONResponse

from qwen_app.documents.document_store import LIMITS
from qwen_app.http.turns import WAITING
from qwen_app.knowledge.embeddings import Embedder
from qwen_app.knowledge.knowledge_base import knowledge_in_memory
from qwen_app.messages import GenerationRequest, ToolCallDelta
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.sdk import sdk
from tests.api.serving import Api, running_api
from tests.browser.serving import serving
from tests.documents import files
from tests.knowledge.held_embedder import PATIENCE_S, HeldEmbedder

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/api.md"
PAGES = [f"Room {number} holds {number * 11} chairs." for number in range(1, 31)]


REFUSALS: dict[str, tuple[int, object]] = {
    "openai": (404, {"error": {"message": "No model of this name.", "code": "model_not_found"}}),
    "tei": (413, {"error": "Text is over 512 tokens.", "error_type": "Validation"}),
    "vllm": (400, {"object": "error", "message": "It has no dimensions to choose."}),
    "nowhere": (404, {"detail": "Not Found"}),
    "no key": (401, {"error": {"message": "Wrong key."}}),
    "odd": (400, ["?"]),
}


class Asked(BaseModel):
    input: list[str] | list[list[int]]
    model: str
    dimensions: int | None = None


def embedding_server() -> FastAPI:
    """Two numbers for each input: its length, and the number of dimensions asked for. The model "broken" fails, others
    of the name of a refusal are refused so."""
    app = FastAPI()

    @app.post("/v1/embeddings", response_model=None)
    async def embed(asked: Asked) -> dict[str, object] | JSONResponse:
        if asked.model in REFUSALS:
            status, body = REFUSALS[asked.model]
            return JSONResponse(body, status)
        rows = [
            {"index": n, "embedding": [float(len(one)), float(asked.dimensions or 0)]}
            for n, one in enumerate(asked.input)
        ]
        return {"data": [] if asked.model == "broken" else rows, "usage": {"prompt_tokens": 7 * len(rows)}}

    app.add_api_route("/health", lambda: {"status": "ok"})
    return app


def searching(request: GenerationRequest) -> Script:
    """Calls the tool, then answers with what it was given."""
    if request.messages[-1].role == "tool":
        found = json.loads(request.messages[-1].content)
        return Script((f"{found[0]['text']} [{found[0]['number']}], {found[0]['place']}",))
    query = json.dumps({"query": request.messages[-1].content})
    return Script((), [ToolCallDelta(0, "call_1", "search_files", query)])


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving(embedding_server) as url:
        base = knowledge_in_memory(Embedder(f"{url}/v1", model="small"))
        settings = {"api_keys": "ada,bob,cyd", "tokens_per_minute": 2_000}
        with running_api(ScriptedEngine(searching), knowledge=base, **settings) as api:
            yield api


@pytest.fixture
def client(api: Api) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key="ada", max_retries=0) as client:
        yield client


@pytest.fixture
def other(api: Api) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key="bob", max_retries=0) as client:
        yield client


def filled(client: openai.OpenAI, name: str) -> str:
    """The id of a vector store with a PDF file of thirty pages."""
    store = client.vector_stores.create(name=name)
    uploaded = client.files.create(file=("rooms.pdf", files.pdf(PAGES)), purpose="assistants")
    added = client.vector_stores.files.create(store.id, file_id=uploaded.id)
    assert (added.status, uploaded.filename) == ("completed", "rooms.pdf")
    return store.id


def test_a_file_is_searched_and_its_passages_are_numbered(client: openai.OpenAI) -> None:
    store = filled(client, "rooms")
    found = client.vector_stores.search(store, query="How many chairs does room 17 hold?", max_num_results=3).data
    assert [one.attributes and one.attributes["number"] for one in found] == ["1", "2", "3"]
    assert (found[0].filename, found[0].content[0].text) == ("rooms.pdf", "Room 17 holds 187 chairs.")
    assert found[0].attributes
    assert found[0].attributes["place"] == "page 17"
    assert client.vector_stores.retrieve(store).file_counts.completed == 1
    (kept,) = client.vector_stores.files.list(store).data
    assert client.vector_stores.files.retrieve(kept.id, vector_store_id=store) == kept
    assert client.vector_stores.files.delete(kept.id, vector_store_id=store).deleted
    assert client.vector_stores.search(store, query="chairs").data == []
    assert client.vector_stores.delete(store).deleted
    assert store not in [one.id for one in client.vector_stores.list()]


def test_several_files_are_kept_by_one_call(client: openai.OpenAI, other: openai.OpenAI) -> None:
    store, batches = client.vector_stores.create(name="batch").id, client.vector_stores.file_batches
    texts = [(f"{number}.txt", f"Room {number} holds 187 chairs.".encode()) for number in range(3)]
    batch = batches.upload_and_poll(vector_store_id=store, files=texts)
    assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == ("completed", 3, 3)
    kept = {file.id for file in client.vector_stores.files.list(store).data}
    assert len(kept) == 3
    assert len(client.vector_stores.search(store, query="How many chairs?").data) == 3
    half = batches.create(store, file_ids=[client.files.create(file=texts[0], purpose="assistants").id, "none"])
    assert (half.file_counts.completed, half.file_counts.failed) == (1, 1)
    elsewhere = client.vector_stores.create(name="elsewhere").id
    for who, where in ((other, store), (client, elsewhere)):
        with pytest.raises(openai.NotFoundError):
            who.vector_stores.file_batches.retrieve(batch.id, vector_store_id=where)
    with pytest.raises(openai.BadRequestError, match="file_ids"):
        batches.create(store, file_ids=["none"] * (LIMITS.uploads_per_user + 1))


def test_files_of_a_batch_may_be_objects(client: openai.OpenAI) -> None:
    store, batches = client.vector_stores.create(name="objects").id, client.vector_stores.file_batches
    uploaded = client.files.create(file=("a.txt", b"Room 17 holds 187 chairs."), purpose="assistants")
    assert batches.create(store, files=[{"file_id": uploaded.id}]).file_counts.completed == 1
    with pytest.raises(openai.BadRequestError, match="stores of their own"):
        batches.create(store, files=[{"file_id": uploaded.id, "attributes": {"a": 1}}])
    for both in ({}, {"file_ids": [uploaded.id], "files": [{"file_id": uploaded.id}]}):
        with pytest.raises(openai.BadRequestError, match="in file_ids or in files"):
            batches.create(store, **both)  # type: ignore[arg-type]


def test_an_upload_never_costs_one_that_waits_for_its_store(client: openai.OpenAI) -> None:
    store = client.vector_stores.create(name="many").id

    def upload(number: int) -> str:
        return client.files.create(file=(f"{number}.txt", b"x"), purpose="assistants").id

    ids: list[str] = []
    with suppress(openai.RateLimitError):
        while True:
            ids.append(upload(len(ids)))
    with pytest.raises(openai.RateLimitError, match="Add some of them") as full:
        upload(999)
    assert full.value.code == "server_full"
    assert LIMITS.uploads_per_user - 16 <= len(ids) <= LIMITS.uploads_per_user  # others of these tests' wait too
    client.vector_stores.files.create(store, file_id=ids[-1])
    upload(1000)  # in the place of what the store has
    batch = client.vector_stores.file_batches.create(store, file_ids=ids[:-1])
    assert (batch.file_counts.completed, batch.file_counts.failed) == (len(ids) - 1, 0)


def test_a_file_in_a_store_is_found_by_the_id_of_its_upload_too(client: openai.OpenAI, tmp_path: Path) -> None:
    """The SDK waits for what it added by the id it added it by."""
    (tmp_path / "a.txt").write_text("Room 17 holds 187 chairs.")
    store = client.vector_stores.create(name="polled").id
    polled = client.vector_stores.files.upload_and_poll(vector_store_id=store, file=tmp_path / "a.txt")
    assert client.vector_stores.files.list(store).data == [polled]
    uploaded = client.files.create(file=("b.txt", b"Room 18 has none."), purpose="assistants")
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.files.retrieve(uploaded.id, vector_store_id=store)
    added = client.vector_stores.files.create_and_poll(uploaded.id, vector_store_id=store)
    with pytest.raises(openai.NotFoundError):  # an upload of the same name may be another file
        client.vector_stores.files.delete(uploaded.id, vector_store_id=store)
    assert client.vector_stores.files.delete(added.id, vector_store_id=store).deleted
    assert client.vector_stores.files.list(store).data == [polled]


def test_what_would_change_a_search_is_refused_by_name(client: openai.OpenAI) -> None:
    store = filled(client, "narrow")
    uploaded = client.files.create(file=("more.pdf", files.pdf(PAGES)), purpose="assistants")
    forgetful: Any = {"anchor": "last_active_at", "days": 1}
    narrow: Any = {"type": "eq", "key": "lang", "value": "de"}
    refused: dict[str, Callable[[], object]] = {
        "filters": lambda: client.vector_stores.search(store, query="chairs", filters=narrow),
        "ranking_options": lambda: client.vector_stores.search(
            store, query="chairs", ranking_options={"score_threshold": 0.9}
        ),
        "expires_after": lambda: client.vector_stores.update(store, expires_after=forgetful),
        "attributes": lambda: client.vector_stores.files.create(store, file_id=uploaded.id, attributes={"lang": "de"}),
    }
    for field, ask in refused.items():
        with pytest.raises(openai.BadRequestError, match=f"{field} is not supported"):
            ask()


def test_a_store_is_made_with_its_files_and_renamed(client: openai.OpenAI) -> None:
    uploads = [client.files.create(file=(f"{n}.txt", f"Room {n}".encode()), purpose="assistants").id for n in "ab"]
    stores = client.vector_stores
    with pytest.raises(openai.NotFoundError, match="no file"):
        stores.create(name="at once", file_ids=[*uploads, "none"])
    assert "at once" not in [one.name for one in stores.list()]  # all of it, or nothing
    store = stores.create(name="at once", file_ids=uploads)
    assert store.file_counts.completed == 2
    renamed = stores.update(store.id, name=" Another  name ")
    assert (renamed.id, renamed.name, renamed.file_counts) == (store.id, "Another name", store.file_counts)
    assert stores.search(store.id, query="Room a").data
    assert stores.update(store.id, name="Another name") == stores.update(store.id) == renamed
    stores.create(name="taken")
    with pytest.raises(openai.BadRequestError, match="already"):
        stores.update(store.id, name="taken")


@pytest.mark.parametrize("way", ["one file", "a batch", "a new store"])
@pytest.mark.parametrize("meanwhile", ["renamed", "deleted"])
def test_a_store_that_is_changed_while_files_are_added_is_the_same_store_or_none(way: str, meanwhile: str) -> None:
    embedder = HeldEmbedder()
    with ExitStack() as kept:
        kept.callback(embedder.go_on.set)
        api = kept.enter_context(running_api(ScriptedEngine(), knowledge=knowledge_in_memory(embedder)))
        client = kept.enter_context(sdk(api))
        stores = client.vector_stores
        sent = [client.files.create(file=(f"{n}.txt", b"Some words."), purpose="assistants").id for n in range(2)]
        store = stores.create(name="work").id
        ways: dict[str, Callable[[], object]] = {
            "one file": lambda: stores.files.create(store, file_id=sent[0]),
            "a batch": lambda: stores.file_batches.create(store, file_ids=sent),
            "a new store": lambda: stores.create(name="work", file_ids=sent),
        }
        adding = kept.enter_context(ThreadPoolExecutor(1)).submit(ways[way])
        assert embedder.asked.wait(PATIENCE_S)
        _ = stores.update(store, name="home") if meanwhile == "renamed" else stores.delete(store)
        embedder.go_on.set()
        if meanwhile == "deleted":
            with pytest.raises(openai.NotFoundError):
                adding.result()
            assert list(stores.list()) == []
        else:
            adding.result()
            assert [(one.name, one.file_counts.completed) for one in stores.list()] == [
                ("home", 1 + (way != "one file"))
            ]


def test_stores_and_files_are_told_by_pages(client: openai.OpenAI) -> None:
    stores = client.vector_stores
    made = [stores.create(name=f"page {number}").id for number in range(5)]
    every = [one.id for one in stores.list()]
    assert set(made) <= set(every)
    assert [one.id for one in stores.list(limit=2)] == every  # the client asks for page after page
    first = stores.list(limit=2)
    assert ([one.id for one in first.data], first.has_more) == (every[:2], True)
    assert [one.id for one in stores.list(limit=100, order="asc")] == every[::-1]
    assert [one.id for one in stores.list(limit=1, before=every[2]).data] == every[1:2]
    assert stores.list(after=every[-1]).data == []
    for wrong in ({"after": "nobody"}, {"limit": 0}, {"limit": 101}, {"order": "up"}):
        with pytest.raises(openai.BadRequestError, match=next(iter(wrong))):
            stores.list(**wrong)  # type: ignore[arg-type]
    for name in "abc":
        upload = client.files.create(file=(f"{name}.txt", b"Some words."), purpose="assistants")
        stores.files.create(vector_store_id=made[0], file_id=upload.id)
    files = stores.files.list(vector_store_id=made[0], limit=2)
    assert (len(files.data), files.has_more) == (2, True)
    assert len(list(files)) == 3
    assert stores.files.list(vector_store_id=made[0], filter="failed").data == []


def test_nobody_sees_anothers(client: openai.OpenAI, other: openai.OpenAI) -> None:
    store = filled(client, "mine")
    uploaded = client.files.create(file=("a.txt", b"secret"), purpose="assistants")
    assert list(other.vector_stores.list()) == []
    own = other.vector_stores.create(name="mine").id
    assert own != store
    for refused in (
        lambda: other.vector_stores.retrieve(store),
        lambda: other.vector_stores.search(store, query="chairs"),
        lambda: other.vector_stores.update(store, name="theirs"),
        lambda: other.vector_stores.delete(store),
        lambda: other.vector_stores.create(name="b", file_ids=[uploaded.id]),
        lambda: other.vector_stores.files.list(store),
        lambda: other.vector_stores.files.create(own, file_id=uploaded.id),
    ):
        with pytest.raises(openai.NotFoundError):
            refused()


def test_the_program_of_the_documents_lets_the_model_search_and_cite(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (program,) = [program for program in programs if "vector_stores" in program]
    (tmp_path / "rooms.pdf").write_bytes(files.pdf(PAGES))
    monkeypatch.chdir(tmp_path)
    run: dict[str, Any] = {}
    exec(program.replace("http://127.0.0.1:7860", api.url).replace('"none")', '"ada")'), run)
    run["client"].close()
    assert capsys.readouterr().out == "Room 17 holds 187 chairs. [1], page 17\n"


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("empty.txt", b"", "0 bytes"),
        ("locked.pdf", files.pdf(["x"], encrypted=True), "password"),
        ("cut.pdf", files.pdf(PAGES)[:900], "damaged"),
    ],
)
def test_bad_files_get_their_sentence(client: openai.OpenAI, name: str, data: bytes, sentence: str) -> None:
    with pytest.raises(openai.BadRequestError, match=sentence) as refused:
        client.files.create(file=(name, data), purpose="assistants")
    assert refused.value.code == "document_refused"


@pytest.mark.parametrize("named", ["", "; filename*=UTF-8''notes.txt"])
def test_a_field_that_is_no_file_gets_a_sentence_of_ours(api: Api, named: str) -> None:
    part = f'--b\r\nContent-Disposition: form-data; name="file"{named}\r\n\r\nhello\r\n--b--\r\n'
    head = {"content-type": "multipart/form-data; boundary=b", "authorization": "Bearer bob"}
    refused = api.request("POST", "/v1/files", content=part.encode(), headers=head)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["param"] == "file"
    assert error["message"].startswith("Send file as a file of the form")


def test_embeddings_pass_through_in_both_formats(client: openai.OpenAI) -> None:
    given = client.embeddings.create(model="default", input=["four", "seventy"], encoding_format="float", dimensions=2)
    assert [one.embedding for one in given.data] == [[4.0, 2.0], [7.0, 2.0]]
    assert (given.model, given.usage.prompt_tokens, given.usage.total_tokens) == ("small", 14, 14)
    decoded = client.embeddings.create(model="other", input="four")  # the SDK asks for base64 by itself
    assert (decoded.data[0].embedding, decoded.model) == ([4.0, 0.0], "other")
    ids = client.embeddings.create(model="default", input=[[1, 2, 3], [4]], encoding_format="float")
    assert [one.embedding[0] for one in ids.data] == [3.0, 1.0]


def test_base64_is_little_endian_float32(api: Api) -> None:
    body = {"model": "default", "input": "four", "encoding_format": "base64"}
    answer = api.post("/v1/embeddings", body, headers={"authorization": "Bearer bob"}).json()
    assert struct.unpack("<2f", base64.b64decode(answer["data"][0]["embedding"])) == (4.0, 0.0)


@pytest.mark.parametrize("given", ["", [], [""], ["a", ""], [[]], ["x"] * 3_000, {"a": 1}, [1.5]])
def test_what_is_no_input_is_refused(client: openai.OpenAI, given: object) -> None:
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="default", input=given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["x"] * 2_049, "At most 2,048 items, not 2,049"),
        (["a", [1]], r"input\[1\]': Input should be a valid string"),
        ({"a": 1}, "Input should be a text, a list of texts"),
    ],
)
def test_what_is_wrong_with_an_input_is_said(client: openai.OpenAI, given: object, sentence: str) -> None:
    with pytest.raises(openai.BadRequestError, match=sentence):
        client.embeddings.create(model="default", input=given)  # type: ignore[arg-type]


def test_a_server_that_fails_is_said_to(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="embedding server"):
        client.embeddings.create(model="broken", input="x")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("openai", "No model of this name."), ("tei", "over 512 tokens"), ("vllm", "It has no dimensions to choose.")],
)
def test_a_server_that_says_what_is_wrong_with_a_request_is_passed_on(
    client: openai.OpenAI, model: str, sentence: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=sentence):
        client.embeddings.create(model=model, input="x")


@pytest.mark.parametrize("model", ["nowhere", "no key", "odd"])
def test_what_the_owner_has_to_mend_is_no_fault_of_the_request(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.InternalServerError, match="refused the request \\(status 40"):
        client.embeddings.create(model=model, input="x")


def test_embedded_tokens_count_against_the_keys_limit(api: Api) -> None:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key="bob", max_retries=0) as bob:
        bob.embeddings.create(model="default", input=["x"] * 400)
        with pytest.raises(openai.RateLimitError, match="tokens a minute"):
            bob.embeddings.create(model="default", input="x")


def test_without_a_server_the_setting_is_named(scripted_api: Api) -> None:
    with sdk(scripted_api) as client, pytest.raises(openai.NotFoundError, match="--embeddings-url"):
        client.embeddings.create(model="default", input="x")


def test_an_uploaded_file_is_never_written_to_disk(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    large = b"All of it is text. " * 120_000
    assert client.files.create(file=("large.txt", large), purpose="assistants").bytes == len(large)


def begun_upload(api: Api, key: str) -> socket.socket:
    """A connection on which a file of ``key`` is announced, and not sent."""
    head = f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\nAuthorization: Bearer {key}\r\n"
    form = "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 30000000\r\n\r\n--b\r\n"
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=20)
    connection.sendall((head + form).encode())
    return connection


def test_files_of_a_key_come_in_one_by_one_and_hold_up_nobody_elses(api: Api) -> None:
    with ExitStack() as kept:
        other = kept.enter_context(openai.OpenAI(base_url=f"{api.url}/v1", api_key="cyd", max_retries=0))
        begun = [kept.enter_context(begun_upload(api, "ada")) for _ in range(WAITING + 2)]
        (refused, *_), _, _ = select.select(begun, [], [], 20)  # none has sent its file, so an answer is a refusal
        assert refused.recv(1000).startswith(b"HTTP/1.1 429")
        assert other.files.create(file=("a.txt", b"meanwhile"), purpose="assistants").status == "processed"
        begun.remove(refused)
        assert select.select(begun, [], [], 0)[0] == []


def test_programs_may_send_several_files_at_once(client: openai.OpenAI) -> None:
    def send(number: int) -> str:
        return client.files.create(file=(f"{number}.txt", b"some text"), purpose="assistants").filename

    with ThreadPoolExecutor(6) as senders:
        assert list(senders.map(send, range(6))) == [f"{number}.txt" for number in range(6)]
