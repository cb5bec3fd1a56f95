"""HTML: what a reader of the page sees, as Markdown; nothing is fetched and nothing runs.

Read tag after tag, so that pages of any depth and disorder come out whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser

from qwen_app.documents.document import Section
from qwen_app.documents.readers.plain_text import read_markdown
from qwen_app.documents.readers.tables import markdown_table

_UNSEEN = frozenset({"title", "script", "style", "noscript", "template", "svg", "iframe", "object", "canvas"})
_BLOCK_NAMES = """
address article aside blockquote body br dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4
h5 h6 header hr li main nav ol p pre section summary ul
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_HEADING = re.compile(r"h[1-6]")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w-]{1,40})""", re.I)
_CHARSET_WITHIN_BYTES = 4096
# What the parser opens and what closes it; of each only the last closing counts. Tags come last, for all end so.
_ENDS = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<![", "]>"), ("<", ">"))
_SPACES = re.compile(r"[ \t\r\n\f]+")
_MANY_BREAKS = re.compile(r"\n{3,}")
_TICKS = re.compile("`+")
_IN_TABLE = frozenset({"tr", "td", "th", "thead", "tbody", "tfoot"})
_SPAN = re.compile(r"\s*(\d{1,4})")
_WIDEST_SPAN, _TALLEST_SPAN = 50, 500  # columns and rows; more would make a huge table of a small page
_MOST_SPANNED = 100_000  # cells of a table that others reach down to: so would many of them


def declared_charset(data: bytes) -> str:
    """The encoding that the page itself names; empty where it names none."""
    found = _CHARSET.search(data[:_CHARSET_WITHIN_BYTES])
    return found[1].decode("ascii") if found else ""


def read_html(text: str) -> list[Section]:
    """A section a heading."""
    reader = _Reader()
    reader.feed(_without_open_ends(text))
    reader.close()
    reader.end_table()
    reader.end_block()
    return read_markdown("\n\n".join(filter(None, reader.blocks)))


def _tidy(text: str) -> str:
    lines = "\n".join(line.strip(" ") for line in text.split("\n"))
    return _MANY_BREAKS.sub("\n\n", lines).strip()


def _fenced(code: str) -> str:
    """``code`` as a block of Markdown, whatever ticks stand in it."""
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(code)), default=0))
    return "\n".join((fence, code.strip("\n"), fence)) if code.strip() else ""


def _without_open_ends(text: str) -> str:
    """``text`` in which what is opened and never closed is text: for each of these the parser would look through all
    of the rest, and many of them would take it hours."""
    for opening, closing in _ENDS:
        end = text.rfind(closing) + 1
        text = text[:end] + text[end:].replace(opening, "&lt;" + opening[1:])
    return text


class _Grid:
    """The cells of a table that is being read. One that spans rows is in each of them, of columns in the first."""

    def __init__(self) -> None:
        self._rows: list[list[list[str]]] = []  # of each cell the pieces of its text
        self._below: dict[int, tuple[list[str], int]] = {}  # by column: what reaches down there, and for how many rows
        self._spanned = 0
        self.cell: list[str] | None = None  # that text belongs to

    def start_row(self) -> None:
        self._end_row()
        self._rows.append([])

    def start_cell(self, columns: int, rows: int) -> None:
        if not self._rows:
            self._rows.append([])
        self._continue_row()
        cells: list[list[str]] = [[] for _ in range(columns)]
        for place, cell in enumerate(cells, len(self._rows[-1])):
            if rows > 1:
                self._below[place] = cell, rows - 1
        self._rows[-1] += cells
        self.cell = cells[0]

    def end_group(self) -> None:
        """No cell reaches from a table's head into its body."""
        self._end_row()
        self._below.clear()

    def texts(self) -> list[list[str]]:
        self._end_row()
        return [[_SPACES.sub(" ", "".join(cell)).strip() for cell in row] for row in self._rows if row]

    def _continue_row(self) -> None:
        """Add the cells that reach down to where the row has come."""
        row = self._rows[-1]
        while len(row) in self._below:
            cell, rows = self._below.pop(len(row))
            if rows > 1:
                self._below[len(row)] = cell, rows - 1
            row.append(cell)
            self._spanned += 1
        if self._spanned > _MOST_SPANNED:
            self._below.clear()

    def _end_row(self) -> None:
        self.cell = None
        for place in sorted(self._below) if self._rows and self._rows[-1] else ():
            row = self._rows[-1]
            if place >= len(row):
                row += [[] for _ in range(place - len(row))]
                self._continue_row()


