"""What of a markdown text is prose: the rest is code, which nobody may change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from qwen_app.ui.shared.render import code_spans

_FENCE = re.compile(r"[ >]*(`{3,}(?=[^`]*$)|~{3,})(.*)")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def change_prose(markdown: str, change: Callable[[str], str]) -> str:
    """``markdown`` with ``change`` made to every stretch outside fences and code spans (CommonMark 4.5, 6.1)."""
    return "".join(text if is_code else _around_spans(text, change) for is_code, text in _blocks(markdown))


def ends_in_code(markdown: str) -> bool:
    """Whether a fence is still open at the end."""
    *_, (is_code, _) = _blocks(markdown)
    return is_code


def _blocks(markdown: str) -> Iterator[tuple[bool, str]]:
    """Runs of lines, each with whether it is code. A fence that is not closed yet runs to the end."""
    fence, run = "", ""
    for line in _LINE.findall(markdown):
        mark = _FENCE.match(line.rstrip("\n"))
        if fence:
            run += line
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                yield True, run
                fence, run = "", ""
        elif mark:
            yield False, run
            fence, run = mark[1], line
        else:
            run += line
    yield bool(fence), run


def _around_spans(prose: str, change: Callable[[str], str]) -> str:
    """A stretch beside code is changed with a backtick there, for what it touches may matter."""
    pieces: list[str] = []
    end, before = 0, ""
    for start, stop in code_spans(prose):
        changed = change(f"{before}{prose[end:start]}`")
        pieces += [changed.removeprefix(before)[:-1], prose[start:stop]]
        end, before = stop, "`"
    return "".join([*pieces, change(before + prose[end:]).removeprefix(before)])
