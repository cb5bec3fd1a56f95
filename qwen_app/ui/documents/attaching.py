"""Documents on their way into a question: attached, cut to a page range, and handed over when it is sent."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.documents.attachment import Attachment, document_text
from qwen_app.documents.document import Document, Note
from qwen_app.documents.document_store import DocumentStore
from qwen_app.documents.page_range import only, read_range
from qwen_app.documents.refusal import DocumentRefused
from qwen_app.errors import CHARACTERS_A_TOKEN, AppError, RequestError
from qwen_app.service import Service

MOST_ATTACHED = 8
PIECE_CHARACTERS = 100_000  # counted at once
COUNTED_CHARACTERS = 1_000_000  # what is longer is estimated from its beginning: it fits no context


@dataclass(frozen=True, slots=True)
class Attached:
    """A document that waits in the composer, as its chip shows it. ``id`` finds its text in the store; ``pages`` is the
    part that was chosen, ``page_count`` 0 where the file has no pages. ``exact`` says that ``tokens`` were counted."""

    id: str
    name: str
    page_count: int
    notes: tuple[Note, ...]
    tokens: int
    exact: bool = True
    pages: str = ""


def with_document(attached: tuple[Attached, ...], added: Attached) -> tuple[Attached, ...]:
    """With another document, which takes the place of the same one. Raises RequestError when there are enough."""
    others = tuple(one for one in attached if one.id != added.id)
    if len(others) >= MOST_ATTACHED:
        raise RequestError(f"At most {MOST_ATTACHED} documents can be sent with one message.")
    return (*others, added)


def with_part(attached: tuple[Attached, ...], part: Attached) -> tuple[Attached, ...]:
    """With ``part`` in the place of its document, where that is still there."""
    return tuple(part if one.id == part.id else one for one in attached)


def all_attached(first: tuple[Attached, ...], others: tuple[Attached, ...]) -> tuple[Attached, ...]:
    """Documents that come back into the composer, before those that wait there by now."""
    known = {one.id for one in first}
    return (*first, *(one for one in others if one.id not in known))[:MOST_ATTACHED]


class Attaching:
    """Finds uploaded documents in ``store``. Raises DocumentRefused where one is there no longer."""

    def __init__(self, service: Service, store: DocumentStore | None = None) -> None:
        self._service = service
        self._store = store or DocumentStore()

    async def attached(self, document_id: str, user: str, pages: str = "") -> Attached:
        """The document, or only these ``pages`` of it, as it waits in the composer. Counting may take seconds.

        Raises ValueError for pages that are no range, or take nothing.
        """
        document = self._find(document_id, user)
        part = only(document, read_range(pages))
        if pages and not part.sections:
            raise ValueError(pages)
        tokens, exact = await self._count(part)
        return Attached(document_id, document.name, document.pages, document.notes, tokens, exact, pages.strip())

    def hand_over(self, attached: tuple[Attached, ...], user: str) -> tuple[Attachment, ...]:
        """The documents themselves, to be sent and saved with the question."""
        return tuple(
            Attachment(only(self._find(one.id, user), read_range(one.pages)), one.tokens, one.pages) for one in attached
        )

    def take_back(self, documents: tuple[Attachment, ...], user: str) -> tuple[Attached, ...]:
        """What was handed over, to wait in the composer again. The parts that were left out are gone."""
        taken = []
        for attachment in documents:
            document = attachment.document
            try:
                kept = self._store.keep(user, document)
            except AppError:
                continue
            taken.append(Attached(kept.id, document.name, document.pages, document.notes, attachment.tokens))
        return tuple(taken)

    def _find(self, document_id: str, user: str) -> Document:
        document = self._store.find(user, document_id)
        if document is None:
            raise DocumentRefused("not_kept")
        return document

    async def _count(self, document: Document) -> tuple[int, bool]:
        """Tokens, and whether they were counted to the end."""
        text = document_text(document)
        # the engine refuses to count what is longer than any text of its context
        size = min(PIECE_CHARACTERS, self._service.info().context_tokens * CHARACTERS_A_TOKEN // 2)
        counted = text[:COUNTED_CHARACTERS]
        pieces = [counted[start : start + size] for start in range(0, len(counted), size)]
        tokens = sum([await self._service.count_text(piece) for piece in pieces])
        if len(counted) == len(text):
            return tokens, True
        return tokens * len(text) // len(counted), False
