"""Room on disk, asked for before it is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from qwen_app.errors import DownloadError

SPARE_BYTES = 2_000_000_000


def need_disk(folder: Path, need_bytes: int) -> None:
    """Raise DownloadError unless the disk of ``folder`` has ``need_bytes`` and 2 GB to spare."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < need_bytes + SPARE_BYTES:
        raise DownloadError(
            f"Not enough disk space under {folder}: {(need_bytes + SPARE_BYTES) / 1e9:.1f} GB are needed "
            f"(2 GB of them to spare), {free_bytes / 1e9:.1f} GB are free. Free some, or choose another --models-dir."
        )
