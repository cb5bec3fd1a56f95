"""Documents between their upload and the message they are sent with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from qwen_app.documents.document import Document
from qwen_app.http.turns import Turnstile
from qwen_app.uploads.upload_store import Upload, UploadLimits, UploadStore

UPLOAD_PATH = "/uploads/document"  # where a file is sent to become a document
LIMITS = UploadLimits(
    uploads_per_user=100,
    size_per_user=8_000_000,  # characters
    size_in_all=64_000_000,
    unused_s=2 * 3600.0,
)
TOO_MANY_WAIT = (
    f"As many of your files wait to be added to a vector store as may: {LIMITS.uploads_per_user} files or "
    f"{LIMITS.size_per_user // 1_000_000} million characters. Add some of them, then send this one again."
)


class DocumentStore:
    """All documents of a server that wait to be sent. Methods may be called from any thread.

    Whoever reads a file into it passes its ``turnstile`` first, before the file is read: page, guests and API together.
    """

    def __init__(
        self, *, characters_in_all: int = LIMITS.size_in_all, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.turnstile = Turnstile()
        self._uploads: UploadStore[Document] = UploadStore(
            replace(LIMITS, size_in_all=characters_in_all),
            lambda document: document.characters,
            refusal="The server keeps as many documents as it can just now. Try again later.",
            refusal_to_guests="All guests together keep as many documents here as they may. Try again later.",
            clock=clock,
        )

    def keep(self, user: str, document: Document) -> Upload[Document]:
        """Keep a document; it may take the place of one that was used least lately. Raises ServerFull where others
        leave no room for it."""
        return self._uploads.keep(user, document)

    def keep_beside(self, user: str, document: Document) -> Upload[Document]:
        """The same, but only what is ``in_a_collection`` makes room. Raises ServerFull where that is not enough."""
        return self._uploads.keep(user, document, share_refusal=TOO_MANY_WAIT)

    def in_a_collection(self, user: str, document_id: str) -> None:
        """The document is kept there from now on, and here as long as there is room."""
        self._uploads.spare(user, document_id)

    def find(self, user: str, document_id: str) -> Document | None:
        """The document of ``user`` with this id; None where he has none, or has it no longer."""
        return self._uploads.use(user, document_id)
