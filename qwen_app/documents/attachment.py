"""Documents as part of a question: what was chosen of each, and the words in which a model gets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue, TypeAdapter, ValidationError

from qwen_app.documents.document import Document
from qwen_app.documents.marks import mark, marked_text


@dataclass(frozen=True, slots=True)
class Attachment:
    """``document`` holds only what was chosen of it: ``pages`` is that choice, empty for the whole. ``tokens`` is what
    it takes in a prompt, counted or, where it could not fit anyway, estimated."""

    document: Document
    tokens: int
    pages: str = ""


_ATTACHMENTS = TypeAdapter(tuple[Attachment, ...])


def attachments_json(attachments: Sequence[Attachment]) -> list[JsonValue]:
    dumped: list[JsonValue] = _ATTACHMENTS.dump_python(tuple(attachments), mode="json")
    return dumped


def read_attachments_json(value: object) -> tuple[Attachment, ...]:
    """What ``attachments_json`` made; nothing of anything else, which an imported chat may hold."""
    try:
        return _ATTACHMENTS.validate_python(value)
    except ValidationError:
        return ()


def document_text(document: Document) -> str:
    """The document in a tag that nothing in it can close."""
    text = marked_text(document.sections).replace("</document", "< /document")
    return f'<document name="{document.name}">\n{text}\n</document>'


def with_documents(question: str, attachments: Sequence[Attachment]) -> str:
    """The question as a model gets it: documents first, so that later questions find the same beginning, then how to
    cite, then what was asked."""
    if not attachments:
        return question
    documents = [attachment.document for attachment in attachments]
    marks = list(dict.fromkeys(mark(document.sections[0]) for document in documents if document.sections))
    texts = "\n\n".join(map(document_text, documents))
    return (
        f"{texts}\n\nAnswer from the {'document' if len(documents) == 1 else 'documents'} above. After each statement "
        f"name the part it comes from by its mark, such as {' or '.join(marks[:2])}. What is not in there, say so.\n\n"
        f"{question}"
    )
