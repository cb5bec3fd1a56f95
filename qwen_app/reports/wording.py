"""A sentence in the languages of the page, for what is told both there and in reports written elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Wording:
    """The same words in English and in Chinese."""

    en: str
    zh: str

    def told(self, language: Literal["en", "zh"], **values: object) -> str:
        """The words in ``language``, with ``values`` in their places."""
        return (self.zh if language == "zh" else self.en).format(**values)

    def filled(self, **values: object) -> Wording:
        """The same with ``values`` in their places, whatever they hold."""
        return Wording(*(_plain(words.format(**values)) for words in (self.en, self.zh)))


def _plain(words: str) -> str:
    """Words in which nothing is a place for a value."""
    return words.replace("{", "{{").replace("}", "}}")
