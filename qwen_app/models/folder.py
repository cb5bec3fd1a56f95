"""A model's folder on disk: room for it, what makes it whole, what we refuse, and the manifest that proves it.

The manifest is ``manifest.json`` beside the weights: where the model came from, and size and sha256 of every file. It
is written last, so a folder we made that has none is incomplete.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import pwd
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qwen_app.errors import PYTHON, DownloadError, ModelFilesError
from qwen_app.models.quantised.formats import are_taken_over

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
PART = ".part"  # after the name of a file that is not whole yet
WEIGHTS = ".safetensors"
# Formats that can run code while they are read.
UNSAFE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})
READ_SUFFIXES = (WEIGHTS, ".json", ".txt", ".jinja", ".model")  # of the files that transformers reads
_HEADER_LIMIT_BYTES = 100_000_000  # safetensors' own limit
SPARE_BYTES = 2_000_000_000
_JSON_LIMIT_BYTES = 100_000_000
# What a file that somebody else made may raise while it is read as JSON of some shape.
MISSHAPEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)
_NOT_OURS = (errno.EACCES, errno.EPERM)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of network disks
_FETCH = f"A model is fetched with: {PYTHON} download_model.py --model NAME"
_PLAIN_NAME = re.compile(r"[\w][\w.+ -]*", re.ASCII)


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


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a folder's files came from, and the sha256 and size in bytes of each."""

    name: str
    revision: str
    files: dict[str, tuple[int, str]]


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


def is_complete(folder: Path) -> bool:
    """Whether ``folder`` has a manifest, which is written last. One that cannot be made out is none."""
    try:
        return read_manifest(folder) is not None
    except ModelFilesError:
        return False


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


def need_disk(folder: Path, need_bytes: int) -> None:
    """Raise DownloadError unless the disk of ``folder`` has ``need_bytes`` and 2 GB to spare."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < need_bytes + SPARE_BYTES:
        raise DownloadError(
            f"Not enough disk space under {folder}: {(need_bytes + SPARE_BYTES) / 1e9:.1f} GB are needed "
            f"(2 GB of them to spare), {free_bytes / 1e9:.1f} GB are free. Free some, or choose another --models-dir."
        )


def check_folder(folder: Path) -> None:
    """Raise ModelFilesError, naming the file, unless ``folder`` is a whole model of a kind we load. Quick: of
    weights it compares the size alone."""
    if not folder.is_dir():
        raise ModelFilesError(f"There is no model folder {folder}. {_FETCH}")
    with reading(folder):
        _check(folder)


def _check(folder: Path) -> None:
    _refuse_unsafe(folder)
    manifest = read_manifest(folder)
    if manifest is not None:
        _check_sizes(folder, manifest)
        weights = _weights_of(manifest)
        _check_sums(folder, {name: one for name, one in manifest.files.items() if name not in weights})
    _refuse_remote_code(folder)
    for path in weight_files(folder):
        check_safetensors(path)


def verify_folder(folder: Path) -> None:
    """``check_folder``, and the sha256 of the weights as well. Raises ModelFilesError."""
    check_folder(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise ModelFilesError(f"{folder} has no {MANIFEST} to verify it by. {_mend(folder)}")
    with reading(folder):
        _check_sums(folder, _weights_of(manifest))


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold the weights: as in transformers, shards where there is no single file. Raises
    ModelFilesError when one is missing."""
    index, whole = folder / "model.safetensors.index.json", "model.safetensors"
    names = _shard_names(index) if index.is_file() and not (folder / whole).is_file() else [whole]
    strange = next((name for name in names if not is_plain_name(name)), None)
    if strange is not None:
        raise ModelFilesError(f"{index} names {strange[:100]!r}, which is no file of this folder. {_mend(folder)}")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        raise ModelFilesError(f"{folder} lacks {', '.join(missing) or 'its weights'}. {_mend(folder)}")
    return [folder / name for name in names]


def check_safetensors(path: Path) -> None:
    """Raise ModelFilesError unless the file is as long as its own header says."""
    try:
        with reading(path), path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            if not 2 <= header_bytes <= _HEADER_LIMIT_BYTES:
                raise ValueError("no header")
            header = json.loads(file.read(header_bytes))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        whole = path.stat().st_size == 8 + header_bytes + max(ends, default=0)
    except MISSHAPEN as broken:
        raise ModelFilesError(f"{path} is not a readable safetensors file. {_mend(path.parent)}") from broken
    if not whole:
        raise ModelFilesError(f"{path} is cut short or too long. {_mend(path.parent)}")


