"""Files kept and found in a collection by its name, as the Files tab does."""

from __future__ import annotations

from qwen_app.documents.document import Document
from qwen_app.knowledge.knowledge_base import AddedFile, KnowledgeBase, SearchResult


async def keep_in(base: KnowledgeBase, owner: str, collection: str, document: Document) -> AddedFile:
    """Keep ``document`` in the collection of this name, which is made where it is missing."""
    return await base.add(owner, await base.create(owner, collection), document)


async def find_in(base: KnowledgeBase, owner: str, collection: str, question: str) -> SearchResult:
    """What the question finds in the collection of this name; nothing where there is none."""
    named = await base.named(owner, collection)
    return await base.find(owner, named.id if named is not None else "", question)
