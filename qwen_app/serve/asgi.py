"""API and page on one ASGI app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen_app.service import Service
from qwen_app.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from qwen_app.saved_chats.saved_chats import SavedChats
    from qwen_app.web.guests.guest_door import GuestDoor


def build_asgi(
    service: Service, settings: Settings, saved: SavedChats | None = None, guests: GuestDoor | None = None
) -> FastAPI:
    """API and page on one ASGI app, to be served behind ``qwen_app.web.wall`` alone, which knows guests by ``guests``.

    Without ``saved``, chats stay in memory.
    """
    from fastapi import FastAPI

    from qwen_app.api.install import install_api
    from qwen_app.serve.guest_site import add_guest_site
    from qwen_app.ui.mount import mount_page, page_stores
    from qwen_app.web.install import install_web
    from qwen_app.web.status.stream import install_status_stream
    from qwen_app.web.uploads.install import install_uploads

    app = FastAPI(title="Qwen chat", docs_url=None, redoc_url=None, openapi_url=None)
    stores = page_stores(app, settings, saved, service.notice)
    api_paths = install_api(app, service, settings, stores.documents, stores.knowledge)
    install_uploads(app, stores.tables, stores.documents)
    status = install_status_stream(app, service)
    install_web(app, settings, api_paths, stores.saved)
    if guests is not None:
        add_guest_site(app, service, settings, stores, status, guests)
    return mount_page(app, service, settings, stores)
