from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import qwen_app.ui
from qwen_app.ui.shared.strings import TEXTS, Texts, language_for

SOURCES = Path(qwen_app.ui.__file__).parent.rglob("*.py")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_say_everything(key: str) -> None:
    english, chinese = TEXTS[key]
    assert english.strip()
    assert chinese.strip()
    assert fields(chinese) <= fields(english)


@pytest.mark.parametrize("key", [key for key, (english, _) in TEXTS.items() if fields(english) != {"message"}])
def test_both_languages_name_the_same_values(key: str) -> None:
    english, chinese = TEXTS[key]
    assert fields(chinese) == fields(english)


def test_chinese_uses_its_own_punctuation() -> None:
    for _, chinese in TEXTS.values():
        assert not re.search(r"[\u4e00-\u9fff][,?:;!]", chinese), chinese


def test_every_text_asked_for_exists_and_every_text_is_asked_for() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES if path.name != "strings.py")
    quoted = set(re.findall(r"""["'](\w+)["']""", code)) | {f"run_{reason}" for reason in RUNS} | ERRORS
    unused = {key for key in TEXTS if key not in quoted and not key.startswith("notice_")}
    assert unused == set()
    for key in re.findall(r"""texts\(["'](\w+)""", code):
        assert key in TEXTS


RUNS = ("stop", "length", "tool_calls", "cancelled", "deadline", "failed")
ERRORS = {
    "context_length_exceeded",
    "rate_limit_exceeded",
    "service_unavailable",
    "out_of_memory",
    "upstream_error",
    "invalid_schema",
    "invalid_value",
    "engine_error",
    "other_error",
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


def test_errors_in_both_languages() -> None:
    assert Texts("en").error("engine_error", "It broke.") == "It broke."
    assert Texts("zh").error("engine_error", "It broke.") == "服务器出错了，请再试一次。"
    assert Texts("zh").error("never_heard_of", "It broke.") == "出错了：It broke."


def test_known_sentences_are_translated() -> None:
    assert Texts("zh").translated("Token counts are estimates.") == "词元数为估计值。"
    assert Texts("zh").translated("Something else.") == "Something else."
