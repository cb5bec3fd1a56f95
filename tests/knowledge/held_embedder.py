"""An embedder that waits, so that a test can do something while a file is added."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np

from qwen_app.knowledge.embeddings import Embedder

PATIENCE_S = 20.0


class HeldEmbedder(Embedder):
    """Sets ``asked`` with the first request, and answers none before ``go_on`` is set."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9/v1")
        self.asked = threading.Event()
        self.go_on = threading.Event()

    async def vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        self.asked.set()
        await asyncio.to_thread(self.go_on.wait, PATIENCE_S)
        return [np.array([1.0, 0.0], dtype=np.float32) for _ in texts]
