"""The process's logging as it was, after a test that set it up anew."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logging_kept() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("qwen_app")
    handlers, level, own_level = list(root.handlers), root.level, own.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        own.setLevel(own_level)
        logging.captureWarnings(False)
