"""Documents as chips: those in the composer, with what can be done about each, and those in a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from qwen_app.documents.attachment import Attachment
from qwen_app.documents.document import Note
from qwen_app.documents.refusal import DocumentRefused
from qwen_app.ui.documents.attaching import Attached
from qwen_app.ui.shared.notices import document_refusal, failure_html, notice_html
from qwen_app.ui.shared.strings import Texts

# Buttons, which attach.js answers: their names, and what they are explained by.
WAYS_OUT = {
    "documents_in_parts": "documents_in_parts_info",
    "documents_ask_files": "documents_ask_files_info",
}


def attached_html(attached: Sequence[Attached], texts: Texts, too_much: str = "") -> str:
    """The chips above the composer; ``too_much`` is the sentence below them where they do not fit, with two of the
    ways out as buttons."""
    if not attached:
        return ""
    chips = "".join(_chip(one, texts) for one in attached)
    ways = _too_much_html(too_much, texts) if too_much else ""
    return f'<ul class="documents" aria-label="{escape(texts("documents"))}">{chips}</ul>{ways}'


def _too_much_html(sentence: str, texts: Texts) -> str:
    buttons = "".join(
        f'<button type="button" name="{name}" title="{escape(texts(info))}">{escape(texts(name))}</button>'
        for name, info in WAYS_OUT.items()
    )
    return (
        f'<div class="documents-too-much"><div role="alert">{escape(sentence)}</div>'
        f'<div class="documents-ways">{buttons}</div></div>'
    )


def sent_html(documents: Sequence[Attachment], texts: Texts) -> str:
    """The chips in a question: a line of text each, for what is drawn there may hold nothing else."""
    chips = []
    for attachment in documents:
        document = attachment.document
        parts = [escape(document.name), *_size(document.pages, attachment.pages, attachment.tokens, True, texts)]
        chips.append(f'<span class="document-chip">{" · ".join(parts)}</span>')
    return f'<div class="document-chips">{"".join(chips)}</div>' if chips else ""


def too_much(tokens: int, room: int, context: int, most: int, texts: Texts) -> str:
    """What does not fit, in numbers, and the ways out."""
    key = "documents_raise" if most > context else "documents_no_raise"
    raised = texts(key, context=f"{context:,}", most=f"{most:,}")
    return texts("documents_too_much", tokens=f"{tokens:,}", room=f"{max(0, room):,}", raised=raised)


def document_refusal_html(error: Exception, texts: Texts, about: str = "") -> str:
    """Why a file was not taken, in the visitor's language; ``about`` names the wish that is refused."""
    if not isinstance(error, DocumentRefused):
        return failure_html(error, texts, about)
    return refused_html(error.reason, error.values, error.message, texts, about)


def refused_html(reason: str, values: Mapping[str, str], detail: str, texts: Texts, about: str = "") -> str:
    """As ``document_refusal_html``, for a refusal that came back from the browser."""
    return notice_html(document_refusal(reason, values, detail, texts), about)


def no_range_html(pages: str, texts: Texts, about: str) -> str:
    """What was written is no range of the document; ``about`` names the wish that is refused."""
    return notice_html(texts("documents_no_range", pages=pages), about)


def _chip(one: Attached, texts: Texts) -> str:
    name, about = escape(one.name), " · ".join(_size(one.page_count, one.pages, one.tokens, one.exact, texts))
    notes = "".join(f'<span class="document-note">{escape(_note(note, texts))}</span>' for note in one.notes)
    label = escape(texts("documents_pages_label", name=one.name))
    remove = escape(texts("documents_remove", name=one.name))
    return (
        f'<li><span class="document-name" title="{name}">{name}</span><span class="document-size">{about}</span>'
        f'<input name="{escape(one.id)}" value="{escape(one.pages)}" maxlength="60" aria-label="{label}" '
        f'placeholder="{escape(texts("documents_pages"))}">'
        f'<button type="button" name="detach" value="{escape(one.id)}" aria-label="{remove}" '
        f'title="{remove}">✕</button>'
        f"{notes}</li>"
    )


def _size(pages: int, chosen: str, tokens: int, exact: bool, texts: Texts) -> list[str]:
    parts = [texts("documents_part", pages=escape(chosen))] if chosen else []
    if pages and not chosen:
        parts = [texts("documents_all_pages", pages=f"{pages:,}")]
    return [*parts, texts("documents_tokens" if exact else "documents_about_tokens", tokens=f"{tokens:,}")]


def _note(note: Note, texts: Texts) -> str:
    return texts(f"document_note_{note.code}", **note.values)
