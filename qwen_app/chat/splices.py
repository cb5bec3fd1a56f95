"""Answers put into a rendered conversation with the ids that the model wrote them with."""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterator

from qwen_app.chat.guard import alternatives


class Splices:
    """Marks answers for a template, and finds those that it printed whole.

    A mark stands behind an answer's first character and one before its last. Whitespace and ``sought``, what the
    template looks for in texts, are left outside, so that it trims and parts an answer as if there were no marks: a
    thought that it leaves out stays out. An answer of nothing but whitespace has its marks around it.
    """

    def __init__(self, mark: str, sought: Collection[str]) -> None:
        self._mark = mark
        self._beginning = re.compile(rf"(?:{alternatives(sought)}|\s)*")
        self._end = re.compile(rf"(?:{alternatives([text[::-1] for text in sought])}|\s)*")  # read backwards
        self._answers: dict[str, dict[tuple[str, str], array[int]]] = {}  # by what is between the marks, then beside

    def marked(self, text: str, ids: array[int]) -> str:
        """``text`` with its marks, which stands for ``ids``. Where there is no place for them, it is text."""
        first = _length(self._beginning, text) + 1
        last = max(first, len(text) - _length(self._end, text[::-1]) - 1)
        if text.isspace():
            first, last = 0, len(text)
        elif first > len(text):
            return text
        head, middle, tail = text[:first], text[first:last], text[last:]
        self._answers.setdefault(middle, {})[head, tail] = ids
        return self._mark.join((head, middle, tail))

    def parts(self, rendered: str) -> Iterator[str | array[int]]:
        """``rendered`` as texts without marks, and the ids of answers between them."""
        pieces = rendered.split(self._mark)
        held, index = [pieces[0]], 1
        while index < len(pieces):
            found = self._whole(held[-1], *pieces[index : index + 2])
            if found is None:
                held.append(pieces[index])
                index += 1
                continue
            head, tail, ids = found
            held[-1] = held[-1].removesuffix(head)
            yield "".join(held)
            yield ids
            held = [pieces[index + 1].removeprefix(tail)]
            index += 2
        yield "".join(held)

    def _whole(self, before: str, middle: str, after: str | None = None) -> tuple[str, str, array[int]] | None:
        """The answer with ``middle`` whose head and tail stand before and after it, the longest of several."""
        if after is None:
            return None
        found = [
            (head, tail, ids)
            for (head, tail), ids in self._answers.get(middle, {}).items()
            if before.endswith(head) and after.startswith(tail)
        ]
        return max(found, key=lambda answer: len(answer[0]) + len(answer[1]), default=None)


def _length(pattern: re.Pattern[str], text: str) -> int:
    """Of what ``pattern`` matches at the beginning of ``text``."""
    found = pattern.match(text)
    return found.end() if found else 0
