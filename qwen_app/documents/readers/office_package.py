"""An Office file is a zip of XML: what is checked of it, and made alike, before any of its XML is read."""

from __future__ import annotations

import io
import re
import zipfile
import zlib

from qwen_app.documents.refusal import LIMIT_PARTS, LIMIT_UNPACKED_BYTES, DocumentRefused, RefusalReason

_TYPES_PART = "[Content_Types].xml"
_LINKS_PART = "_rels/.rels"
_LARGEST_TYPES_BYTES = 1 << 22
# The type of a main part, which may have any name: of a document, of a template or a slide show, each with macros too.
_MAIN_TYPE = re.compile(
    rb"application/vnd\.(?:openxmlformats-officedocument\.)?"
    rb"(?:(?P<docx>wordprocessingml|ms-word)|(?P<xlsx>spreadsheetml|ms-excel)|(?P<pptx>presentationml|ms-powerpoint))"
    rb"\.(?:document|sheet|presentation|template|slideshow)(?:\.macroEnabled(?:Template)?)?\.main\+xml"
)
_USUAL_TYPES = {
    "docx": b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
    "xlsx": b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
    "pptx": b"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml",
}
_CHUNK_BYTES = 1 << 20
# Office programs write none of these; they are how a small file becomes a large one, or reads another.
_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY", b"<!ATTLIST")
_LONGEST_DECLARATION = max(map(len, _DECLARATIONS))
_WITH_DOCTYPE = (".svg", ".htm", ".html", ".xhtml")  # pictures and pages that others wrote begin with one
_BLANK = b"\xef\xbb\xbf\xff\xfe\t\n\r "  # with NULs all that may stand before XML, however wide its letters are
_EBCDIC = "<?xm".encode("cp037")
_LONGEST_HEAD = 1000
_ENCODING = re.compile(rb"""\sencoding\s*=\s*["']([^"']*)""")
_SIMPLE_ENCODING = re.compile(rb"(?i)utf-?(?:8|16|32)(?:-?[lb]e)?|(?:us-)?ascii|iso-8859-\d\d?|windows-125\d")
# What "Strict Open XML" calls namespaces and kinds of parts, and what all else does: the libraries know no other names.
_STRICT_NAME = re.compile(rb"""(?<=["'])http://purl\.oclc\.org/ooxml/(\w+)/""")
_USUAL_NAME = rb"http://schemas.openxmlformats.org/\1/2006/"
_WITH_NAMES = (".xml", ".rels")
_FASTEST = 1  # of the levels of compression
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError, IndexError)


def office_kind(name: str, data: bytes, named: str) -> str:
    """The kind of a zip by what it says of its main part. Raises DocumentRefused for other archives."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            types = _types(package)
    except BROKEN as broken:
        raise DocumentRefused("broken", name=name, kind=named.upper()) from broken
    found = _MAIN_TYPE.search(types)
    if not found:
        reason: RefusalReason = "archive" if named == "zip" else "broken" if named in _USUAL_TYPES else "unknown_kind"
        raise DocumentRefused(reason, name=name, kind=named.upper())
    return str(found.lastgroup)


def _types(package: zipfile.ZipFile) -> bytes:
    """What the file says of the types of its parts; nothing where it is none of Office's."""
    if _TYPES_PART not in package.namelist():
        return b""
    with package.open(_TYPES_PART) as part:
        return part.read(_LARGEST_TYPES_BYTES)


def check_package(name: str, data: bytes, kind: str) -> bool:
    """Whether the file carries macros. Raises DocumentRefused for bombs, entities, passwords and damage.

    Every part is unpacked once in pieces and thrown away: declared sizes are not believed.
    """
    unpacked_bytes = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            entries = package.infolist()
            if len(entries) > LIMIT_PARTS or sum(entry.file_size for entry in entries) > LIMIT_UNPACKED_BYTES:
                raise _too_large(name)
            if any(entry.flag_bits & 1 for entry in entries):
                raise DocumentRefused("encrypted", name=name)
            for entry in entries:
                unpacked_bytes += _check_part(package, entry, name, LIMIT_UNPACKED_BYTES - unpacked_bytes)
    except BROKEN as broken:
        raise DocumentRefused("broken", name=name, kind=kind.upper()) from broken
    return any(entry.filename.endswith("vbaProject.bin") for entry in entries)


def with_usual_names(data: bytes) -> bytes:
    """The file as it would be as a document without macros, and not saved as "Strict Open XML"; most are such."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        types = _types(package)
        usual_types = _MAIN_TYPE.sub(lambda found: _USUAL_TYPES[str(found.lastgroup)], types)
        if types == usual_types and not _STRICT_NAME.search(package.read(_LINKS_PART)):
            return data
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=_FASTEST) as usual:
            for part in dict.fromkeys(package.namelist()):
                content = usual_types if part == _TYPES_PART else package.read(part)
                usual.writestr(part, _STRICT_NAME.sub(_USUAL_NAME, content) if part.endswith(_WITH_NAMES) else content)
    return made.getvalue()


def _check_part(package: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, room_bytes: int) -> int:
    """Bytes that the part unpacks to."""
    size_bytes, reading = 0, _Reading(entry.filename)
    with package.open(entry) as part:
        while piece := part.read(_CHUNK_BYTES):
            size_bytes += len(piece)
            if size_bytes > room_bytes:
                raise _too_large(name)
            if reading.finds_declarations(piece):
                raise DocumentRefused("xml_entities", name=name)
    return size_bytes


class _Reading:
    """Looks through a part, piece by piece. What it is called says nothing: another part may name it as any kind."""

    def __init__(self, name: str) -> None:
        self._declarations = _DECLARATIONS[1:] if name.lower().endswith(_WITH_DOCTYPE) else _DECLARATIONS
        self._before = b""
        self._is_xml: bool | None = None  # until something is seen of it

    def finds_declarations(self, piece: bytes) -> bool:
        """Raises ValueError for XML in an encoding that may hide them."""
        seen = piece.replace(b"\0", b"")  # the letters of UTF-16 and UTF-32 have them between one another
        if self._is_xml is None:
            start = seen.lstrip(_BLANK)
            if not start:
                return False
            self._is_xml = start.startswith((b"<", _EBCDIC))
            if self._is_xml and not _is_simply_encoded(start):
                raise ValueError("the encoding of a part may hide what it declares")
        seen = self._before + seen
        self._before = seen[-_LONGEST_DECLARATION:]
        return self._is_xml and any(word in seen for word in self._declarations)


def _is_simply_encoded(start: bytes) -> bool:
    """Whether the letters of XML that begins with ``start`` are those of ASCII, NULs aside."""
    if not start.startswith(b"<?xml"):
        return start.startswith(b"<")
    head, ended, _ = start[:_LONGEST_HEAD].partition(b"?>")
    named = _ENCODING.search(head)
    return bool(ended) and (named is None or _SIMPLE_ENCODING.fullmatch(named[1]) is not None)


def _too_large(name: str) -> DocumentRefused:
    return DocumentRefused("unpacks_too_large", name=name, limit=str(LIMIT_UNPACKED_BYTES // 2**20))
