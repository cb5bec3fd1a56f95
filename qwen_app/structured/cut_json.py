"""JSON that another server wrote and its limit cut, made fit for a grammar of ours, which allows one spelling alone."""

from __future__ import annotations

import json
import re

from qwen_app.structured.json_text import whole_characters

_STRING_OR_BLANKS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[ \t\n\r]+|[:,](?=[ \t\n\r]*[^ \t\n\r])', re.DOTALL)
_CUT_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{0,3})?\Z")
_HALF_CHARACTER = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")  # of two escapes that make one character
OTHER_HALF = r"\udc00"


def end_of_escape(text: str) -> str:
    """What an escape at the end of ``text`` still lacks; empty where there is none, or it is whole."""
    last = [found[0] for found in _STRING_OR_BLANKS.finditer(text)][-1:]
    if not last or not text.endswith(last[0]) or last[0][0] != '"' or _is_closed(last[0]):
        return ""
    string = last[0]
    cut = _CUT_ESCAPE.search(re.sub(r"\\[^u]", "__", string))  # a backslash that is escaped begins nothing
    missing = "" if cut is None else _digits_after(cut[1][1:]) if cut[1] else "\\"
    return missing + (OTHER_HALF if _HALF_CHARACTER.search(string + missing) else "")


def _digits_after(begun: str) -> str:
    """The digits of an escape that has ``begun``: of a character that can be written without one, if there is any."""
    return "a" if begun == "000" else "0020"[len(begun) :]


def _is_closed(string: str) -> bool:
    try:
        json.loads(string, strict=False)
    except ValueError:
        return False
    return True


def respelled(text: str) -> str:
    """``text``, cut JSON whose escapes are whole: characters stand for themselves, blanks are those of json.dumps."""
    return _STRING_OR_BLANKS.sub(lambda found: _spelled(found[0]), text)


def _spelled(part: str) -> str:
    if part[0] == '"':
        return _string(part)
    return f"{part} " if part in (":", ",") else ""


def _string(string: str) -> str:
    closed = _is_closed(string)
    try:
        value = str(json.loads(string if closed else string + '"', strict=False))
    except ValueError:
        return string
    spelled = json.dumps(whole_characters(value), ensure_ascii=False)
    spelled = spelled.replace("\x7f", "\\u007f")  # which grammars take for a control
    return spelled[: None if closed else -1]
