"""What kind of file some bytes are: by what they begin with, and only then by the file's name."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from qwen_app.documents.readers.office_package import office_kind
from qwen_app.documents.refusal import DocumentRefused

_CODE_NAMES = """
adoc asm bat bash bib c cc cfg clj cljs cmake conf cpp cs csproj css cu cuh dart diff dockerfile el env erl ex exs f f90
fs gitignore go gradle graphql groovy h hcl hpp hs ini ipynb j2 java jinja jl js jsonc json5 jsx kt kts less lisp lua m
makefile mk ml mm nim nix org patch php pl plist pm po properties proto ps1 py pyi pyx r rb rmd rs rst s sass scala scss
sh sol sql srt svelte svg swift tcl tex tf toml ts tsx v vb vhdl vtt vue xml xsd xsl yaml yml zig zsh
"""
CODE = frozenset(_CODE_NAMES.split())
TEXT = frozenset(
    {"txt", "text", "md", "markdown", "log", "json", "jsonl", "ndjson", "csv", "tsv", "html", "htm", "eml"}
)
OFFICE = frozenset({"docx", "xlsx", "pptx"})
OLD_OFFICE = frozenset({"doc", "xls", "ppt"})
_SAME = {"markdown": "md", "htm": "html", "text": "txt"} | {
    other: kind
    for kind, others in {"docx": "docm dotx dotm", "xlsx": "xlsm xltx xltm", "pptx": "pptm potx potm ppsx ppsm"}.items()
    for other in others.split()
}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # also what a password makes of an Office file
_BINARY = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"\x7fELF": "ELF",
    b"MZ": "EXE",
    b"\x1f\x8b": "gzip",
    b"Rar!": "RAR",
    b"7z\xbc\xaf": "7z",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"SQLite format 3": "SQLite",
    b"RIFF": "RIFF",
    b"ID3": "MP3",
    b"OggS": "Ogg",
}
_ARCHIVES = frozenset({"gzip", "RAR", "7z", "bzip2", "xz"})
_LOOKED_AT_BYTES = 4096
_NOT_PLAIN = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffd]")
# What many programs call .xls.
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|meta|table)\b", re.I)
_PDF_WITHIN_BYTES = 1024  # readers look so far for a PDF's first line


@dataclass(frozen=True, slots=True)
class FileKind:
    """``kind`` as its bytes say; ``named`` as its name does, the same but for a wrong ending."""

    kind: str
    named: str


def kind_of(name: str, data: bytes) -> FileKind:
    """Raises DocumentRefused for what is no document that is read here."""
    if not data:
        raise DocumentRefused("empty", name=name)
    named = ending_of(name)
    if b"%PDF-" in data[:_PDF_WITHIN_BYTES]:
        return FileKind("pdf", named)
    if data.startswith(b"PK\x03\x04"):
        return FileKind(office_kind(name, data, named), named)
    if data.startswith(_OLE):
        raise DocumentRefused("encrypted" if named in OFFICE or _holds_encrypted(data) else "old_office", name=name)
    if named in OLD_OFFICE and _PAGE.match(data):
        return FileKind("html", named)
    if named in OLD_OFFICE:
        raise DocumentRefused("old_office", name=name)
    if named in ("pdf", *OFFICE):
        raise DocumentRefused("broken", name=name, kind=named.upper())
    for start, what in _BINARY.items():
        if data.startswith(start):
            raise DocumentRefused(*(("archive",) if what in _ARCHIVES else ("not_text",)), name=name, kind=what)
    if "." not in name and _is_plain(data):  # LICENSE
        return FileKind("txt", "txt")
    if named not in TEXT | CODE:
        raise DocumentRefused("unknown_kind", name=name)
    return FileKind(named, named)


def ending_of(name: str) -> str:
    """The name's ending without its dot, in one spelling; the name itself where it has none (``Makefile``)."""
    ending = name.rpartition(".")[2].lower()
    return _SAME.get(ending, ending)


def _is_plain(data: bytes) -> bool:
    """Whether the file begins as UTF-8 without control characters does."""
    start = codecs.getincrementaldecoder("utf-8")(errors="replace").decode(data[:_LOOKED_AT_BYTES])
    return not _NOT_PLAIN.search(start)


def _holds_encrypted(data: bytes) -> bool:
    """Whether the directory of an OLE file names the stream that an encrypted Office file is."""
    return "EncryptedPackage".encode("utf-16-le") in data
