"""Emphasis beside Chinese punctuation.

By CommonMark (6.2) ``**`` after punctuation closes nothing unless a space or more punctuation follows, and Chinese has
no spaces: ``**步骤一：**打开`` keeps its stars. The known amendment lets a run of stars open and close beside CJK
characters as well; an invisible character between the punctuation and the stars has the same effect.
"""

from __future__ import annotations

import re
import unicodedata

from qwen_app.ui.shared.render import WORD_JOINER

_RUN = re.compile(r"(?<![\\*~])(?:\*{1,3}|~~)(?![*~])")


def mend_emphasis(prose: str) -> str:
    """``prose`` with emphasis that works in Chinese, Japanese and Korean sentences."""
    pieces: list[str] = []
    end = 0
    for run in _RUN.finditer(prose):
        before = prose[run.start() - 1] if run.start() else " "
        after = prose[run.end()] if run.end() < len(prose) else " "
        pieces += [prose[end : run.start()], _mended(before, run[0], after)]
        end = run.end()
    return "".join([*pieces, prose[end:]])


def _mended(before: str, run: str, after: str) -> str:
    if before.isspace() or after.isspace() or not (_is_cjk(before) or _is_cjk(after)):
        return run
    opens, closes = _is_punctuation(after), _is_punctuation(before)
    if opens == closes:
        return run
    return f"{run}{WORD_JOINER}" if opens else f"{WORD_JOINER}{run}"


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _is_cjk(character: str) -> bool:
    """A wide character of East Asian scripts, or punctuation that Chinese shares with the West (“ ” ‘ ’ … — ·)."""
    return unicodedata.east_asian_width(character) in "WF" or character in "“”‘’…—·"
