"""The routes of this package."""

from __future__ import annotations

from fastapi import APIRouter

from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.files.embeddings import add_embedding_routes
from qwen_app.api.files.file_batches import add_file_batch_routes
from qwen_app.api.files.library import Library
from qwen_app.api.files.searching import add_search_routes
from qwen_app.api.files.store_files import add_store_file_routes
from qwen_app.api.files.uploads import add_upload_routes
from qwen_app.api.files.vector_stores import add_vector_store_routes


def add_file_routes(router: APIRouter, parts: ApiParts, library: Library) -> None:
    """Add them all to ``router``."""
    add_embedding_routes(router, parts, library.knowledge.embedder)
    add_upload_routes(router, parts, library)
    add_vector_store_routes(router, parts, library)
    add_store_file_routes(router, parts, library)
    add_file_batch_routes(router, parts, library)
    add_search_routes(router, parts, library.knowledge)
