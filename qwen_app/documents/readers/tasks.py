"""What the sandbox's children do with documents: a file's bytes to a document, or the reason why not."""

from __future__ import annotations

import base64
import csv
import dataclasses
import re
from collections.abc import Callable

from pydantic import JsonValue

from qwen_app.documents.document import Document, Note, Section, document_json
from qwen_app.documents.readers.html_page import declared_charset, read_html
from qwen_app.documents.readers.kinds import OFFICE, kind_of
from qwen_app.documents.readers.office_package import check_package, with_usual_names
from qwen_app.documents.readers.pdf import read_pdf
from qwen_app.documents.readers.plain_text import read_lines, read_markdown
from qwen_app.documents.readers.sheets import read_xlsx
from qwen_app.documents.readers.slides import read_pptx
from qwen_app.documents.readers.tables import read_csv_rows, read_tsv_rows
from qwen_app.documents.readers.word import read_docx
from qwen_app.documents.refusal import LIMIT_CHARACTERS, LIMIT_SECTIONS, LIMIT_TITLE_CHARACTERS, DocumentRefused
from qwen_app.text_files.encodings import DecodedText, UnknownEncoding, decode

_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_LINE_ENDS = re.compile("\r\n?")  # all that ends a row; the other breaks stand in its cells
_NO_TEXT = re.compile("\x1b\\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufeff]")

Read = tuple[list[Section], list[Note]]


def read_document(name: str, data: bytes) -> Document:
    """All of the file's text. Raises DocumentRefused with a sentence for everything that has none to give."""
    found = kind_of(name, data)
    if found.kind == "pdf":
        sections, notes = read_pdf(name, data)
    elif found.kind in OFFICE:
        sections, notes = _office(name, data, found.kind)
    else:
        sections, notes = _text(name, data, found.kind)
    sections = [_tidied(one) for one in sections]
    if sum(len(one.text) for one in sections) > LIMIT_CHARACTERS:
        raise DocumentRefused("too_much_text", name=name, limit=f"{LIMIT_CHARACTERS:,}")
    if len(sections) > LIMIT_SECTIONS:
        raise DocumentRefused("too_costly", name=name)
    if not any(one.text.strip() for one in sections):
        raise DocumentRefused("no_text", name=name)
    if found.kind != found.named:
        notes = [Note("other_kind", {"named": found.named, "kind": found.kind.upper()}), *notes]
    return Document(name, found.kind, tuple(sections), tuple(notes))


def _office(name: str, data: bytes, kind: str) -> Read:
    macros = check_package(name, data, kind)
    notes = [Note("macros_ignored", {})] if macros else []
    try:
        data = with_usual_names(data)
        if kind == "pptx":
            sections, found = read_pptx(name, data), list[Note]()
        else:
            sections, found = read_docx(data) if kind == "docx" else read_xlsx(name, data)
    except (DocumentRefused, MemoryError, RecursionError):
        raise
    except Exception as broken:  # the libraries raise whatever their code comes across in a damaged file
        raise DocumentRefused("broken", name=name, kind=kind.upper()) from broken
    return sections, [*notes, *found]


def _text(name: str, data: bytes, kind: str) -> Read:
    try:
        read = decode(data, declared_charset(data) if kind == "html" else "")
    except UnknownEncoding as unknown:
        raise DocumentRefused("unknown_encoding", name=name) from unknown
    text = (_LINE_ENDS if kind in ("csv", "tsv") else _BREAKS).sub("\n", read.text)
    readers: dict[str, Callable[[str], list[Section]]] = {
        "html": read_html,
        "md": read_markdown,
        "csv": read_csv_rows,
        "tsv": read_tsv_rows,
    }
    try:
        return readers.get(kind, read_lines)(text), _encoding_notes(read)
    except (ValueError, csv.Error) as broken:
        raise DocumentRefused("broken", name=name, kind=kind.upper()) from broken


def _encoding_notes(read: DecodedText) -> list[Note]:
    if read.damaged:
        return [Note("bytes_damaged", {"encoding": read.encoding or "Unicode", "places": f"{read.damaged:,}"})]
    if read.others:
        others = ", ".join(other for other in read.others if other != "?")
        return [Note("encoding_unsure", {"encoding": read.encoding, "others": others or "?"})]
    return [Note("encoding_found", {"encoding": read.encoding})] if read.encoding else []


def _tidied(section: Section) -> Section:
    title = _clean(section.title[:LIMIT_TITLE_CHARACTERS])
    return dataclasses.replace(section, text=_clean(section.text), title=title)


def _clean(text: str) -> str:
    """Line breaks of one kind, and no characters that are none; nor the colours of a terminal."""
    return _NO_TEXT.sub("", _BREAKS.sub("\n", text))


def read_document_task(payload: JsonValue) -> JsonValue:
    """``name`` and ``data`` (base64) to ``document``, or ``reason`` and ``values`` of the refusal."""
    arguments = payload if isinstance(payload, dict) else {}
    try:
        document = read_document(str(arguments["name"]), base64.b64decode(str(arguments["data"])))
    except DocumentRefused as refused:
        return {"reason": refused.reason, "values": dict(refused.values)}
    return {"document": document_json(document)}


TASKS: dict[str, Callable[[JsonValue], JsonValue]] = {"read_document": read_document_task}
