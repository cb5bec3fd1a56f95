"""Why a file is not taken as a document, and how large one may be. Each reason has a sentence that says what to do."""

from __future__ import annotations

from typing import Literal

from qwen_app.errors import RequestError

LIMIT_FILE_BYTES = 32 * 2**20
LIMIT_PAGES = 2_000  # of a PDF file, slides of a presentation
LIMIT_CHARACTERS = 4_000_000  # of text: some million tokens, eight times the longest context
LIMIT_SECTIONS = 20_000  # parts that can be cited
LIMIT_TITLE_CHARACTERS = 300  # of a part; a sheet's name stands at each of its parts, and counts as no text
LIMIT_UNPACKED_BYTES = 192 * 2**20  # of the parts of an Office file together
LIMIT_PARTS = 10_000  # in an Office file

RefusalReason = Literal[
    "archive",
    "broken",
    "empty",
    "encrypted",
    "no_text",
    "not_kept",
    "not_text",
    "old_office",
    "scanned",
    "too_costly",
    "too_large",
    "too_many_pages",
    "too_much_text",
    "unknown_encoding",
    "unknown_kind",
    "unpacks_too_large",
    "xml_entities",
]
SENTENCES: dict[RefusalReason, str] = {
    "archive": "{name} is an archive. Unpack it, and send the files in it.",
    "broken": "{name} is damaged or cut off: it cannot be read as {kind}. Open it in its program and save it again.",
    "empty": "{name} is empty: it has 0 bytes.",
    "encrypted": "{name} is protected by a password. Save a copy without one, and send that.",
    "no_text": "{name} has no text in it.",
    "not_kept": "The document is kept no longer. Send the file again.",
    "not_text": "{name} is no text: it holds the bytes of {kind}.",
    "old_office": "{name} is in the format of before 2007. Save it as .docx, .xlsx or .pptx, and send that.",
    "scanned": "{name} is a scan: its pages ({pages}) are pictures. Run text recognition (OCR) over it first.",
    "too_costly": "{name} takes too much time or memory to read. Send a part of it.",
    "too_large": "{name} is over the limit of {limit} MiB. Send a part of it.",
    "too_many_pages": "{name} has {pages} pages; {limit} can be read. Send a part of it.",
    "too_much_text": "{name} holds more than {limit} characters of text. Send a part of it.",
    "unknown_encoding": "{name} is no text in an encoding that is known here. Save it as UTF-8, and send that.",
    "unknown_kind": "{name} is of a kind that is not read. Text, code, CSV, JSON, HTML, PDF, DOCX, XLSX and PPTX are.",
    "unpacks_too_large": "{name} unpacks to more than {limit} MiB, as files made to do harm do. It was not opened.",
    "xml_entities": "{name} holds XML entities, which no Office program writes. It was not opened.",
}


class DocumentRefused(RequestError):
    """``reason`` names the sentence, ``values`` fill its gaps: the page says it in the visitor's language."""

    code = "document_refused"

    def __init__(self, reason: RefusalReason, **values: str) -> None:
        super().__init__(SENTENCES[reason].format(**values))
        self.reason: RefusalReason = reason
        self.values = values
