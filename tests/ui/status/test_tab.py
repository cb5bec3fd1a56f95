"""What the server tells its owner stands on the Status tab and in the header, in his language, and for nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.status.tab import notices_html
from tests.attacks.page_client import PageClient, page_client
from tests.browser.serving import running_page

LOGINS = "ada:one,bob:two"
DAMAGED = "knowledge.sqlite3"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data")
    (folder / DAMAGED).write_bytes(b"this is no database" * 1000)
    with running_page(ScriptedEngine(Script(("ok",))), auth=LOGINS, data_dir=folder) as address:
        with page_client(address, "first", ("ada", "one")) as page:  # opens the database
            page.http.get("/v1/vector_stores").raise_for_status()
        yield address


def loaded(page: PageClient, language: str) -> str:
    """All that the page is told as it is loaded."""
    handlers = [one for one in page.config["dependencies"] if any(event == "load" for _, event in one["targets"])]
    told = ""
    for handler in [one for one in handlers if one["backend_fn"]]:
        data = [language for _ in handler["inputs"]]
        answer = page.direct({"fn_index": handler["id"], "data": data, "session_hash": page.session})
        told += json.dumps(answer.json(), ensure_ascii=False)
    return told


@pytest.mark.parametrize(("language", "words"), [("en", "begin anew"), ("zh", "已重新开始")])
def test_the_owner_is_told_in_his_language(url: str, language: str, words: str) -> None:
    with page_client(url, f"ada{language}", ("ada", "one")) as page:
        told = loaded(page, language)
    assert words in told
    assert DAMAGED in told
    assert Texts("zh" if language == "zh" else "en")("status_see") in told  # in the header


def test_others_are_not(url: str) -> None:
    with page_client(url, "bob", ("bob", "two")) as page:
        told = loaded(page, "en")
    assert DAMAGED not in told
    assert Texts("en")("status_see") not in told


@pytest.mark.parametrize(
    "sentence",
    [
        "Saved chats begin anew: chats.sqlite3 could not be used: the file is damaged (row 7 missing). It is kept as "
        "chats.unusable-2026.sqlite3; taken over from it: 3 chats, 9 messages.",
        "Saved chats are kept in memory only, and end with this process: the database refuses (database is locked).",
        "Saved chats are not those of the last start: links that were not open then are ended (2 of guests, 1 to "
        "chats). Make new ones.",
    ],
)
def test_a_notice_is_said_in_chinese_with_its_values(sentence: str) -> None:
    said = Texts("zh").translated(sentence)
    assert "已保存的对话" in said
    assert "{" not in said
    assert not {"begin", "kept", "refuses", "ended"} & set(said.split())


def test_notices_are_text(url: str) -> None:
    assert "<img" not in notices_html(["<img src=x>"], Texts("en"))
    assert notices_html([], Texts("en")) == ""
