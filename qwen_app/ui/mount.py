"""Puts the page on our FastAPI app, with every default of Gradio's that says too much or allows too much overridden."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import gradio as gr
from fastapi import FastAPI, Request
from gradio.routes import App
from starlette.routing import Mount

from qwen_app.documents.document_store import DocumentStore
from qwen_app.knowledge.install import install_knowledge
from qwen_app.saved_chats.saved_chats import SavedChats, chats_in_memory
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.ui.browser.script import page_script
from qwen_app.ui.first_look import first_look_html
from qwen_app.ui.page import build_page
from qwen_app.ui.shared.context import Stores, TurnCounter
from qwen_app.ui.shared.theme import ALLOWED_DOM, BROWSER_STORE, PRINT_STYLE, SHARE_NOTICE, STYLES, theme
from qwen_app.uploads.table_store import TableStore

# Gradio's own bounds hold for all visitors together, and over them it drops whoever came first. They are out of reach:
# what one visitor may open is counted in front of Gradio, in ``qwen_app.web.page_calls``.
GRADIO_SESSIONS = 8192
GRADIO_AT_ONCE = 4096


def page_stores(app: FastAPI, settings: Settings, saved: SavedChats | None, tell: Callable[[str], None]) -> Stores:
    """What the server keeps for visitors, until ``app`` ends. Without ``saved``, chats stay in memory; ``tell`` is told
    of files that cannot be used."""
    return Stores(TableStore(), saved or chats_in_memory(), DocumentStore(), install_knowledge(app, settings, tell))


def mount_page(
    app: FastAPI, service: Service, settings: Settings, stores: Stores, turns: TurnCounter | None = None
) -> FastAPI:
    """Mount the page at ``/``, after every other route. Who is logged in is what ``qwen_app.web`` found out.

    With ``turns``, it is the page of guests.
    """
    blocks = build_page(service, settings, stores, turns)
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
        root_path=settings.root_path or None,
        auth_dependency=None if settings.is_local() or turns else _visitor,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,  # the manifest is ours: qwen_app/web/installable
        max_file_size=1,  # there is no upload of Gradio's
        allowed_paths=[],
        blocked_paths=["/"],
        theme=theme(),
        head=_scripts(settings, guest=turns is not None) + first_look_html(settings, guest=turns is not None),
        css_paths=STYLES,
        js=page_script(guest=turns is not None),
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    blocks.app = cast(App, cast(Mount, app.routes[-1]).app)  # it has no other: see quick_blocks.py
    return app


def _scripts(settings: Settings, *, guest: bool) -> str:
    """What runs before anything is drawn, and how the page is printed."""
    files = [BROWSER_STORE, ALLOWED_DOM, *([SHARE_NOTICE] if settings.share and not guest else [])]
    scripts = "".join(f"<script>{file.read_text(encoding='utf-8')}</script>" for file in files)
    return f"{scripts}<style>{PRINT_STYLE.read_text(encoding='utf-8')}</style>"


def _visitor(request: Request) -> str | None:
    user: str | None = getattr(request.state, "user", None)
    return user
