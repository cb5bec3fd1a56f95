"""The words of ``ui.words`` in the visitor's language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal

from qwen_app.ui.words.chat import CHAT
from qwen_app.ui.words.chats import CHATS
from qwen_app.ui.words.documents import DOCUMENTS
from qwen_app.ui.words.errors import ERRORS
from qwen_app.ui.words.found.areas import FOUND_AREAS
from qwen_app.ui.words.lens import LENS
from qwen_app.ui.words.notices import NOTICES
from qwen_app.ui.words.page import PAGE
from qwen_app.ui.words.presets import PRESETS
from qwen_app.ui.words.script import SCRIPT
from qwen_app.ui.words.tabs.areas import TAB_AREAS
from qwen_app.ui.words.toasts import REFUSALS, TOASTS

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")  # the order in which texts stand

FOUND_BY_THE_ENGLISH = ("notice_", "refused_", "wrong_")
LIMIT_TRANSLATED_CHARACTERS = 2000  # no sentence of ours is as long

# Each key stands once: a test compares the sizes.
AREAS = (
    PAGE,
    CHAT,
    LENS,
    DOCUMENTS,
    CHATS,
    PRESETS,
    SCRIPT,
    *TAB_AREAS,
    TOASTS,
    REFUSALS,
    ERRORS,
    NOTICES,
    *FOUND_AREAS,
)
TEXTS: dict[str, tuple[str, str]] = {key: texts for area in AREAS for key, texts in area.items()}


class Texts:
    """The words in one language, which may become another: ``texts("queued", position=3)``."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language

    @property
    def _column(self) -> int:
        return LANGUAGES.index(self.language)

    def __call__(self, key: str, /, **values: object) -> str:
        return filled(TEXTS[key][self._column], values)

    def translated(self, sentence: str, levels: int = 3) -> str:
        """The sentence, or its ours where it is one of ours; so too of sentences within it, ``levels`` deep."""
        if not self._column or not levels or len(sentence) > LIMIT_TRANSLATED_CHARACTERS:
            return sentence
        for pattern, ours in _noticed():
            if found := pattern.fullmatch(sentence):
                values = {name: self.translated(value, levels - 1) for name, value in found.groupdict().items()}
                return filled(ours[self._column], values)
        return sentence

    def error(self, code: str, message: str) -> str:
        """The sentence for an error; ``message`` is its own, in English."""
        ours = self.translated(message)
        return ours if ours != message else self(code if code in TEXTS else "other_error", message=message)


def filled(text: str, values: Mapping[str, object]) -> str:
    """A text with its values. ``{tokens} {tokens:token|tokens}`` has the noun that goes with the number, also in the
    texts that ``filled`` of observe.js fills in."""
    return text.format(**{name: _Value(value) for name, value in values.items()})


class _Value(str):
    def __format__(self, spec: str) -> str:
        one, varies, many = spec.partition("|")
        return str(self) if not varies else one if self == "1" else many


@cache
def _noticed() -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    """Notices and refusals, each with what finds it by its English."""
    told = [texts for key, texts in TEXTS.items() if key.startswith(FOUND_BY_THE_ENGLISH)]
    plain = [tuple(text.replace("{{", "{").replace("}}", "}") for text in texts) for texts in told]
    return [(_pattern(texts[0]), texts) for texts in plain]


def _pattern(english: str) -> re.Pattern[str]:
    """What finds the sentence, whatever its values are, in either number."""
    parts = re.split(r"(\{[^{}]+\})", english)
    return re.compile("".join(_part_pattern(part) if part.startswith("{") else re.escape(part) for part in parts), re.S)


def _part_pattern(part: str) -> str:
    name, varies, forms = part[1:-1].partition(":")
    return "(?:" + "|".join(map(re.escape, forms.split("|"))) + ")" if varies else f"(?P<{name}>.+?)"


def language_for(stored: str | None, setting: str, accept_language: str) -> Language:
    """The language to show: the visitor's own choice, else the operator's setting, else the browser's first known.

    ``accept_language`` is the HTTP header of that name (RFC 9110, 12.5.4); weights are honoured.
    """
    for wanted in (stored, setting):
        if wanted in ("en", "zh"):
            return "zh" if wanted == "zh" else "en"
    ranked = sorted(accept_language.split(","), key=_weight, reverse=True)
    for tag in ranked:
        primary = tag.strip().lower().split(";")[0].split("-")[0]
        if primary in ("zh", "en"):
            return "zh" if primary == "zh" else "en"
    return "en"


def _weight(tag: str) -> float:
    _, _, weight = tag.partition(";q=")
    try:
        return float(weight) if weight else 1.0
    except ValueError:
        return 0.0
