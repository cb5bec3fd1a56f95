"""Equations of Office files as one line of text: ``x=(-b±√(b^2-4ac))/2a``."""

from __future__ import annotations

from collections.abc import Callable

from docx.oxml.xmlchemy import BaseOxmlElement

_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
EQUATION = _MATH + "oMath"
# Of one thing, the newest first; one is shown.
SPELLINGS = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"


def equation_text(element: BaseOxmlElement) -> str:
    """The text of an ``m:oMath`` element, or of any within one."""
    if element.tag == _MATH + "t":
        return element.text or ""
    if not isinstance(element.tag, str) or element.tag.endswith("Pr"):  # a comment; how something looks
        return ""
    write = _WRITTEN.get(element.tag.removeprefix(_MATH))
    return write(element) if write else "".join(map(equation_text, element))


def _part(element: BaseOxmlElement, name: str) -> str:
    found = element.find(_MATH + name)
    return equation_text(found).strip() if found is not None else ""


def _parts(element: BaseOxmlElement, name: str) -> list[str]:
    return [equation_text(part).strip() for part in element.findall(_MATH + name)]


def _grouped(text: str) -> str:
    """In brackets where it is more than a number or a name."""
    return text if text.isalnum() or len(text) <= 1 else f"({text})"


def _raised(sign: str, text: str) -> str:
    return sign + _grouped(text) if text else ""


def _property(element: BaseOxmlElement, name: str, default: str) -> str:
    """A sign that the element is drawn with; empty where the file says that there is none."""
    found = element.find(f"{_MATH}{element.tag.removeprefix(_MATH)}Pr/{_MATH}{name}")
    return found.get(_MATH + "val", "") if found is not None else default


def _fraction(element: BaseOxmlElement) -> str:
    return f"{_grouped(_part(element, 'num'))}/{_grouped(_part(element, 'den'))}"


def _script(element: BaseOxmlElement) -> str:
    return _grouped(_part(element, "e")) + _raised("_", _part(element, "sub")) + _raised("^", _part(element, "sup"))


def _script_before(element: BaseOxmlElement) -> str:
    return _raised("_", _part(element, "sub")) + _raised("^", _part(element, "sup")) + _part(element, "e")


def _root(element: BaseOxmlElement) -> str:
    return f"{_part(element, 'deg')}√{_grouped(_part(element, 'e'))}"


def _sum(element: BaseOxmlElement) -> str:
    limits = _raised("_", _part(element, "sub")) + _raised("^", _part(element, "sup"))
    return f"{_property(element, 'chr', '∫')}{limits} {_part(element, 'e')}"


def _bracketed(element: BaseOxmlElement) -> str:
    within = _property(element, "sepChr", "|").join(_parts(element, "e"))
    return _property(element, "begChr", "(") + within + _property(element, "endChr", ")")


def _function(element: BaseOxmlElement) -> str:
    return f"{_part(element, 'fName')} {_part(element, 'e')}"


def _limit(element: BaseOxmlElement) -> str:
    return _part(element, "e") + _raised("_" if element.tag.endswith("Low") else "^", _part(element, "lim"))


def _matrix(element: BaseOxmlElement) -> str:
    return "[" + "; ".join(", ".join(_parts(row, "e")) for row in element.findall(_MATH + "mr")) + "]"


def _lines(element: BaseOxmlElement) -> str:
    return "; ".join(_parts(element, "e"))


_WRITTEN: dict[str, Callable[[BaseOxmlElement], str]] = {
    "f": _fraction,
    "sSup": _script,
    "sSub": _script,
    "sSubSup": _script,
    "sPre": _script_before,
    "rad": _root,
    "nary": _sum,
    "d": _bracketed,
    "func": _function,
    "limLow": _limit,
    "limUpp": _limit,
    "m": _matrix,
    "eqArr": _lines,
}
