"""Where files of callers are kept: on their way, and for good."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.documents.document import Document
from qwen_app.documents.document_store import DocumentStore
from qwen_app.documents.extraction import Extraction, extraction
from qwen_app.errors import NotFound
from qwen_app.knowledge.file_store import KeptFile
from qwen_app.knowledge.knowledge_base import KnowledgeBase, knowledge_in_memory


@dataclass(frozen=True, slots=True)
class Library:
    """``documents`` were uploaded and wait for their collection, ``knowledge`` has the collections."""

    documents: DocumentStore = field(default_factory=DocumentStore)
    knowledge: KnowledgeBase = field(default_factory=knowledge_in_memory)
    extraction: Extraction = field(default_factory=extraction)

    def uploaded(self, owner: str, file_id: str) -> Document:
        """The owner's upload with this id. Raises NotFound where there is none."""
        document = self.documents.find(owner, file_id)
        if document is None:
            raise NotFound("There is no file of yours with this id, or it is kept no longer.", param="file_id")
        return document

    async def collect(self, owner: str, collection_id: str, file_id: str, document: Document) -> KeptFile:
        """Keep the owner's upload of this id, which is ``document``, in the collection. Raises what the knowledge base
        does."""
        added = await self.knowledge.add(owner, collection_id, document)
        self.documents.in_a_collection(owner, file_id)
        return added.file
