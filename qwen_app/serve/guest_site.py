"""The site that guests get: the chat on an app of its own, behind the same guards as the page."""

from __future__ import annotations

from fastapi import FastAPI

from qwen_app.documents.extraction import extraction
from qwen_app.guests.guest_book import GuestBook
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.ui.mount import mount_page
from qwen_app.ui.shared.context import Stores
from qwen_app.web.guests.guest_door import GuestDoor
from qwen_app.web.guests.install import install_guests
from qwen_app.web.install import install_guest_web
from qwen_app.web.status.live_status import LiveStatus
from qwen_app.web.uploads.document_upload import build_document_upload


def add_guest_site(
    app: FastAPI, service: Service, settings: Settings, stores: Stores, status: LiveStatus, door: GuestDoor
) -> None:
    """Build it beside ``app``, and open ``door`` to it."""
    site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    site.include_router(build_document_upload(stores.documents, extraction()))
    install_guest_web(site, settings, stores.saved)
    book = GuestBook(stores.saved, service.stage, tell=service.notice)
    install_guests(app, site, door, book, service=service, settings=settings, status=status)
    mount_page(site, service, settings, stores, turns=book)
