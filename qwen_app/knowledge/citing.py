"""An answer from passages: what the model is asked, and which passages its answer cites."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qwen_app.knowledge.search import FoundPassage
from qwen_app.messages import Message

_SYSTEM = (
    "Answer from the numbered passages alone, in the language of the question. After each statement name its passage "
    "by number in square brackets, such as [1]. If they do not hold the answer, say that it is not in the files."
)
# As models write them, told or not: [1], [1, 3], [2-4], 【1、3】, [passage 2].
_CITED = re.compile(
    r"[\[［【] ?(?:passages? )?(?:[1-9]\d? ?[-–~] ?[1-9]\d?|\d{1,2})"
    r"(?: ?(?:[,，、;；&]|and|和) ?(?:[1-9]\d? ?[-–~] ?[1-9]\d?|\d{1,2}))* ?[\]］】]",
    re.I,
)
_RANGE = re.compile(r"(\d+)(?: ?[-–~] ?(\d+))?")


def messages_for(question: str, passages: Sequence[FoundPassage]) -> tuple[Message, ...]:
    """The question with its passages, each in a tag that nothing in it can close."""
    tags = "\n".join(_tag(number, one) for number, one in enumerate(passages, 1))
    return Message("system", _SYSTEM), Message("user", f"{tags}\n\n{question}")


def cited(answer: str, count: int) -> tuple[int, ...]:
    """The numbers of the passages that ``answer`` names, in its order; those of none are left out."""
    named = (one for found in _CITED.finditer(answer) for one in _RANGE.finditer(found[0]))
    numbers = (number for one in named for number in range(int(one[1]), int(one[2] or one[1]) + 1))
    return tuple(dict.fromkeys(number for number in numbers if 1 <= number <= count))


def with_footnotes(answer: str, count: int) -> str:
    """``answer`` with every citation as [1], those of passages that are not there taken out."""

    def link(found: re.Match[str]) -> str:
        numbers = cited(found[0], count)
        return "".join(f"[{number}]" for number in numbers)

    return _CITED.sub(link, answer)


def _tag(number: int, one: FoundPassage) -> str:
    place, text = one.place.strip("[]"), one.text.strip().replace("</passage", "< /passage")
    return f'<passage number="{number}" file="{one.file}" place="{place}">\n{text}\n</passage>'
