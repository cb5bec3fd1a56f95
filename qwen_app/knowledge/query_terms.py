"""What of a question is looked for: words, and pieces of Chinese, which has no blanks between its words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qwen_app.searched_text.compounds import LETTER, compounds
from qwen_app.searched_text.folding import folded

INDEXED_FROM = 3  # characters: the index holds trigrams, shorter terms are looked for one by one
LIMIT_QUESTION = 4_000  # characters that are looked at
LIMIT_TERMS = 48  # of a question: more say nothing new
_WORD = re.compile(f"{LETTER}+")
_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
# Words that every text has. They would only make each passage a little like each question.
_COMMON_WORDS = """
a about all an and any are as at be been but by can could did do does for from get had has have how i if in into is it
its me my of on or our out should so than that the their them then there these they this those to under was we were
what when where which who whom why will with would you your"""
_COMMON = frozenset(_COMMON_WORDS.split())
_COMMON_HAN = frozenset("的了是在有和与及或吗呢吧什么怎么多少哪请问这那个些为对中上下不可以要到就都也而且如何")


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """``indexed`` are three characters and longer, ``short`` fewer: Chinese words, and numbers. ``telling``
    are those by which a passage is judged to be about the question at all."""

    indexed: tuple[str, ...]
    short: tuple[str, ...]
    telling: tuple[str, ...]

    @property
    def match(self) -> str:
        """The terms as a query of FTS5: any of them, each as a string of its own."""
        return " OR ".join('"' + term.replace('"', '""') + '"' for term in self.indexed)


def terms_of(question: str) -> QueryTerms:
    """The terms of ``question``, folded as the texts are; none of a blank one."""
    question = folded(question[:LIMIT_QUESTION])
    telling = [word for word in compounds(question) + _WORD.findall(question) if word not in _COMMON]
    runs = _RUN.findall(question)
    indexed = [word for word in telling if len(word) >= INDEXED_FROM] + _pieces(runs, INDEXED_FROM)
    short = [word for word in telling if len(word) < INDEXED_FROM] + _pieces(runs, 2)
    short += [run for run in runs if len(run) == 1]
    pairs = [piece for piece in _pieces(runs, 2) if _COMMON_HAN.isdisjoint(piece)]
    return QueryTerms(_first(indexed), _first(short), _first(telling + pairs or short))


def _pieces(runs: list[str], size: int) -> list[str]:
    """All pieces of ``size`` characters, without those that are made of common ones alone."""
    found = [run[start : start + size] for run in runs for start in range(len(run) - size + 1)]
    return [piece for piece in found if not _COMMON_HAN.issuperset(piece)]


def _first(terms: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(terms))[:LIMIT_TERMS]
