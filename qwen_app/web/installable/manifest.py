"""The manifest (W3C Web Application Manifest) and the icon: browsers ask for them without a login, and get them."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, JSONResponse, Response

MANIFEST, ICON, PICTURE = "/manifest.json", "/icon.svg", "/icon.png"
INSTALLABLE_PATHS = (MANIFEST, ICON, PICTURE)
ICON_FILE = Path(__file__).with_name("icon.svg")
_PICTURE_FILE = Path(__file__).with_name("icon.png")  # of 512 pixels, drawn from the other
_KEPT = {"cache-control": "public, max-age=86400"}
# Addresses are relative to the manifest's own, so that they hold below the path of a proxy.
_WRITTEN = {
    "name": "Qwen chat",
    "short_name": "Qwen",
    "start_url": "./",
    "scope": "./",
    "display": "standalone",
    "background_color": "#fafafa",
    "theme_color": "#4f46e5",
    "icons": [
        {"src": "icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any maskable"},
        {"src": "icon.png", "sizes": "512x512", "type": "image/png", "purpose": "any maskable"},
    ],
}


def build_installable_routes() -> APIRouter:
    """To be included before the page, which has a manifest of Gradio's at the same path."""
    router = APIRouter(include_in_schema=False)

    @router.get(MANIFEST)
    async def manifest() -> Response:
        return JSONResponse(_WRITTEN, headers=_KEPT, media_type="application/manifest+json")

    @router.get(ICON)
    async def icon() -> Response:
        return FileResponse(ICON_FILE, media_type="image/svg+xml", headers=_KEPT)

    @router.get(PICTURE)
    async def picture() -> Response:
        return FileResponse(_PICTURE_FILE, media_type="image/png", headers=_KEPT)

    return router
