"""What installs the page as an app: for everybody, also before a login, a guest's link or below a proxy's path."""

from __future__ import annotations

import io

import httpx
import pytest
from PIL import Image

from qwen_app.settings import Settings
from tests.web.web_app import bare_app

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("settings", "root"), [({}, ""), ({"auth": "ada:x"}, ""), ({"root_path": "/qwen"}, "/qwen")])
async def test_the_manifest_and_its_icons_are_there(settings: dict[str, str], root: str) -> None:
    transport = httpx.ASGITransport(bare_app(Settings(**settings)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7860") as web:
        address = f"{root}/manifest.json"
        answer = await web.get(address)
        assert answer.headers["content-type"] == "application/manifest+json"
        manifest = answer.json()
        assert manifest["start_url"] == manifest["scope"] == "./"
        for icon in manifest["icons"]:
            drawn = await web.get(str(httpx.URL(address).join(icon["src"])))
            assert drawn.headers["content-type"] == icon["type"]
            if icon["type"] == "image/png":
                picture = Image.open(io.BytesIO(drawn.content))
                assert f"{picture.width}x{picture.height}" == icon["sizes"]
