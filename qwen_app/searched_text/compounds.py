"""Words and numbers that some write in parts and others in one: XR-2000-B and XR2000B, 030/123 45 and 03012345."""

from __future__ import annotations

import re

from qwen_app.searched_text.folding import folded

LETTER = r"[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # of a word that has blanks, or Chinese, beside it
_WORDS = re.compile(f"(?<!{LETTER}){LETTER}++(?:[-\u2010-\u2015\u2212./_]{LETTER}++)++")
_NUMBERS = re.compile(
    rf"(?<!{LETTER})[a-z]{{0,3}}\d++(?:(?:[-\u2010-\u2015\u2212./ ()]{{1,3}}|,(?=\d{{3}}(?!\d)))\d++(?!{LETTER}))++"
)
_BETWEEN = re.compile(f"(?!{LETTER}).", re.S)


def compounds(folded_text: str) -> list[str]:
    """Those of a text in one, each once."""
    found = [*_WORDS.findall(folded_text), *_NUMBERS.findall(folded_text)]
    return list(dict.fromkeys(_BETWEEN.sub("", one) for one in found))


def searchable(text: str) -> str:
    """``text`` folded, and below it what it writes in parts in one."""
    text = folded(text)
    return "\n".join(filter(None, (text, " ".join(compounds(text)))))
