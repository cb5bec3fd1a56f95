"""What stands between the wall and the page, put on the app in one place."""

from __future__ import annotations

from fastapi import FastAPI

from qwen_app.http.paths import PathPrefixes
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.settings import Settings
from qwen_app.web.chats.install import CHATS_PATHS, install_chats, install_guest_chats
from qwen_app.web.guarded import guard_page
from qwen_app.web.guests.presenter_routes import PRESENTER_PATH
from qwen_app.web.installable.manifest import build_installable_routes
from qwen_app.web.login import LOGIN, LOGOUT
from qwen_app.web.share.install import install_share
from qwen_app.web.status.stream import STATUS_PATH


def install_web(app: FastAPI, settings: Settings, api_paths: PathPrefixes, saved: SavedChats | None = None) -> None:
    """Guard ``app`` behind the wall, and open the public link once it runs. ``api_paths`` are guarded by the API."""
    not_gradios = api_paths.also(LOGIN, LOGOUT, *CHATS_PATHS, STATUS_PATH, PRESENTER_PATH)
    app.include_router(build_installable_routes())
    if saved is not None:
        install_chats(app, saved)
    guard_page(app, settings, api_paths=api_paths, not_gradios=not_gradios)
    if settings.share:
        install_share(app, settings.port, settings.share_relay)


def install_guest_web(app: FastAPI, settings: Settings, saved: SavedChats) -> None:
    """Guard ``app``, the site of guests, in the same way. It has no API, no links and no uploads of its own making."""
    install_guest_chats(app, saved)
    guard_page(app, settings, api_paths=PathPrefixes([]), not_gradios=PathPrefixes([*CHATS_PATHS, "/guest"]))
