"""An Office file is a zip of XML: what is checked of it before any of its XML is read."""

from __future__ import annotations

import io
import zipfile
import zlib

from qwen_app.documents.refusal import LIMIT_PARTS, LIMIT_UNPACKED_BYTES, DocumentRefused

_MAIN_PARTS = {"word/document.xml": "docx", "xl/workbook.xml": "xlsx", "ppt/presentation.xml": "pptx"}
_CHUNK_BYTES = 1 << 20
# Office programs write neither; both are how a small file becomes a large one, or reads another.
_DECLARATIONS = tuple(word.encode(code) for word in ("<!DOCTYPE", "<!ENTITY") for code in ("utf-8", "utf-16-le"))
_LONGEST_DECLARATION = max(map(len, _DECLARATIONS))
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError, IndexError)


def office_kind(name: str, data: bytes, named: str) -> str:
    """The kind of a zip by the parts in it. Raises DocumentRefused for other archives."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            parts = {entry.filename for entry in package.infolist()}
    except BROKEN as broken:
        raise DocumentRefused("broken", name=name, kind=named.upper()) from broken
    found = next((kind for part, kind in _MAIN_PARTS.items() if part in parts), "")
    if not found:
        raise DocumentRefused("archive", name=name)
    return found


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


def _check_part(package: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, room_bytes: int) -> int:
    """Bytes that the part unpacks to."""
    is_xml = entry.filename.endswith((".xml", ".rels"))
    size_bytes, before = 0, b""
    with package.open(entry) as part:
        while piece := part.read(_CHUNK_BYTES):
            size_bytes += len(piece)
            if size_bytes > room_bytes:
                raise _too_large(name)
            if is_xml and any(word in before + piece for word in _DECLARATIONS):
                raise DocumentRefused("xml_entities", name=name)
            before = piece[-_LONGEST_DECLARATION:]
    return size_bytes


def _too_large(name: str) -> DocumentRefused:
    return DocumentRefused("unpacks_too_large", name=name, limit=str(LIMIT_UNPACKED_BYTES // 2**20))
