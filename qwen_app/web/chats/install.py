"""Puts the saved chats on the app: their routes, whose they are, and the hourly deletion while the app runs."""

from __future__ import annotations

from fastapi import FastAPI

from qwen_app.http.lifespan import while_running
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.web.chats.link_routes import build_link_routes
from qwen_app.web.chats.owner_cookie import OwnerCookie
from qwen_app.web.chats.routes import CHATS_PATH, build_chat_routes
from qwen_app.web.chats.shared_page import SHARED_PATH, build_shared_page

CHATS_PATHS = (CHATS_PATH, SHARED_PATH)


def install_chats(app: FastAPI, saved: SavedChats) -> None:
    """Before the page is mounted, and behind what is added later."""
    app.include_router(build_link_routes(saved))
    app.include_router(build_chat_routes(saved))
    app.include_router(build_shared_page(saved))
    app.add_middleware(OwnerCookie, key=saved.key)
    while_running(app, saved.running)


def install_guest_chats(app: FastAPI, saved: SavedChats) -> None:
    """The list of a guest's own chats. No links are made for others, nothing is brought in; the main app deletes."""
    app.include_router(build_chat_routes(saved))
    app.add_middleware(OwnerCookie, key=saved.key)
