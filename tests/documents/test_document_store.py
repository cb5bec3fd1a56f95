"""Documents wait in memory within limits, each for its user alone, and for a while."""

from __future__ import annotations

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.documents.document_store import LIMITS, DocumentStore
from qwen_app.errors import TooManyRequests


def document(characters: int = 10, name: str = "a.txt") -> Document:
    return Document(name, "txt", (Section("lines", 1, 1, "x" * characters),))


def test_a_document_is_its_users_alone() -> None:
    store = DocumentStore()
    kept = store.keep("ada", document())
    assert store.find("ada", kept.id) == document()
    assert store.find("eve", kept.id) is None
    assert store.find("ada", "made up") is None


def test_who_uploads_more_loses_his_own_oldest() -> None:
    store = DocumentStore()
    others = store.keep("eve", document())
    ids = [store.keep("ada", document()).id for _ in range(LIMITS.uploads_per_user + 1)]
    assert store.find("ada", ids[0]) is None
    assert all(store.find("ada", one) for one in ids[1:])
    assert store.find("eve", others.id)


def test_all_together_have_a_limit_and_what_nobody_uses_goes() -> None:
    now = [0.0]
    store = DocumentStore(characters_in_all=100, clock=lambda: now[0])
    store.keep("ada", document(50))
    store.keep("bob", document(20))
    with pytest.raises(TooManyRequests):
        store.keep("eve", document(20))
    store.keep("eve", document(10))  # there is room for something smaller
    now[0] = LIMITS.unused_s + 1
    assert store.keep("eve", document(20))
