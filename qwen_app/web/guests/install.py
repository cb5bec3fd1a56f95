"""Puts guests and their presenter on the app: the routes of both, and the guests of the last start."""

from __future__ import annotations

from fastapi import FastAPI

from qwen_app.guests.guest_book import GuestBook
from qwen_app.http.lifespan import while_running
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.web.guests.guest_door import GuestDoor
from qwen_app.web.guests.guest_routes import build_guest_routes
from qwen_app.web.guests.presenter_routes import PresenterRoutes
from qwen_app.web.status.live_status import LiveStatus


def install_guests(
    app: FastAPI,
    site: FastAPI,
    door: GuestDoor,
    book: GuestBook,
    *,
    service: Service,
    settings: Settings,
    status: LiveStatus,
) -> None:
    """``site`` is what guests get. It runs as long as ``app`` does."""
    app.include_router(PresenterRoutes(service, settings, book, door, status).router())
    site.include_router(build_guest_routes(book, service.stage))
    while_running(app, book.running)
    while_running(app, lambda: site.router.lifespan_context(site))
    door.open(book, site)
