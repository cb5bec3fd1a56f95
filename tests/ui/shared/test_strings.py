from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

import qwen_app.ui
from qwen_app.documents.document import NoteCode
from qwen_app.documents.refusal import SENTENCES
from qwen_app.ui.shared.strings import AREAS, FOUND_BY_THE_ENGLISH, TEXTS, Texts, filled, language_for
from qwen_app.ui.words.toasts import REFUSALS
from qwen_app.web.page_calls import ledger

UI = Path(qwen_app.ui.__file__).parent
SOURCES = [path for path in UI.rglob("*.py") if UI / "words" not in path.parents]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


SAID_BY_THE_SERVER = ("toast_", *FOUND_BY_THE_ENGLISH, "document_too_m")  # of limits, which are never 1
NO_NUMBERS = dict.fromkeys(("name", "file"), "x")
AFTER_ONE = re.compile(r"\b1 (?:\w+ )?(?!is\b|has\b|was\b|pass\b)[a-z]+s\b(?!/)|\b1 (?:are|have)\b")


def test_no_text_has_a_plural_after_one() -> None:
    ones = {}
    for key, (english, _) in TEXTS.items():
        in_python = filled(english, dict.fromkeys(fields(english), "1") | NO_NUMBERS)
        in_script = filled(in_python, dict.fromkeys(fields(in_python), "1")).replace("#", "1")
        ones[key] = in_script
    said = {key: text for key, text in ones.items() if not key.startswith(SAID_BY_THE_SERVER)}
    found = {key: text for key, text in said.items() if AFTER_ONE.search(text)}
    assert found == {}


def test_a_number_has_the_noun_that_goes_with_it() -> None:
    texts = Texts("en")
    assert texts("tools_line", rounds=1, prompt="46", completion="1", seconds="0.1") == "1 round · 46 + 1 token · 0.1 s"
    assert texts("lens_out", turns=2, tokens="1,024") == "2 turns left out (1,024)"
    assert Texts("zh")("lens_out", turns=1, tokens="9") == "1 轮不发送（9）"


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
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in UI.rglob("*.js"))
    quoted |= {f"document_{reason}" for reason in re.findall(r'reason: "(\w+)"', code + scripts)}
    unused = {key for key in TEXTS if key not in quoted and not key.startswith(FOUND_BY_THE_ENGLISH)}
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
NOT_OF_THE_PAGE = {  # it asks for the QR codes of its own links, and for changes
    "A QR code needs an address, and not too long a one.",
    "Say what is to be changed: title or pinned.",
}


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


CHECKING = (*(UI.parent / "structured").rglob("*.py"), UI / "tools/definitions.py")
# What no page asks for, or only once the answer is being written.
NOT_OF_A_SCHEMA = {
    *("7", "7 cannot be enforced: 7.", "Token 7 is not allowed here by the grammar.", "There is no tool."),
    "No legal ending of this answer was found in reasonable time. Use a simpler schema.",
    "Beside tools an answer can be held to a JSON Schema, not to a regex or a choice.",
    "There is no tool called 7 to choose.",
}


def test_every_fault_of_a_schema_or_a_tool_is_said_in_chinese() -> None:
    texts = Texts("zh")
    found = {sentence for path in CHECKING for sentence in refusals_of(path)} - NOT_OF_A_SCHEMA
    found = {re.sub(r"^7 (?=nested|not )", "The tools are ", sentence) for sentence in found}
    assert len(found) > 25
    said = {sentence: texts.translated(sentence) for sentence in found}
    assert [one for one, chinese in said.items() if re.search(r"[a-z]+ [a-z]+ [a-z]+", chinese)] == []


def refusals_of(path: Path) -> Iterator[str]:
    """The sentences that a module raises as SchemaError, or what is filled into them; what is filled in is "7"."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("SchemaError", "_wrong", "_at_most"):
            for given in call.args:
                if isinstance(given, ast.JoinedStr):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in given.values)
                elif isinstance(given, ast.Constant) and " " in str(given.value):
                    yield str(given.value)


LATIN = """
API BOM C CPU CSV Cookie DOCX English Enter Esc GB GPU HTML JSON KB MB Markdown MiB Min-p NaN OCR Office OpenAI PDF
PPTX Python Qwen Schema Shanghai Shift Top-k Top-p UTF-8 Unicode Word XLSX XML anyOf api-keys context csv defs docx e308
false format look-around maxLength minProperties multipleOf null object oneOf pptx presets required share top-k top-p
true txt type u version xlsx
"""


def test_chinese_texts_hold_names_and_no_english() -> None:
    said = {key: re.sub(r"<[^>]*>|\{+.*?\}+", " ", chinese) for key, (_, chinese) in TEXTS.items()}
    found = {key: set(re.findall(r"[A-Za-z][\w-]*", chinese)) - set(LATIN.split()) for key, chinese in said.items()}
    assert {key: words for key, words in found.items() if words} == {}


def test_what_a_hostile_sentence_nests_is_not_unfolded_without_end() -> None:
    begun = time.monotonic()
    Texts("zh").translated("x" + " is empty" * 200 + " (at /)" * 20)
    assert time.monotonic() - begun < 1


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


@pytest.mark.parametrize(
    ("device", "chinese"), [("CPU, 2 threads", "CPU，2 个线程"), ("CPU, 1 thread", "CPU，1 个线程")]
)
def test_a_device_is_told_in_chinese(device: str, chinese: str) -> None:
    assert Texts("zh").translated(device) == chinese
    assert Texts("en").translated(device) == device
