"""Puts the knowledge base that the settings name on the app, for as long as it runs."""

from __future__ import annotations

from fastapi import FastAPI

from qwen_app.http.lifespan import while_running
from qwen_app.knowledge.embeddings import Embedder
from qwen_app.knowledge.knowledge_base import KnowledgeBase, open_knowledge_base
from qwen_app.saved_chats.database import Tell
from qwen_app.settings import Settings


def install_knowledge(app: FastAPI, settings: Settings, tell: Tell) -> KnowledgeBase:
    """The knowledge base under ``settings.data_dir``, closed when ``app`` ends; ``tell`` is told of its troubles."""
    embedder = None
    if settings.embeddings_url:
        embedder = Embedder(settings.embeddings_url, settings.embeddings_key, settings.embeddings_model)
    knowledge = open_knowledge_base(settings.data_dir, embedder, tell)
    while_running(app, knowledge.running)
    return knowledge
