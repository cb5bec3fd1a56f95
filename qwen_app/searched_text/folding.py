"""Text as a search compares it: what looks or reads alike is alike, whatever it is written in."""

from __future__ import annotations

import re
from itertools import dropwhile
from unicodedata import category, normalize

import numpy as np

_UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")  # soft hyphens, joiners and blanks of no width
# What most texts have of what NFKC changes: by itself it takes a tenth of the time that the whole text would.
_COMMON = re.compile("[\u00a0\u2026\u3000\uff5f-\uffee]+")
_WIDE_FIRST, _WIDE_LAST, _WIDER = 0xFF01, 0xFF5E, 0xFEE0  # ASCII in full width, which Chinese punctuation is
_MOST_MARKS = 30  # on a letter, as Unicode's own stream-safe texts have: to order n of them takes n * n steps
# Of more than so many, or of letters that have their places among them. Chinese and Latin have none there.
_PILE = re.compile(
    "[\u0300-\u1dff\u20d0-\u20ff\u2cef-\u2dff\u302a-\u302f\u3099\u309a\ua66f-\uabed\ufb1e\ufe20-\ufe2f"
    "\U000101fd-\U0001e94a]{31,}"
)
# Latin letters with an accent, and signs behind any that may be one: who searches often types none, and many a page
# lacks them.
_ACCENTED = re.compile(r"(?:([\u00e0-\u00f6\u00f8-\u024f\u1e00-\u1eff])|(?<=[a-z])(?=[^\w\s\0-\x7f]))([^\w\s\0-\x7f]*)")
_BREAK = re.compile("[\n\r\v\f\x85\u2028\u2029]")
# Han and kana, whose words a line's end does not part: these languages have no blanks between words.
_GAP = re.compile(
    "(?<=[\u3005-\u3007\u3041-\u3096\u309d-\u30ff\u3400-\u9fff\U00020000-\U0003ffff])\\s++"
    "(?=[\u3005-\u3007\u3041-\u3096\u309d-\u30ff\u3400-\u9fff\U00020000-\U0003ffff])"
)


def folded(text: str) -> str:
    """``text`` with full and half widths, ligatures, accents of their own and capitals as they are usually typed,
    Latin letters without accents, without what is not seen, and without the line breaks within Chinese and Japanese."""
    if text.isascii():
        return text.lower()
    text = _COMMON.sub(lambda found: normalize("NFKC", found[0]), _narrow(_UNSEEN.sub("", text)))
    text = _ACCENTED.sub(_bare, _composed(_composed(text).casefold()))
    return _GAP.sub(_closed, text) if _BREAK.search(text) else text


def _narrow(text: str) -> str:
    """``text`` with ASCII in full width as ASCII: every tenth character of Chinese, and more than a regex can change
    while somebody waits."""
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2")
    wide = (units >= _WIDE_FIRST) & (units <= _WIDE_LAST)
    return (units - wide * np.uint16(_WIDER)).astype("<u2").tobytes().decode("utf-16-le", "surrogatepass")


def _composed(text: str) -> str:
    return normalize("NFKC", _PILE.sub(_without_excess, text))


def _without_excess(pile: re.Match[str]) -> str:
    kept, marks = [], 0
    for sign in pile[0]:
        marks = marks + 1 if category(sign).startswith("M") else 0
        if marks <= _MOST_MARKS:
            kept.append(sign)
    return "".join(kept)


def _bare(found: re.Match[str]) -> str:
    letter, signs = found[1] or "", found[2]
    return normalize("NFD", letter)[:1] + "".join(dropwhile(lambda sign: category(sign).startswith("M"), signs))


def _closed(gap: re.Match[str]) -> str:
    return "" if _BREAK.search(gap[0]) else gap[0]
