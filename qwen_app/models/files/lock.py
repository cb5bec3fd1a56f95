"""A model's folder is made by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qwen_app.models.files.disk import writing

log = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of network disks


@contextmanager
def one_at_a_time(models_dir: Path, name: str) -> Iterator[None]:
    """Whoever else makes the model's folder ``name`` is waited for, where a disk knows locks. Raises DownloadError."""
    with writing(models_dir):
        models_dir.mkdir(parents=True, exist_ok=True)
        lock = (models_dir / f".{name}.lock").open("w")
    with lock:
        with writing(models_dir):
            _lock(lock.fileno(), f"Another process is fetching {name}; this one waits for it ...")
        yield


def _lock(file: int, waiting: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("%s", waiting)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as refused:
        if refused.errno not in _NO_LOCKS:
            raise
