"""The numbers that Word counts itself: of headings, clauses and lists, by which people and other clauses name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from docx.oxml.ns import qn

_VALUE, _LEVEL, _SHAPE = qn("w:val"), qn("w:ilvl"), qn("w:abstractNumId")
# A paragraph whose end was deleted or moved elsewhere, which is none any more.
_GONE = tuple("/".join(map(qn, ("w:pPr", "w:rPr", mark))) for mark in ("w:del", "w:moveFrom"))
_GAP = re.compile(r"%([1-9])")
_LONGEST_CHAIN = 12  # of styles made from one another: Word makes no longer ones, and a circle has no end
_LARGEST = 9_999  # counted on in digits
_ROMAN = {"m": 1000, "cm": 900, "d": 500, "cd": 400, "c": 100, "xc": 90, "l": 50, "xl": 40}
_ROMAN |= {"x": 10, "ix": 9, "v": 5, "iv": 4, "i": 1}
_CHINESE = frozenset({"chineseCounting", "chineseCountingThousand", "japaneseCounting", "taiwaneseCountingThousand"})
_HAN_DIGITS = "〇一二三四五六七八九"


@dataclass(frozen=True, slots=True)
class _Level:
    """``text`` is what stands before a paragraph, with ``%1`` for the first level's number. The first ``restarted_by``
    levels make it begin anew."""

    start: int
    form: str
    text: str
    in_digits: bool
    restarted_by: int


@dataclass(frozen=True, slots=True)
class _List:
    """Lists with the same ``counted`` count on where the other stopped; ``restarts`` are the levels that begin anew."""

    counted: str
    levels: Mapping[int, _Level]
    restarts: Mapping[int, int]


@dataclass(slots=True)
class Numbering:
    """Counts as it is asked, paragraph after paragraph. ``of_styles`` are the lists and levels that styles name."""

    _lists: Mapping[str, _List]
    _of_styles: Mapping[str, tuple[str, int]]
    _counters: dict[str, dict[int, int]] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)

    def label(self, paragraph: Any) -> str:
        """What Word writes before the paragraph; empty where it is a sign, or nothing."""
        if any(paragraph.find(path) is not None for path in _GONE):
            return ""
        list_id, level = _named(paragraph.pPr, self._of_styles.get(paragraph.style or "", ("", 0)))
        used = self._lists.get(list_id)
        if used is None or level not in used.levels or used.levels[level].form == "bullet":
            return ""
        counter = self._counters.setdefault(used.counted, {})
        if list_id not in self._begun:
            self._begun.add(list_id)
            counter |= {place: start - 1 for place, start in used.restarts.items()}
        counter[level] = counter.get(level, used.levels[level].start - 1) + 1
        for deeper in [place for place in counter if place > level]:
            if deeper not in used.levels or level < used.levels[deeper].restarted_by:
                del counter[deeper]
        return _written(used.levels, level, counter).strip()


def numbering_of(definitions: Any, styles: Any) -> Numbering:
    """By the roots of the two parts; None for ``definitions`` where the file has none."""
    if definitions is None:
        return Numbering({}, {})
    shapes = {one.get(_SHAPE, ""): _levels(one) for one in definitions.iterfind(qn("w:abstractNum"))}
    linked, lists = _linked(definitions), {}
    for one in definitions.iterfind(qn("w:num")):
        counted, levels, restarts = _value(one, "w:abstractNumId"), dict[int, _Level](), dict[int, int]()
        for change in one.iterfind(qn("w:lvlOverride")):
            levels |= _levels(change)
            if (start := _value(change, "w:startOverride")).isdecimal():
                restarts[_number(change.get(_LEVEL, ""))] = int(start[:4])
        counted = linked.get(counted, counted)
        lists[one.get(qn("w:numId"), "")] = _List(counted, {**shapes.get(counted, {}), **levels}, restarts)
    return Numbering(lists, _of_styles(styles))


def _linked(definitions: Any) -> dict[str, str]:
    """Of shapes that a list style has in their place, which one that is."""
    shapes = list(definitions.iterfind(qn("w:abstractNum")))
    of_styles = {_value(one, "w:styleLink"): one.get(_SHAPE, "") for one in shapes}
    links = {one.get(_SHAPE, ""): _value(one, "w:numStyleLink") for one in shapes}
    return {shape: of_styles[link] for shape, link in links.items() if link and link in of_styles}


def _levels(held: Any) -> dict[int, _Level]:
    return {
        _number(one.get(_LEVEL, "")): _Level(
            _number(_value(one, "w:start"), 1),
            _value(one, "w:numFmt") or "decimal",
            _value(one, "w:lvlText"),
            one.find(qn("w:isLgl")) is not None,
            _number(_value(one, "w:lvlRestart"), _number(one.get(_LEVEL, ""))),
        )
        for one in held.iterfind(qn("w:lvl"))
    }


def _of_styles(styles: Any) -> dict[str, tuple[str, int]]:
    """What each style names itself, or the one that it is made from."""
    by_id = {one.get(qn("w:styleId"), ""): one for one in styles.iterfind(qn("w:style"))}
    found = {}
    for name, style in by_id.items():
        chain = [style]
        while (base := by_id.get(_value(chain[-1], "w:basedOn"))) is not None and len(chain) < _LONGEST_CHAIN:
            chain.append(base)
        named = ("", 0)
        for one in reversed(chain):
            named = _named(one.find(qn("w:pPr")), named)
        found[name] = named
    return found


def _named(properties: Any, otherwise: tuple[str, int]) -> tuple[str, int]:
    """The list and the level that ``properties`` name, and in the place of what they do not, ``otherwise``."""
    named = properties.find(qn("w:numPr")) if properties is not None else None
    if named is None:
        return otherwise
    level = _value(named, "w:ilvl")
    return _value(named, "w:numId") or otherwise[0], _number(level) if level else otherwise[1]


def _value(held: Any, tag: str) -> str:
    found = held.find(qn(tag))
    return "" if found is None else str(found.get(_VALUE, ""))


def _number(text: str, otherwise: int = 0) -> int:
    return int(text[:4]) if text.isdecimal() else otherwise


def _written(levels: Mapping[int, _Level], level: int, counter: Mapping[int, int]) -> str:
    def number(gap: re.Match[str]) -> str:
        place = int(gap[1]) - 1
        of_place = levels.get(place, levels[level])
        form = "decimal" if levels[level].in_digits else of_place.form
        return _in_form(counter.get(place, of_place.start), form)

    return _GAP.sub(number, levels[level].text)


def _in_form(number: int, form: str) -> str:
    if form == "none":
        return ""
    written = str(number)
    if form == "decimalZero":
        written = f"{number:02}"
    elif form in ("lowerLetter", "upperLetter") and 0 < number <= _LARGEST:
        written = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
    elif form in ("lowerRoman", "upperRoman") and 0 < number <= _LARGEST:
        written = _roman(number)
    elif form in _CHINESE and 0 < number < 100:
        written = _chinese(number)
    return written.upper() if form.startswith("upper") else written


def _roman(number: int) -> str:
    written = ""
    for letters, value in _ROMAN.items():
        written += letters * (number // value)
        number %= value
    return written


def _chinese(number: int) -> str:
    tens, ones = divmod(number, 10)
    return f"{_HAN_DIGITS[tens] if tens > 1 else ''}{'十' if tens else ''}{_HAN_DIGITS[ones] if ones else ''}"
