"""How the API is put on an app: its routes, its errors, and what counts and answers around them."""

from __future__ import annotations

from fastapi import FastAPI

from qwen_app.api.access.api_route import ResponseCounter
from qwen_app.api.files.library import Library
from qwen_app.api.head_requests import HeadRequests
from qwen_app.api.protocol.error_response import install_error_handlers
from qwen_app.api.routes import build_router
from qwen_app.documents.document_store import DocumentStore
from qwen_app.http.paths import PathPrefixes
from qwen_app.knowledge.knowledge_base import KnowledgeBase, knowledge_in_memory
from qwen_app.metrics import Telemetry
from qwen_app.service import Service
from qwen_app.settings import Settings


def install_api(
    app: FastAPI,
    service: Service,
    settings: Settings,
    documents: DocumentStore | None = None,
    knowledge: KnowledgeBase | None = None,
) -> PathPrefixes:
    """Put the API on ``app`` and return the paths it answers. It needs ``install_request_middleware`` beside it.

    Callers' files are kept in ``documents`` and ``knowledge``; without these, in memory.
    """
    telemetry = Telemetry(service)
    library = Library(documents or DocumentStore(), knowledge or knowledge_in_memory())
    router = build_router(service, settings, telemetry, library)
    app.include_router(router)
    install_error_handlers(app)
    app.add_middleware(ResponseCounter, telemetry=telemetry)
    paths = PathPrefixes.of_routes(router.routes)
    app.add_middleware(HeadRequests, paths=paths)
    return paths
