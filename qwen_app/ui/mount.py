"""Puts the page on our FastAPI app, with every default of Gradio's that says too much or allows too much overridden."""

from __future__ import annotations

import gradio as gr
from fastapi import FastAPI, Request

from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.table_store import TableStore
from qwen_app.ui.page import build_page
from qwen_app.ui.shared.theme import SCRIPT, STYLES, theme

# Gradio's own bounds hold for all visitors together, and over them it drops whoever came first. They are out of reach:
# what one visitor may open is counted in front of Gradio, in ``qwen_app.web.page_calls``.
GRADIO_SESSIONS = 8192
GRADIO_AT_ONCE = 4096


def mount_page(app: FastAPI, service: Service, settings: Settings, tables: TableStore) -> FastAPI:
    """Mount the page at ``/``, after every other route. Who is logged in is what ``qwen_app.web`` found out."""
    blocks = build_page(service, settings, tables)
    blocks.state_session_capacity = GRADIO_SESSIONS
    blocks._queue.pending_messages_per_session.max_size = GRADIO_SESSIONS
    blocks._queue.max_thread_count = GRADIO_AT_ONCE
    app.state.blocks = blocks
    blocks.has_launched = True  # Gradio checks which files it may open once this is set; mounting does not set it
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        server_name=settings.host,
        server_port=settings.port,
        auth_dependency=_visitor if settings.auth else None,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        max_file_size=1,  # there is no upload of Gradio's
        allowed_paths=[],
        blocked_paths=["/"],
        theme=theme(),
        css_paths=STYLES,
        js=SCRIPT.read_text(encoding="utf-8"),
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    return app


def _visitor(request: Request) -> str | None:
    user: str | None = getattr(request.state, "user", None)
    return user
