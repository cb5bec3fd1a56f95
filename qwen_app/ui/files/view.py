"""What the files tab shows: what became of files, an answer with its footnotes, and the passages behind them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from qwen_app.knowledge.citing import cited, with_footnotes
from qwen_app.knowledge.file_store import Collection, KeptFile
from qwen_app.knowledge.search import FoundPassage
from qwen_app.ui.markdown.answer import answer_markdown
from qwen_app.ui.shared.render import WORD_JOINER
from qwen_app.ui.shared.strings import Texts

# Footnotes within code are code.
_OUTSIDE_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.S)
# The blank before it is part of it, unless it makes a list's mark of what is before: no line begins with a footnote.
_FOOTNOTE = re.compile(r"(?:(?<!\d\.)(?<=[^\s*+>#|-])[ \t])?\[(\d{1,2})\]")


@dataclass(frozen=True, slots=True)
class FilesView:
    """What changes on the page; None leaves a part as it is. ``running`` sets the buttons."""

    answer: str | None = None
    state: str | None = None
    sources: str | None = None
    running: bool | None = None


@dataclass(frozen=True, slots=True)
class CollectionView:
    """The collections, the one that is shown, its files (labels and ids), and what just became of them; ``sure`` asks
    whether the collection that is ``dropping`` shall be deleted."""

    collections: list[str]
    shown: str
    files: list[tuple[str, str]]
    told: str = ""
    sure: str = ""
    dropping: Collection | None = None


def answer_text(text: str, count: int) -> str:
    """The answer as markdown; its citations are footnotes, and those of passages that are not there are taken out."""
    pieces = _OUTSIDE_CODE.split(answer_markdown(text))
    for index in range(0, len(pieces), 2):
        pieces[index] = _FOOTNOTE.sub(
            rf'{WORD_JOINER}<sup title="[\1]">[\1]</sup>', with_footnotes(pieces[index], count)
        )
    return "".join(pieces)


def sources_html(passages: Sequence[FoundPassage], answer: str, texts: Texts) -> str:
    """The passages by number, folded; those that the answer cites are marked."""
    if not passages:
        return ""
    named = cited("".join(_OUTSIDE_CODE.split(answer)[::2]), len(passages))
    items = "".join(_source(number, one, number in named) for number, one in enumerate(passages, 1))
    return f'<h3>{texts("files_sources")}</h3><div class="sources">{items}</div>'


def _source(number: int, one: FoundPassage, named: bool) -> str:
    opening = '<details class="source cited"' if named else '<details class="source"'
    place = escape(one.place.strip("[]"))
    return (
        f'{opening} data-number="{number}"><summary><b>[{number}]</b> '
        f'{escape(one.file)} <span>{place}</span></summary><pre tabindex="0">{escape(one.text.strip())}</pre></details>'
    )


def file_labels(files: Sequence[KeptFile], texts: Texts) -> list[tuple[str, str]]:
    """The boxes for files: what they are called, and their ids."""
    return [(texts("files_file", name=one.name, characters=f"{one.characters:,}"), one.id) for one in files]


def told_html(good: Sequence[str], bad: Sequence[str]) -> str:
    """What became of files: a line each."""
    lines = [f'<div class="check good">✓ {escape(line)}</div>' for line in good]
    lines += [f'<div class="check bad" role="alert">✗ {escape(line)}</div>' for line in bad]
    return "".join(lines)


def sure_html(sentence: str) -> str:
    """A question before something that cannot be undone."""
    return f'<div class="files-sure" role="alert">{escape(sentence)}</div>'


def hint_html(sentence: str) -> str:
    """Something that is good to know, and needs nothing done."""
    return f'<div class="hint">{escape(sentence)}</div>'
