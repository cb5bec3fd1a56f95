"""A model on disk that is to be loaded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from qwen_app.errors import ModelFilesError
from qwen_app.models.files.disk import need_readable, reading
from qwen_app.models.files.folder import check_folder
from qwen_app.models.files.json_file import read_json
from qwen_app.models.files.manifest import MANIFEST, read_manifest
from qwen_app.models.files.names import READ_SUFFIXES
from qwen_app.models.files.weights import weight_files
from qwen_app.models.quantised.formats import are_taken_over

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model on disk that was found whole and harmless: a folder of safetensors, or a .gguf file.

    ``quantisation`` is how the folder comes quantised, such as awq or gptq; empty when it does not.
    """

    path: Path
    quantisation: str = ""

    @property
    def is_gguf(self) -> bool:
        return self.path.suffix == ".gguf"

    @property
    def stays_in_four_bits(self) -> bool:
        """Its weights come in 4 bits and are taken over as they are, whatever precision is asked for."""
        return bool(self.quantisation) and are_taken_over(self.quantisation, self._architecture())

    def _architecture(self) -> object:
        return read_json(self.path / "config.json").get("model_type")

    def size_bytes(self) -> int:
        """Of the weights on the disk."""
        return sum(file.stat().st_size for file in ([self.path] if self.is_gguf else weight_files(self.path)))


def open_checkpoint(path: Path) -> Checkpoint:
    """Look once at the folder or .gguf file that is to be loaded. Quick. Raises ModelFilesError, naming the file."""
    with reading(path):
        if path.suffix == ".gguf":  # unpacked while it is loaded, so never quantised for us
            if not path.is_file():
                raise ModelFilesError(f"There is no file {path}.")
            need_readable(path)
            return Checkpoint(path)
        check_folder(path)
        _tell_unlisted(path)
        config = read_json(path / "config.json").get("quantization_config")
    method = config.get("quant_method", "") if isinstance(config, dict) else ""
    return Checkpoint(path, str(method).lower())


def _tell_unlisted(folder: Path) -> None:
    """Say which of the files that will be read nobody has compared with anything."""
    manifest = read_manifest(folder)
    if manifest is None:
        log.info("%s has no %s: its files are taken as they are.", folder, MANIFEST)
        return
    read = {path.name for path in folder.iterdir() if path.suffix in READ_SUFFIXES} - {MANIFEST}
    if unlisted := sorted(read - manifest.files.keys()):
        log.warning("%s: nothing says what they should hold, and they are read: %s.", folder, ", ".join(unlisted))
