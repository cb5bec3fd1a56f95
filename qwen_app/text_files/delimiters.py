"""What parts the fields of a table in a text file: what the file names, or what its header uses most."""

from __future__ import annotations

import re

DELIMITERS = ",;\t|"
_LINE = re.compile(r"[^\r\n]+")
_QUOTED = re.compile(r'(?<![^,;\t|\r\n])"(?:[^"]|"")*"')
_NAMED = re.compile(r"sep=(.)(?:\r\n?|\n)", re.I)  # a first line for spreadsheets, which do not show it
_LOOKED_AT_CHARACTERS = 64 * 1024


def delimiter_of(text: str) -> tuple[str, str]:
    """What parts the fields, and the text without the line that says so.

    Not what most of the file uses: a comma stands in numbers and in sentences too. The header is the first line with a
    delimiter in it, less what it quotes; a title may stand above it.
    """
    named = _NAMED.match(text)
    if named:
        return named[1], text[named.end() :]
    lines = _LINE.findall(_QUOTED.sub("", text[:_LOOKED_AT_CHARACTERS]))
    header = next((line for line in lines if any(sign in line for sign in DELIMITERS)), "")
    return max(DELIMITERS, key=header.count), text
