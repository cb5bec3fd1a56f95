"""A table in a text file: what parts its fields, and how their quotes are written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

DELIMITERS = ",;\t|"
_LINE = re.compile(r"[^\r\n]+")
_QUOTED = re.compile(r'(^|[,;\t|\r\n]) *"(?:[^"]|"")*+"')
_NAMED = re.compile(r"sep=(.)(?:\r\n?|\n)", re.I)  # a first line for spreadsheets, which do not show it
# A backslash that ends a field is one: C:\. Before a quote that ends nothing it means that quote.
_BACKSLASHED = re.compile(r'(?:^|[,;\t|\r\n]) *"(?:[^"\\]|""|\\[^"])*+\\"[^,;\t|\r\n"]')
_MEANT = re.compile(r'\\(["\\])')
_LOOKED_AT_CHARACTERS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Delimited:
    """``text`` has its quotes doubled within quoted fields; ``blanks``: they may stand before a quoted field."""

    text: str
    delimiter: str
    blanks: bool = False

    def rows(self) -> Iterator[list[str]]:
        """All rows. Raises csv.Error."""
        source = io.StringIO(self.text, newline="")
        return csv.reader(source, delimiter=self.delimiter, skipinitialspace=self.blanks)


def delimited(text: str) -> Delimited:
    """The table of a file whose fields are parted by what a line of it names, or by what its header uses most."""
    named = _NAMED.match(text)
    if named:
        return parted_by(named[1], text[named.end() :])
    return parted_by(_of_header(text), text)


def parted_by(delimiter: str, text: str) -> Delimited:
    """The table of a file whose fields are parted by ``delimiter``."""
    if _BACKSLASHED.search(text):
        text = _MEANT.sub(lambda found: '""' if found[1] == '"' else found[1], text)
    blank = re.compile(rf'(?:^|[\r\n]|{re.escape(delimiter)}) +"(?:[^"]|"")*+" *(?:[\r\n]|{re.escape(delimiter)}|\Z)')
    return Delimited(text, delimiter, blanks=delimiter != " " and blank.search(text) is not None)


def _of_header(text: str) -> str:
    """Not what most of the file uses: a comma stands in numbers and in sentences too. The header is the first line that
    has a delimiter in common with the next, less what they quote: above it may stand a title, with commas of its own.
    """
    looked_at = text[:_LOOKED_AT_CHARACTERS].replace('\\"', "")
    lines = _LINE.findall(_QUOTED.sub(r"\1", looked_at))
    used = [(max(DELIMITERS, key=line.count), line) for line in lines if any(sign in line for sign in DELIMITERS)]
    return next((sign for (sign, _), (_, below) in pairwise(used) if sign in below), used[0][0] if used else ",")
