"""Puts the public link on the app: open as long as it runs, and told of to the page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import asdict
from functools import partial

from fastapi import FastAPI

from qwen_app.http.lifespan import while_running
from qwen_app.web.share.link import ShareLink
from qwen_app.web.share.tunnel import open_tunnel

SHARE_LINK = "/share-link"


def install_share(app: FastAPI, port: int, relay_address: str) -> None:
    """The link to ``port`` of this machine, by the relay at ``relay_address``; empty: Gradio's."""
    share_when_running(app, ShareLink(port, partial(open_tunnel, relay_address=relay_address)))


def share_when_running(app: FastAPI, link: ShareLink) -> None:
    """Keep ``link`` open as long as ``app`` runs, and tell the page about it."""

    async def share_link() -> dict[str, str]:
        return asdict(link.state)

    app.add_api_route(SHARE_LINK, share_link, include_in_schema=False)

    @contextlib.asynccontextmanager
    async def open_link() -> AsyncGenerator[None, None]:
        link.start()
        try:
            yield
        finally:
            await asyncio.to_thread(link.close)

    while_running(app, open_link)
