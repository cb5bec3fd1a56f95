"""What the files tab does with collections: show them, keep files in them, forget files and collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qwen_app.documents.document import Document
from qwen_app.documents.document_store import DocumentStore
from qwen_app.errors import AppError, PermissionDenied
from qwen_app.knowledge.knowledge_base import KnowledgeBase
from qwen_app.ui.files.picking import MOST_PICKED, picked_files
from qwen_app.ui.files.view import CollectionView, file_labels, hint_html, refusal_text, sure_html, told_html
from qwen_app.ui.shared.strings import Texts


class CollectionActions:
    """Handlers without their components. ``owner`` is whose files they are, empty: nobody's."""

    def __init__(self, knowledge: KnowledgeBase, documents: DocumentStore) -> None:
        self._knowledge = knowledge
        self._documents = documents

    async def shown(self, owner: str, collection: str, texts: Texts, told: str = "") -> CollectionView:
        """The collection called ``collection``, or the first there is."""
        names = await self._knowledge.collections(owner)
        name = collection if collection in names or not names else names[0]
        if waiting := await self._knowledge.waiting_vectors(owner, name):
            told += hint_html(texts("files_vectors", count=f"{waiting:,}"))
        return CollectionView(names, name, file_labels(await self._knowledge.files(owner, name), texts), told)

    async def add(self, owner: str, user: str, collection: str, outcome: str, texts: Texts) -> CollectionView:
        """Keep what was picked (see ``picking``) in the collection; each file has its line."""
        good: list[str] = []
        bad: list[str] = []
        for picked in picked_files(outcome):
            document = self._documents.find(user, picked.id) if picked.id else None
            if document is None:
                bad.append(refusal_text(picked.reason or "not_kept", dict(picked.values), picked.detail, texts))
                continue
            kept, line = await self._kept(owner, collection, document, texts)
            (good if kept else bad).append(line)
        return await self.shown(owner, " ".join(collection.split()), texts, told_html(good, bad))

    async def arrive(self, owner: str, user: str, ids: Sequence[str], texts: Texts) -> CollectionView:
        """Keep documents that were sent to the chat in a collection called as the first of them is."""
        found = [self._documents.find(user, document_id) for document_id in ids[:MOST_PICKED]]
        documents = [document for document in found if document is not None]
        if not documents:
            return await self.shown(owner, "", texts, told_html([], [refusal_text("not_kept", {}, "", texts)]))
        collection = documents[0].name.rpartition(".")[0] or documents[0].name
        told = [await self._kept(owner, collection, document, texts) for document in documents]
        good, bad = [line for kept, line in told if kept], [line for kept, line in told if not kept]
        return await self.shown(owner, " ".join(collection.split()), texts, told_html(good, bad))

    async def remove(self, owner: str, collection: str, names: Sequence[str], texts: Texts) -> CollectionView:
        """Forget the ticked files; where none is ticked, say so."""
        if not names:
            return await self.shown(owner, collection, texts, hint_html(texts("files_none_ticked")))
        count = await self._knowledge.remove(owner, collection, names)
        return await self.shown(owner, collection, texts, told_html([texts("files_removed", count=count)], []))

    async def ask_drop(self, owner: str, collection: str, texts: Texts) -> CollectionView:
        """Ask whether the whole collection shall be forgotten."""
        view = await self.shown(owner, collection, texts)
        if view.shown != collection or collection not in view.collections:
            return replace(view, told=hint_html(texts("files_no_collection")))
        return replace(view, sure=sure_html(texts("files_drop_sure", name=collection, count=len(view.files))))

    async def drop(self, owner: str, collection: str, texts: Texts) -> CollectionView:
        """Forget the whole collection."""
        dropped = await self._knowledge.drop(owner, collection)
        told = hint_html(texts("files_dropped", name=collection)) if dropped else ""
        return await self.shown(owner, "", texts, told)

    async def _kept(self, owner: str, collection: str, document: Document, texts: Texts) -> tuple[bool, str]:
        """Whether the document is in the collection now, and the line that says so, or why not."""
        try:
            _check_owner(owner, texts)
            whole = await self._knowledge.add(owner, collection, document)
            return True, texts("files_kept" if whole else "files_kept_words", name=document.name)
        except AppError as refused:
            return False, texts.error(refused.code, refused.message)


def _check_owner(owner: str, texts: Texts) -> None:
    if not owner:
        raise PermissionDenied(texts("files_nobody"))
