"""A model's folder: whole ones pass, and every damage is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qwen_app.errors import ModelFilesError
from qwen_app.models.dims import dims_from_folder
from qwen_app.models.download import ensure_model
from qwen_app.models.folder import (
    MANIFEST,
    check_folder,
    is_plain_name,
    open_checkpoint,
    read_manifest,
    verify_folder,
    write_manifest,
)

WEIGHTS = "model.safetensors"
ROOT = Path(__file__).resolve().parents[2]


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


def test_files_that_nobody_listed_are_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_checkpoint(folder)
    assert caplog.text == ""
    (folder / "added_tokens.json").write_text("{}")
    open_checkpoint(folder)
    assert "they are read: added_tokens.json." in caplog.text


def test_a_flipped_byte_is_found_by_verify(folder: Path) -> None:
    path = folder / WEIGHTS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    check_folder(folder)
    with pytest.raises(ModelFilesError, match=r"model\.safetensors is not the file that was fetched"):
        verify_folder(folder)


def test_a_manifest_is_there_whole_or_not_at_all(folder: Path) -> None:
    """The disk is full when it is written, after everything else."""
    (folder / MANIFEST).unlink()
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from qwen_app.errors import DownloadError\n"
        "from qwen_app.models.folder import write_manifest\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: write_manifest(Path(sys.argv[1]), 'tiny', 'r1')\n"
        "except DownloadError as refused: sys.exit(str(refused))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{MANIFEST}.part" in done.stderr or str(folder) in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / MANIFEST).exists()
    write_manifest(folder, "tiny", "r1")
    verify_folder(folder)
    assert not list(folder.glob("*.part"))


def test_what_is_not_whole_is_no_part_of_the_manifest(folder: Path) -> None:
    for name in ("model-00002.safetensors.part", ".lock"):
        (folder / name).write_bytes(b"x")
    write_manifest(folder, "tiny", "r1")
    manifest = read_manifest(folder)
    assert manifest is not None
    assert not [name for name in manifest.files if name.endswith(".part") or name.startswith(".")]


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


@pytest.mark.parametrize("name", ["../x.json", "/x.json", "a/b.json", "x\0.json", ".x.json", "", "x" * 300, "x\n.json"])
def test_names_that_lead_elsewhere(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["config.json", "model-00001-of-00004.safetensors", "tokenizer v2.json", "a+b.txt"])
def test_names_of_files(name: str) -> None:
    assert is_plain_name(name)