class _Reader(HTMLParser):
    """Collects ``blocks`` of Markdown: text, and code as it is typed. Of tables in tables only the text is kept, in the
    cell it stands in.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self._pieces: list[str] = []  # of the block that is being read
        self._grid = _Grid()
        self._tables = 0  # open within each other
        self._unseen, self._unseen_depth = "", 0
        self._kept_spaces = 0  # elements open within each other that keep them

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unseen:
            self._unseen_depth += tag == self._unseen
        elif tag in _UNSEEN:
            self._unseen, self._unseen_depth = tag, 1
        elif tag == "table":
            self._tables += 1
        elif self._tables:
            self._start_in_table(tag, dict(attrs))
        elif tag in _BLOCKS:
            self._start_block(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            self._unseen_depth -= tag == self._unseen
            self._unseen = self._unseen if self._unseen_depth else ""
        elif tag == "table" and self._tables:
            self._tables -= 1
            if not self._tables:
                self.end_table()
        elif tag in _BLOCKS and not self._tables:
            self._pieces.append("\n")
            if tag == "pre" and self._kept_spaces == 1:
                self.end_block()
            self._kept_spaces -= tag == "pre" and self._kept_spaces > 0

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        text = data if self._kept_spaces else _SPACES.sub(" ", data)
        if not self._tables:
            self._pieces.append(text)
        elif self._grid.cell is not None:
            self._grid.cell.append(text)
        elif text.strip():  # a caption, or what stands in a table where nothing may
            self._pieces.append(f"\n{text.strip()}\n")

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """``<![ if !IE]>``, or whatever stands there: of another name the parser gives up; browsers skip it."""
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:
            return self.parse_bogus_comment(i, report)

    def end_table(self) -> None:
        """Write the table that was read."""
        rows = self._grid.texts()
        self._pieces += ["\n\n" + markdown_table(rows) + "\n\n"] if rows else []
        self._grid = _Grid()

    def end_block(self) -> None:
        """Write the text or the code that was read."""
        text = "".join(self._pieces)
        self.blocks.append(_fenced(text) if self._kept_spaces else _tidy(text))
        self._pieces = []

    def _start_block(self, tag: str) -> None:
        if tag == "pre":
            if not self._kept_spaces:
                self.end_block()
            self._kept_spaces += 1
        elif self._kept_spaces:
            self._pieces.append("\n")
        else:
            heading = "\n\n" + "#" * int(tag[1]) + " " if _HEADING.fullmatch(tag) else "\n"
            self._pieces.append("\n- " if tag == "li" else "\n\n" if tag == "p" else heading)

    def _start_in_table(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        if self._tables > 1 or tag not in _IN_TABLE:
            self.handle_data(" ")
        elif tag == "tr":
            self._grid.start_row()
        elif tag in ("td", "th"):
            columns, rows = (_span(attributes.get(name)) for name in ("colspan", "rowspan"))
            self._grid.start_cell(min(columns or 1, _WIDEST_SPAN), min(rows, _TALLEST_SPAN) or _TALLEST_SPAN)
        else:
            self._grid.end_group()


def _span(text: str | None) -> int:
    """1 where it is no number; 0 is as far as there is something."""
    found = _SPAN.match(text or "")
    return int(found[1]) if found else 1
