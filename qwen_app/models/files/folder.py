"""A model's folder: whether it is whole, and what we refuse in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qwen_app.errors import ModelFilesError
from qwen_app.models.files.checksums import sha256_of
from qwen_app.models.files.disk import need_readable, reading
from qwen_app.models.files.json_file import read_json
from qwen_app.models.files.manifest import MANIFEST, Manifest, read_manifest
from qwen_app.models.files.names import READ_SUFFIXES, UNSAFE_SUFFIXES
from qwen_app.models.files.refetch import FETCH, refetch
from qwen_app.models.files.weights import check_safetensors, weight_files


def check_folder(folder: Path) -> None:
    """Raise ModelFilesError, naming the file, unless ``folder`` is a whole model of a kind we load. Quick: of
    weights it compares the size alone."""
    if not folder.is_dir():
        raise ModelFilesError(f"There is no model folder {folder}. {FETCH}")
    with reading(folder):
        _check(folder)


def _check(folder: Path) -> None:
    _refuse_unsafe(folder)
    manifest = read_manifest(folder)
    if manifest is not None:
        _check_sizes(folder, manifest)
        weights = manifest.weights
        _check_sums(folder, {name: one for name, one in manifest.files.items() if name not in weights})
    _refuse_remote_code(folder)
    for path in weight_files(folder):
        check_safetensors(path)


def verify_folder(folder: Path) -> None:
    """``check_folder``, and the sha256 of the weights as well. Raises ModelFilesError."""
    check_folder(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise ModelFilesError(f"{folder} has no {MANIFEST} to verify it by. {refetch(folder)}")
    with reading(folder):
        _check_sums(folder, manifest.weights)


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    for name, (size_bytes, _) in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ModelFilesError(f"{path} is missing. {refetch(folder)}")
        if path.stat().st_size != size_bytes:
            raise ModelFilesError(
                f"{path} has {path.stat().st_size:,} bytes and should have {size_bytes:,}. "
                f"{refetch(folder)}{_own(folder)}"
            )


def _check_sums(folder: Path, files: Mapping[str, tuple[int, str]]) -> None:
    for name, (_, expected) in files.items():
        if sha256_of(folder / name) != expected:
            raise ModelFilesError(
                f"{folder / name} is not the file that was fetched (sha256 differs). {refetch(folder)}{_own(folder)}"
            )


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


def _own(folder: Path) -> str:
    return (
        f" If the change is your own, delete {folder / MANIFEST} and name the folder by its path: --model "
        f"{folder.absolute()}. It is then taken as it is."
    )
