"""What the disk refuses, told with the path, the user and what to do."""

from __future__ import annotations

import errno
import os
import pwd
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qwen_app.errors import DownloadError, ModelFilesError

SPARE_BYTES = 2_000_000_000
_NOT_OURS = (errno.EACCES, errno.EPERM)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever the disk refuses within becomes ModelFilesError, with the path, the user and what to do."""
    try:
        yield
    except OSError as refused:
        raise ModelFilesError(_refusal(refused, path, "read")) from refused


def need_readable(path: Path) -> None:
    """Raise ModelFilesError unless the file at ``path`` may be read."""
    with reading(path):
        if not os.access(path, os.R_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """As ``reading``, for files that are made: DownloadError."""
    try:
        yield
    except OSError as refused:
        raise DownloadError(_refusal(refused, path, "written")) from refused


def need_disk(folder: Path, need_bytes: int) -> None:
    """Raise DownloadError unless the disk of ``folder`` has ``need_bytes`` and 2 GB to spare."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < need_bytes + SPARE_BYTES:
        raise DownloadError(
            f"Not enough disk space under {folder}: {(need_bytes + SPARE_BYTES) / 1e9:.1f} GB are needed "
            f"(2 GB of them to spare), {free_bytes / 1e9:.1f} GB are free. Free some, or choose another --models-dir."
        )


def _refusal(refused: OSError, path: Path, what: str) -> str:
    named = refused.filename if isinstance(refused.filename, str) else str(path)
    if refused.errno == errno.ENOSPC:
        return f"The disk is full: {named} cannot be written. Free some space and run the same command again."
    if refused.errno in _NOT_OURS:
        user = _user()
        return (
            f"{named} cannot be {what} by user {user} ({refused.strerror}). Run this as the user whom it belongs to, "
            f"or hand it over with: chown -R {user} {shlex.quote(str(path))}"
        )
    return f"{named} cannot be {what} ({refused.strerror or refused}). Choose another --models-dir or --model."


def _user() -> str:
    """Whose rights count."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
