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
_THOUSANDS = re.compile(r"\d{1,3}(?:[., ]\d{3})+")
_FEWEST_DIGITS = 6  # of other numbers: clause 1.1 is not clause 11, 12.50 not room 1250, and 2-3 days not 23


def compounds(folded_text: str) -> list[str]:
    """Those of a text in one, each once."""
    found = dict.fromkeys([*_WORDS.findall(folded_text), *_NUMBERS.findall(folded_text)])
    return list(dict.fromkeys(joined for one in found if (joined := _joined(one))))


def _joined(parts: str) -> str:
    """Empty where they are several numbers."""
    joined = _BETWEEN.sub("", parts)
    is_one = len(joined) >= _FEWEST_DIGITS or not joined.isdecimal() or _THOUSANDS.fullmatch(parts)
    return joined if is_one else ""


def searchable(text: str) -> str:
    """``text`` folded, and below it what it writes in parts in one."""
    text = folded(text)
    return "\n".join(filter(None, (text, " ".join(compounds(text)))))
