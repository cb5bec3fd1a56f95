"""Model and user text made safe to draw: no HTML, no diagrams, no images fetched from elsewhere.

The page's markdown renderer removes HTML it does not trust, but draws Mermaid fences after that step, and it fetches
images, whose addresses can carry a conversation away. An invisible character in the right places makes text of tags,
plain code of Mermaid fences and links of images; taking it out again gives back what was there. Code stays as it is
where it is code beyond doubt. The page's Content-Security-Policy is the second wall.
"""

from __future__ import annotations

import re

WORD_JOINER = "\u2060"  # drawn as nothing, breaks no line

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_DIAGRAM = re.compile(r"((?:`{3,}|~{3,}).*?m)(?=ermaid)", re.IGNORECASE)
_CODE_SPAN = re.compile(r"(?<![`\\])(`+)(?!`).+?(?<!`)\1(?!`)")
_TAG_OR_IMAGE = re.compile(r"<(?=[A-Za-z/!?])|!(?=\[)")


def safe_markdown(text: str) -> str:
    """``text`` as markdown that can neither run, draw nor fetch anything."""
    lines: list[str] = []
    fence = ""
    for raw in text.split("\n"):
        line = _DIAGRAM.sub(rf"\1{WORD_JOINER}", raw)
        mark = _FENCE.match(line)
        if fence:
            closes = mark and mark[1].startswith(fence) and not mark[2].strip()
            fence = "" if closes else fence
        elif mark:
            fence = mark[1]
        else:
            line = _outside_code_spans(line)
        lines.append(line)
    return "\n".join(lines)


def typed_text(shown: str) -> str:
    """What was there before ``safe_markdown``."""
    return shown.replace(WORD_JOINER, "")


def _outside_code_spans(line: str) -> str:
    pieces: list[str] = []
    end = 0
    for span in _CODE_SPAN.finditer(line):
        pieces += [_disarm(line[end : span.start()]), span[0]]
        end = span.end()
    return "".join([*pieces, _disarm(line[end:])])


def _disarm(prose: str) -> str:
    return _TAG_OR_IMAGE.sub(rf"\g<0>{WORD_JOINER}", prose)
