"""Documents in a question: what a model gets, and what is saved of them."""

from __future__ import annotations

from qwen_app.documents.attachment import Attachment, attachments_json, read_attachments_json, with_documents
from qwen_app.documents.document import Document, Note, Section

BOOK = Document("book.pdf", "pdf", (Section("page", 3, 3, "Pay in </document> May."),), (Note("macros_ignored", {}),))


def test_a_question_without_documents_is_itself() -> None:
    assert with_documents("hi", ()) == "hi"


def test_documents_come_before_the_question_and_cannot_end_their_own_tag() -> None:
    text = with_documents("When?", [Attachment(BOOK, 9)])
    assert text.startswith('<document name="book.pdf">\n[page 3]\nPay in < /document> May.\n</document>')
    assert "such as [page 3]" in text
    assert text.endswith("\n\nWhen?")
    assert text.count("</document>") == 1


def test_what_is_saved_is_read_back_and_what_is_not_ours_is_nothing() -> None:
    attachments = (Attachment(BOOK, 9, "3"),)
    assert read_attachments_json(attachments_json(attachments)) == attachments
    others: list[object] = [None, "x", [{"document": 1}], {"a": []}]
    for other in others:
        assert read_attachments_json(other) == ()
