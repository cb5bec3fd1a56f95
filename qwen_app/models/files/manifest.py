"""The manifest of a model's folder: ``manifest.json`` beside the weights.

Where the model came from, and size and sha256 of every file. It is written last, so a folder we made that has none is
incomplete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qwen_app.errors import ModelFilesError
from qwen_app.models.files.checksums import sha256_of
from qwen_app.models.files.disk import writing
from qwen_app.models.files.json_file import MISSHAPEN
from qwen_app.models.files.names import PART, WEIGHTS

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a folder's files came from, and the sha256 and size in bytes of each."""

    name: str
    revision: str
    files: dict[str, tuple[int, str]]

    @property
    def weights(self) -> dict[str, tuple[int, str]]:
        return {name: one for name, one in self.files.items() if name.endswith(WEIGHTS)}


def write_manifest(folder: Path, name: str, revision: str, known_sha256: Mapping[str, str] | None = None) -> None:
    """Record every whole file now in ``folder``; call it when all of them are there. Known sums are not computed again.

    The manifest is there whole or not at all. Raises DownloadError where it cannot be written.
    """
    known = known_sha256 or {}
    paths = sorted(path for path in folder.iterdir() if path.is_file() and _is_recorded(path.name))
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": known.get(path.name) or sha256_of(path)} for path in paths
    }
    text = json.dumps({"name": name, "revision": revision, "files": files}, indent=2)
    new = folder / f"{MANIFEST}{PART}"
    with writing(folder):
        with new.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's manifest; None where there is none. Raises ModelFilesError when it cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        files = {str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in data["files"].items()}
        return Manifest(str(data["name"]), str(data["revision"]), files)
    except MISSHAPEN as broken:
        raise ModelFilesError(f"{path} is damaged. Delete it: the folder is then taken as it is.") from broken


def is_complete(folder: Path) -> bool:
    """Whether ``folder`` has a manifest, which is written last. One that cannot be made out is none."""
    try:
        return read_manifest(folder) is not None
    except ModelFilesError:
        return False


def _is_recorded(name: str) -> bool:
    return name != MANIFEST and not name.endswith(PART) and not name.startswith(".")
