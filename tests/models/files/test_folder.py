"""A model's folder: whole ones pass, and every damage is named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from qwen_app.errors import ModelFilesError
from qwen_app.models.dims import dims_from_folder
from qwen_app.models.download import ensure_model
from qwen_app.models.files.folder import check_folder, verify_folder
from qwen_app.models.files.manifest import MANIFEST, read_manifest

WEIGHTS = "model.safetensors"


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
    (folder / MANIFEST).unlink()
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00001.safetensors"}}')
    return "model-00001-of-00001.safetensors"


def change_a_word(folder: Path) -> str:
    path = folder / "tokenizer_config.json"
    text = path.read_text()
    path.write_text(text.replace("true", "null", 1) if "true" in text else text.replace('"', "'", 1))
    return "tokenizer_config.json"


def spoil_config(folder: Path) -> str:
    (folder / MANIFEST).unlink()
    (folder / "config.json").write_text("{")
    return "config.json"


def spoil_manifest(folder: Path) -> str:
    (folder / MANIFEST).write_text('{"files": []}')
    return MANIFEST


def _rewrite_header(folder: Path, header: str) -> str:
    data = header.encode()
    (folder / MANIFEST).unlink()
    (folder / WEIGHTS).write_bytes(len(data).to_bytes(8, "little") + data)
    return WEIGHTS


def header_without_offsets(folder: Path) -> str:
    return _rewrite_header(folder, '{"a": {"shape": [1]}}')


def header_of_a_list(folder: Path) -> str:
    return _rewrite_header(folder, "[1]")


def header_with_short_offsets(folder: Path) -> str:
    return _rewrite_header(folder, '{"a": {"data_offsets": [0]}}')


def header_far_too_deep(folder: Path) -> str:
    return _rewrite_header(folder, "[" * 200_000)


def config_far_too_deep(folder: Path) -> str:
    (folder / MANIFEST).unlink()
    (folder / "config.json").write_text("[" * 200_000)
    return "config.json"


def config_is_a_pipe(folder: Path) -> str:
    (folder / MANIFEST).unlink()
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    return "config.json"


def tokenizer_is_a_pipe(folder: Path) -> str:
    (folder / MANIFEST).unlink()
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    return "tokenizer.json"


def manifest_of_infinite_size(folder: Path) -> str:
    (folder / MANIFEST).write_text('{"name": "x", "revision": "", "files": {"a": {"bytes": 1e999, "sha256": ""}}}')
    return MANIFEST


def manifest_far_too_deep(folder: Path) -> str:
    (folder / MANIFEST).write_text("[" * 200_000)
    return MANIFEST


def _index_names(folder: Path, name: str) -> str:
    (folder / MANIFEST).unlink()
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    return "model.safetensors.index.json"


def index_names_a_path_out(folder: Path) -> str:
    return _index_names(folder, "../other/model.safetensors")


def index_names_an_absolute_path(folder: Path) -> str:
    return _index_names(folder, "/etc/passwd")


def index_names_nul(folder: Path) -> str:
    return _index_names(folder, "model\0.safetensors")


DAMAGES = [
    change_a_word,
    header_without_offsets,
    header_of_a_list,
    header_with_short_offsets,
    header_far_too_deep,
    config_far_too_deep,
    config_is_a_pipe,
    tokenizer_is_a_pipe,
    manifest_of_infinite_size,
    manifest_far_too_deep,
    index_names_a_path_out,
    index_names_an_absolute_path,
    index_names_nul,
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


def test_a_change_of_ones_own_is_kept_as_the_sentence_says(folder: Path, tmp_path: Path) -> None:
    changed = folder / "generation_config.json"
    changed.write_text(changed.read_text() + "\n")
    with pytest.raises(ModelFilesError, match="name the folder by its path") as refused:
        check_folder(folder)
    assert f"--model {folder}." in str(refused.value)
    (folder / MANIFEST).unlink()
    before = changed.read_bytes()
    for models_dir in (tmp_path, tmp_path / "other"):  # also where it lies among those that were fetched
        assert ensure_model(str(folder), models_dir).path == folder
    assert changed.read_bytes() == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="There is no model folder"):
        check_folder(tmp_path / "none")


@pytest.mark.parametrize("shape", ['"x"', "[1.5]", '["1"]', "7", "null", "[[1]]"])
def test_a_header_that_says_no_shapes_is_named(folder: Path, shape: str) -> None:
    _rewrite_header(folder, f'{{"a": {{"shape": {shape}, "data_offsets": [0, 0]}}}}')
    with pytest.raises(ModelFilesError, match=WEIGHTS):
        dims_from_folder(folder)
