"""The documents that were sent with a question, as an export lists them: what they were, not what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_app.saved_chats.values import SavedMessage

DOCUMENTS = "documents"  # in a question's settings
PAGED = ("page", "slide")
HASH_CHARS = 16


@dataclass(frozen=True, slots=True)
class SentDocument:
    """``pages`` are those that were chosen, else how many there are, empty where the file has none; ``sha256`` begins
    the digest of the text that was sent."""

    name: str
    pages: str
    tokens: int
    sha256: str

    @property
    def line(self) -> str:
        """In one line: ``book.pdf · 100 pages · 3,623 tokens · sha256 0f3c…``."""
        return " · ".join(filter(None, (self.name, self.pages, f"{self.tokens:,} tokens", f"sha256 {self.sha256}…")))


def sent_documents(message: SavedMessage) -> list[SentDocument]:
    """Those of a question. What is saved may be an import's, and anything: what is no document is left out."""
    return [_described(one, document) for one, document in _documents(message)]


def _documents(message: SavedMessage) -> Iterator[tuple[dict[str, object], dict[str, object]]]:
    saved = message.settings.get(DOCUMENTS)
    for one in saved if isinstance(saved, list) else []:
        document = one.get("document") if isinstance(one, dict) else None
        if isinstance(document, dict) and isinstance(document.get("name"), str):
            yield one, document


def _described(one: dict[str, object], document: dict[str, object]) -> SentDocument:
    saved = document.get("sections")
    sections = [section for section in saved if isinstance(section, dict)] if isinstance(saved, list) else []
    text = "\n".join(str(section.get("text", "")) for section in sections)
    numbers = [section.get("last") for section in sections if section.get("kind") in PAGED]
    last = max((number for number in numbers if isinstance(number, int)), default=0)
    chosen = str(one.get("pages") or "")
    pages = f"pages {chosen}" if chosen else f"{last:,} pages" if last > 1 else "1 page" if last else ""
    tokens = one.get("tokens")
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:HASH_CHARS]
    return SentDocument(str(document["name"]), pages, tokens if isinstance(tokens, int) else 0, digest)
