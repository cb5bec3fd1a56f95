from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

import qwen_app.ui
from qwen_app.documents.document import NoteCode
from qwen_app.documents.refusal import SENTENCES
from qwen_app.ui.shared.strings import AREAS, TEXTS, Texts, language_for
from qwen_app.ui.words.toasts import REFUSALS
from qwen_app.web.page_calls import ledger

UI = Path(qwen_app.ui.__file__).parent
SOURCES = [path for path in UI.rglob("*.py") if UI / "words" not in path.parents]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_say_everything() -> None:
    assert [key for key, (english, chinese) in TEXTS.items() if not english.strip() or not chinese.strip()] == []


def test_both_languages_name_the_same_values() -> None:
    values = {key: (fields(english), fields(chinese)) for key, (english, chinese) in TEXTS.items()}
    assert {key: of for key, of in values.items() if not of[1] <= of[0]} == {}
    assert {key: of for key, of in values.items() if of[1] != of[0] != {"message"}} == {}


def test_no_two_areas_have_a_text_of_the_same_name() -> None:
    assert len(TEXTS) == sum(map(len, AREAS))


def test_chinese_uses_its_own_punctuation() -> None:
    for _, chinese in TEXTS.values():
        assert not re.search(r"[\u4e00-\u9fff][,?:;!]", chinese), chinese


def test_every_text_asked_for_exists_and_every_text_is_asked_for() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    quoted = set(re.findall(r"""["'](\w+)["']""", code)) | {f"run_{reason}" for reason in RUNS} | ERRORS
    quoted |= {f"document_{reason}" for reason in SENTENCES} | {f"document_note_{code}" for code in get_args(NoteCode)}
    unused = {key for key in TEXTS if key not in quoted and not key.startswith(("notice_", "refused_"))}
    assert unused == set()
    for key in re.findall(r"""texts\(["'](\w+)""", code):
        assert key in TEXTS


RUNS = ("stop", "length", "tool_calls", "cancelled", "deadline", "failed", "interrupted", "unwatched")
ERRORS = {
    "context_length_exceeded",
    "rate_limit_exceeded",
    "server_full",
    "disk_full",
    "service_unavailable",
    "out_of_memory",
    "upstream_error",
    "invalid_schema",
    "invalid_value",
    "schema_not_met",
    "engine_error",
    "other_error",
    "paused_by_presenter",
    "stopped_by_presenter",
    "turns_used_up",
    "guest_link_over",
}


@pytest.mark.parametrize(
    ("stored", "setting", "accepted", "language"),
    [
        (None, "auto", "zh", "zh"),
        (None, "auto", "zh-Hans-CN", "zh"),
        (None, "auto", "zh-TW,zh;q=0.9,en;q=0.8", "zh"),
        (None, "auto", "en-US,en;q=0.9,zh;q=0.8", "en"),
        (None, "auto", "de,zh;q=0.3,en;q=0.7", "en"),
        (None, "auto", "fr-FR, zh;q=x", "zh"),
        (None, "auto", "fr-FR", "en"),
        (None, "auto", "", "en"),
        (None, "zh", "en-US", "zh"),
        ("en", "zh", "zh-CN", "en"),
        ("zh", "auto", "en-US", "zh"),
        ("nonsense", "auto", "zh", "zh"),
    ],
)
def test_language(stored: str | None, setting: str, accepted: str, language: str) -> None:
    assert language_for(stored, setting, accepted) == language


REFUSING = (
    *("web/chats/routes.py", "web/chats/link_routes.py", "web/guests/presenter_routes.py", "http/turns.py"),
    *(
        "saved_chats/chat_json.py",
        "saved_chats/chat_store.py",
        "saved_chats/share_store.py",
        "saved_chats/saved_chats.py",
    ),
    *("guests/guest_book.py", "ui/files/asking.py", "ui/documents/attaching.py", "ui/next_token/distribution.py"),
)
NOT_OF_THE_PAGE = {"A QR code needs an address, and not too long a one."}  # it asks for the QR codes of its own links


def test_every_refusal_that_reaches_the_page_is_said_in_both_languages() -> None:
    sentences = {sentence for path in REFUSING for sentence in sentences_of(UI.parent / path)} - NOT_OF_THE_PAGE
    known = {english.replace("{{number}}", "#") for english, _ in REFUSALS.values()}
    assert sentences == known


def sentences_of(path: Path) -> Iterator[str]:
    """The sentences in a module that end with a full stop and are no docstrings; what is filled in is "#"."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "#" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described | parts:
            text = re.sub(r"\{.*?\}", "#", node.value)
        else:
            continue
        if re.fullmatch(r"[A-Z].* .*\.", text):
            yield text


def test_errors_in_both_languages() -> None:
    assert Texts("zh").error("engine_error", "The model ends the answer here.") == "模型会在这里结束回答。"
    nine = Texts("zh").error("invalid_value", "At most 8 documents can be sent with one message.")
    assert nine == "一条消息最多可附带 8 份文档。"
    assert Texts("en").error("engine_error", "It broke.") == "It broke."
    assert Texts("zh").error("engine_error", "It broke.") == "服务器出错了，请再试一次。"
    assert Texts("zh").error("never_heard_of", "It broke.") == "出错了：It broke."


def test_known_sentences_are_translated() -> None:
    assert Texts("zh").translated("Token counts are estimates.") == "词元数为估计值。"
    assert Texts("zh").translated("Something else.") == "Something else."


def test_every_refusal_of_a_document_says_the_same_in_its_own_words_and_on_the_page() -> None:
    assert {reason: TEXTS[f"document_{reason}"][0] for reason in SENTENCES} == SENTENCES


def test_every_refusal_of_the_servers_can_be_said_in_a_toast() -> None:
    refusals = {value for name, value in vars(ledger).items() if name.startswith("_") and isinstance(value, str)}
    sentences = {sentence for sentence in refusals if sentence.endswith(".")}
    assert len(sentences) > 5
    assert sentences <= {english.replace("{{", "{").replace("}}", "}") for english, _ in TEXTS.values()}
