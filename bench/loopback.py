"""A server of ours on a free port of this machine, in a thread, for as long as something is measured."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager

import uvicorn

from qwen_app.serve.server import listen


@contextmanager
def on_loopback(
    server: uvicorn.Server, beside: Callable[[], Coroutine[object, object, None]] | None = None
) -> Iterator[int]:
    """The port that ``server`` listens on until the block ends. ``beside`` runs on its event loop meanwhile."""
    with listen("127.0.0.1", 0) as listener:

        async def serve() -> None:
            task = asyncio.create_task(beside()) if beside else None
            await server.serve([listener])
            if task is not None:
                task.cancel()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
