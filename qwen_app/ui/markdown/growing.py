"""An answer that is drawn again and again while it grows: what no later word can change is drawn once."""

from __future__ import annotations

import re

from qwen_app.ui.markdown.answer import answer_markdown
from qwen_app.ui.markdown.prose import ends_in_code
from qwen_app.ui.shared.render import ends_in_fence

_LAST_BLANK_LINE = re.compile(r".*\n[ \t]*\n", re.DOTALL)


class GrowingAnswer:
    """``drawn`` gives what ``answer_markdown`` would, in time for the last paragraph instead of the whole text."""

    def __init__(self) -> None:
        self._settled = ""
        self._drawn = ""

    def drawn(self, text: str) -> str:
        """``text`` as markdown. One that goes on from the text before costs least."""
        if not text.startswith(self._settled):
            self._settled = self._drawn = ""
        rest = text[len(self._settled) :]
        paragraphs = _LAST_BLANK_LINE.match(rest)
        if paragraphs and not (ends_in_code(paragraphs[0]) or ends_in_fence(paragraphs[0])):
            self._settled += paragraphs[0]
            self._drawn += answer_markdown(paragraphs[0])
            rest = rest[paragraphs.end() :]
        return self._drawn + answer_markdown(rest)
