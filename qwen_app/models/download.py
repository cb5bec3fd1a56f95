"""The door to every model on disk: where it lies, and how it gets there."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qwen_app.errors import DownloadError, HubUnreachable, ModelFilesError
from qwen_app.models.builtin import NAME as BUILTIN
from qwen_app.models.builtin import prepare_builtin
from qwen_app.models.fetch import Advance, fetch_files
from qwen_app.models.files.checkpoint import Checkpoint, open_checkpoint
from qwen_app.models.files.disk import need_disk, reading, writing
from qwen_app.models.files.lock import one_at_a_time
from qwen_app.models.files.manifest import is_complete, write_manifest
from qwen_app.models.hub import Listing, list_hub, list_modelscope
from qwen_app.models.registry import KNOWN_MODELS
from qwen_app.start.progress import StartProgress

log = logging.getLogger(__name__)

_STEP = 0.05  # share of the whole between two lines of progress


def local_path(name: str, models_dir: Path, revision: str = "") -> Path:
    """Where the model called ``name`` lies, or would lie: at that path, or in ``models_dir``."""
    named = _by_path(name)
    if named is not None:
        return named
    if name != BUILTIN and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise ModelFilesError(
            f"There is no model {name}. Give a folder that exists, a .gguf file, a hub id (owner/name), or builtin."
        )
    of_the_hub = name != BUILTIN  # the other has no revisions, and a start without a card may come to it
    suffix = f"@{revision.replace('/', '-')}" if revision and of_the_hub else ""
    return models_dir / (name.replace("/", "--") + suffix)


def ensure_model(
    name: str, models_dir: Path, *, source: str = "hub", revision: str = "", start: StartProgress | None = None
) -> Checkpoint:
    """A whole model, fetched first where it is missing. What is complete needs no network. ``start`` is told.

    Raises DownloadError or ModelFilesError.
    """
    path = local_path(name, models_dir, revision)
    with reading(path):
        if name == BUILTIN:
            prepare_builtin(models_dir)
        elif _by_path(name) is None and not is_complete(path):
            with one_at_a_time(models_dir, path.name):
                if not is_complete(path):  # another process may have fetched it meanwhile
                    _fetch(_list(name, revision, source), path, start or StartProgress())
    return open_checkpoint(path)


def _by_path(name: str) -> Path | None:
    """The folder or .gguf file that ``name`` is the path of; it is taken as it is."""
    if name == BUILTIN:
        return None
    try:
        path = Path(name).expanduser()
    except RuntimeError as unknown:
        raise ModelFilesError(f"There is no model {name}: no user of this machine has that name.") from unknown
    with reading(path):
        return path if name.endswith(".gguf") or path.is_dir() else None


def _list(name: str, revision: str, source: str) -> Listing:
    """What there is to fetch. Where the hub does not answer, known models are taken from their publisher's other place.

    Only those: another owner of the same name there may be somebody else.
    """
    if source == "modelscope":
        return list_modelscope(name, revision)
    try:
        return list_hub(name, revision)
    except HubUnreachable as unreachable:
        if revision or name not in {model.name for model in KNOWN_MODELS}:
            raise
        log.warning("%s It is fetched from ModelScope meanwhile.", unreachable)
        try:
            return list_modelscope(name, revision)
        except DownloadError:
            raise unreachable from None


def _fetch(listing: Listing, folder: Path, start: StartProgress) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        there = sum(path.stat().st_size for path in folder.iterdir())
    need_disk(folder, max(0, listing.size_bytes - there))
    log.info("Fetching %s, %.2f GB, into %s ...", listing.name, listing.size_bytes / 1e9, folder)
    start.enter("download", listing.size_bytes)
    with progress(listing.size_bytes) as show:

        def advance(arrived_bytes: int) -> None:
            start.advance(arrived_bytes)
            show(arrived_bytes)

        fetch_files(listing.files, folder, listing.headers, advance)
    unchecked = sorted(file.path for file in listing.files if not file.has_checksum)
    if unchecked:
        log.warning("No checksum was given for %s: their sizes alone were compared.", ", ".join(unchecked))
    known = {file.path: file.sha256 for file in listing.files if file.sha256}
    write_manifest(folder, listing.name, listing.revision, known)
    log.info("%s is complete in %s.", listing.name, folder)


@contextmanager
def progress(total_bytes: int) -> Iterator[Advance]:
    """A bar on a terminal, else a line for each step; called from several threads."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total_bytes, unit="B", unit_scale=True) as bar:
            yield bar.update
    else:
        yield _Lines(total_bytes).advance


class _Lines:
    """Progress as log lines."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes, self._done_bytes, self._logged_share = max(1, total_bytes), 0, 0.0
        self._lock = threading.Lock()

    def advance(self, arrived_bytes: int) -> None:
        with self._lock:
            self._done_bytes += arrived_bytes
            share = self._done_bytes / self._total_bytes
            finished = share >= 1 > self._logged_share
            if share < self._logged_share + _STEP and not finished:
                return
            self._logged_share = share
        log.info("  %3.0f %%, %.2f GB", 100 * share, self._done_bytes / 1e9)
