"""What the files tab does with collections: show them, keep files in them, forget files and collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qwen_app.documents.document import Document
from qwen_app.documents.document_store import DocumentStore
from qwen_app.errors import AppError, PermissionDenied
from qwen_app.knowledge.file_store import Collection
from qwen_app.knowledge.knowledge_base import KnowledgeBase
from qwen_app.ui.files.picking import MOST_PICKED, picked_files
from qwen_app.ui.files.view import CollectionView, file_labels, hint_html, sure_html, told_html
from qwen_app.ui.shared.notices import document_refusal
from qwen_app.ui.shared.strings import Texts


class CollectionActions:
    """Handlers without their components. ``owner`` is whose files they are, empty: nobody's."""

    def __init__(self, knowledge: KnowledgeBase, documents: DocumentStore) -> None:
        self._knowledge = knowledge
        self._documents = documents

    async def shown(
        self, owner: str, collection: str, texts: Texts, told: str = "", *, collection_id: str = ""
    ) -> CollectionView:
        """The collection called ``collection``, or the one with this id; else the first there is."""
        every = sorted(await self._knowledge.described(owner), key=lambda one: one.name)
        wanted = (one for one in every if one.id == collection_id or one.name == collection)
        chosen = next(wanted, every[0] if every else None)
        if chosen is None:
            return CollectionView([], collection, [], told)
        if waiting := await self._knowledge.waiting_vectors(owner, chosen.id):
            told += hint_html(texts("files_vectors", count=f"{waiting:,}"))
        files = file_labels(await self._knowledge.files(owner, chosen.id), texts)
        return CollectionView([one.name for one in every], chosen.name, files, told)

    async def add(self, owner: str, user: str, collection: str, outcome: str, texts: Texts) -> CollectionView:
        """Keep what was picked (see ``picking``) in the collection; each file has its line."""
        documents: list[Document] = []
        refused: list[str] = []
        for picked in picked_files(outcome):
            document = self._documents.find(user, picked.id) if picked.id else None
            if document is not None:
                documents.append(document)
            else:
                refused.append(document_refusal(picked.reason or "not_kept", dict(picked.values), picked.detail, texts))
        return await self._keep(owner, collection, documents, refused, texts)

    async def arrive(self, owner: str, user: str, ids: Sequence[str], texts: Texts) -> CollectionView:
        """Keep documents that were sent to the chat in a collection called as the first of them is."""
        found = [self._documents.find(user, document_id) for document_id in ids[:MOST_PICKED]]
        documents = [document for document in found if document is not None]
        if not documents:
            return await self.shown(owner, "", texts, told_html([], [document_refusal("not_kept", {}, "", texts)]))
        collection = documents[0].name.rpartition(".")[0] or documents[0].name
        return await self._keep(owner, collection, documents, [], texts)

    async def remove(self, owner: str, collection: str, file_ids: Sequence[str], texts: Texts) -> CollectionView:
        """Forget the ticked files; where none is ticked, say so."""
        if not file_ids:
            return await self.shown(owner, collection, texts, hint_html(texts("files_none_ticked")))
        count = await self._knowledge.remove(owner, file_ids)
        return await self.shown(owner, collection, texts, told_html([texts("files_removed", count=count)], []))

    async def ask_drop(self, owner: str, collection: str, texts: Texts) -> CollectionView:
        """Ask whether the whole collection shall be forgotten."""
        asked = await self._knowledge.named(owner, collection)
        if asked is None:
            return await self.shown(owner, collection, texts, hint_html(texts("files_no_collection")))
        view = await self.shown(owner, "", texts, collection_id=asked.id)
        sure = sure_html(texts("files_drop_sure", name=asked.name, count=asked.files))
        return replace(view, sure=sure, dropping=asked)

    async def drop(self, owner: str, asked: Collection | None, texts: Texts) -> CollectionView:
        """Forget the whole collection of which it was asked, whatever it is called by now."""
        dropped = asked is not None and await self._knowledge.drop(owner, asked.id)
        told = hint_html(texts("files_dropped", name=asked.name)) if asked is not None and dropped else ""
        return await self.shown(owner, "", texts, told)

    async def _keep(
        self, owner: str, collection: str, documents: Sequence[Document], refused: Sequence[str], texts: Texts
    ) -> CollectionView:
        """The documents in the collection of this name, which is made where it is missing, with the lines of those that
        were ``refused`` already."""
        good: list[str] = []
        bad, collection_id, is_new = list(refused), "", False
        try:
            if documents:
                _check_owner(owner, texts)
                is_new = await self._knowledge.named(owner, collection) is None
                collection_id = await self._knowledge.create(owner, collection)
        except AppError as none:
            bad.append(texts.error(none.code, none.message))
            documents = ()
        for document in documents:
            kept, line = await self._kept(owner, collection_id, document, texts)
            (good if kept else bad).append(line)
        if is_new and not good:  # an empty one would be all that is left of what was refused
            await self._knowledge.drop(owner, collection_id, empty=True)
        name = "" if collection_id else " ".join(collection.split())
        return await self.shown(owner, name, texts, told_html(good, bad), collection_id=collection_id)

    async def _kept(self, owner: str, collection_id: str, document: Document, texts: Texts) -> tuple[bool, str]:
        """Whether the document is in the collection now, and the line that says so, or why not."""
        try:
            added = await self._knowledge.add(owner, collection_id, document)
            return True, texts("files_kept" if added.whole else "files_kept_words", name=document.name)
        except AppError as refused:
            return False, texts.error(refused.code, refused.message)


def _check_owner(owner: str, texts: Texts) -> None:
    if not owner:
        raise PermissionDenied(texts("files_nobody"))
