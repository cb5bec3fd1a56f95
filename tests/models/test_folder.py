"""A model's folder: whole ones pass, and every damage is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from qwen_app.errors import ModelFilesError
from qwen_app.models.folder import MANIFEST, check_folder, read_manifest, verify_folder, write_manifest

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tiny_qwen_dir: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(tiny_qwen_dir, copy)
    write_manifest(copy, "tiny", "r1")
    return copy


def test_a_whole_folder_passes(folder: Path) -> None:
    check_folder(folder)
    verify_folder(folder)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest.name, manifest.revision) == ("tiny", "r1")
    assert WEIGHTS in manifest.files
    assert MANIFEST not in manifest.files


def truncate(folder: Path) -> str:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    return WEIGHTS


def remove_weights(folder: Path) -> str:
    (folder / WEIGHTS).unlink()
    return WEIGHTS


def spoil_header(folder: Path) -> str:
    path = folder / WEIGHTS
    data = bytearray(path.read_bytes())
    data[8:12] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    return WEIGHTS


def add_pickle(folder: Path) -> str:
    (folder / "pytorch_model.bin").write_bytes(b"x")
    return "pytorch_model.bin"


def add_auto_map(folder: Path) -> str:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoModel": "x.Y"}}))
    (folder / MANIFEST).unlink()
    return "auto_map"


def name_missing_shard(folder: Path) -> str:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00001.safetensors"}}')
    return "model-00001-of-00001.safetensors"


def spoil_config(folder: Path) -> str:
    (folder / MANIFEST).unlink()
    (folder / "config.json").write_text("{")
    return "config.json"


def spoil_manifest(folder: Path) -> str:
    (folder / MANIFEST).write_text('{"files": []}')
    return MANIFEST


DAMAGES = [
    truncate,
    remove_weights,
    spoil_header,
    add_pickle,
    add_auto_map,
    name_missing_shard,
    spoil_config,
    spoil_manifest,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(folder: Path, damage: Callable[[Path], str]) -> None:
    named = damage(folder)
    with pytest.raises(ModelFilesError) as caught:
        check_folder(folder)
    assert named in str(caught.value)
    assert caught.value.exit_code == 3


def test_damage_to_the_weights_is_seen_without_a_manifest_too(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    truncate(folder)
    with pytest.raises(ModelFilesError, match="cut short"):
        check_folder(folder)


def test_a_flipped_byte_is_found_by_verify(folder: Path) -> None:
    path = folder / WEIGHTS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    check_folder(folder)
    with pytest.raises(ModelFilesError, match=r"model\.safetensors is not the file that was fetched"):
        verify_folder(folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="There is no model folder"):
        check_folder(tmp_path / "none")
