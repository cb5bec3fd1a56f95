"""Where files of callers are kept: on their way, and for good."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.documents.document_store import DocumentStore
from qwen_app.documents.extraction import Extraction, extraction
from qwen_app.knowledge.knowledge_base import KnowledgeBase, knowledge_in_memory


@dataclass(frozen=True, slots=True)
class Library:
    """``documents`` were uploaded and wait for their collection, ``knowledge`` has the collections."""

    documents: DocumentStore = field(default_factory=DocumentStore)
    knowledge: KnowledgeBase = field(default_factory=knowledge_in_memory)
    extraction: Extraction = field(default_factory=extraction)