def read_json(path: Path) -> dict[str, object]:
    """The JSON object in ``path``. Raises ModelFilesError, naming the file, when there is none."""
    try:
        with reading(path):
            if not path.is_file() or path.stat().st_size > _JSON_LIMIT_BYTES:  # a pipe or a device never ends
                raise ValueError("no file of JSON")
            data = json.loads(path.read_text(encoding="utf-8"))
    except MISSHAPEN as broken:
        raise ModelFilesError(f"{path} is missing or not JSON. {_mend(path.parent)}") from broken
    if not isinstance(data, dict):
        raise ModelFilesError(f"{path} does not hold a JSON object. {_mend(path.parent)}")
    return data


def is_plain_name(name: str) -> bool:
    """Whether ``name`` can only be that of a file beside others: no path, no NUL, nothing hidden."""
    return bool(_PLAIN_NAME.fullmatch(name)) and len(name) < 250


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_sha1_of(path: Path) -> str:
    """Git's name for the content of a file: SHA-1 over ``blob``, its size in bytes, NUL and the bytes."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _is_recorded(name: str) -> bool:
    return name != MANIFEST and not name.endswith(PART) and not name.startswith(".")


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


def _lock(file: int, waiting: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("%s", waiting)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as refused:
        if refused.errno not in _NO_LOCKS:
            raise


def _shard_names(index: Path) -> list[str]:
    weight_map = read_json(index).get("weight_map")
    return sorted({str(name) for name in weight_map.values()}) if isinstance(weight_map, dict) else []


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    for name, (size_bytes, _) in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ModelFilesError(f"{path} is missing. {_mend(folder)}")
        if path.stat().st_size != size_bytes:
            raise ModelFilesError(
                f"{path} has {path.stat().st_size:,} bytes and should have {size_bytes:,}. "
                f"{_mend(folder)}{_own(folder)}"
            )


def _weights_of(manifest: Manifest) -> dict[str, tuple[int, str]]:
    return {name: one for name, one in manifest.files.items() if name.endswith(WEIGHTS)}


def _check_sums(folder: Path, files: Mapping[str, tuple[int, str]]) -> None:
    for name, (_, expected) in files.items():
        if sha256_of(folder / name) != expected:
            raise ModelFilesError(
                f"{folder / name} is not the file that was fetched (sha256 differs). {_mend(folder)}{_own(folder)}"
            )


def _tell_unlisted(folder: Path) -> None:
    """Say which of the files that will be read nobody has compared with anything."""
    manifest = read_manifest(folder)
    if manifest is None:
        log.info("%s has no %s: its files are taken as they are.", folder, MANIFEST)
        return
    read = {path.name for path in folder.iterdir() if path.suffix in READ_SUFFIXES} - {MANIFEST}
    if unlisted := sorted(read - manifest.files.keys()):
        log.warning("%s: nothing says what they should hold, and they are read: %s.", folder, ", ".join(unlisted))


def _refuse_unsafe(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ModelFilesError(f"{path} is a pipe or a device, which a model has none of. Remove it.")
        if path.suffix in READ_SUFFIXES and path.is_file():
            need_readable(path)
        if path.suffix in UNSAFE_SUFFIXES:
            raise ModelFilesError(
                f"{path} is refused: such files can run code while they are read. "
                "Use a model with safetensors weights, or remove the file if the folder has those too."
            )


def _refuse_remote_code(folder: Path) -> None:
    required = folder / "config.json"
    for path in (required, folder / "tokenizer_config.json"):
        if (path == required or path.is_file()) and "auto_map" in read_json(path):
            raise ModelFilesError(f"{path} asks to run code that comes with the model (auto_map), which is refused.")


def _mend(folder: Path) -> str:
    return f"Delete {folder} to have it fetched again. {_FETCH}"


def _own(folder: Path) -> str:
    return (
        f" If the change is your own, delete {folder / MANIFEST} and name the folder by its path: --model "
        f"{folder.absolute()}. It is then taken as it is."
    )
