"""Files and folders of models that may not be read or written: told with the path, the user and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qwen_app.models.builtin import NAME, REVISION, TITLE
from qwen_app.models.files.manifest import write_manifest
from tests.models.hub_server import Hub, serve_hub

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_ROOTS_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may do everything"),
]


@pytest.fixture
def models(tiny_qwen_dir: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder of models with a hub's and the built-in one, both complete."""
    folder = tmp_path / "models"
    for name in (NAME, "owner--tiny"):
        shutil.copytree(tiny_qwen_dir, folder / name)
        write_manifest(folder / name, TITLE, REVISION)
    yield folder
    for path in (folder, *folder.rglob("*")):  # for pytest to tidy up
        path.chmod(0o700)


def prepare(models: Path, name: str, hub: str = "http://127.0.0.1:9") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0"}
    command = [*WITHOUT_ROOTS_RIGHTS, sys.executable, "download_model.py", "--model", name, "--models-dir", str(models)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", [NAME, "owner/tiny"])
def test_a_complete_model_needs_nothing_written(models: Path, name: str) -> None:
    folder = models / name.replace("/", "--")
    for path in (*folder.iterdir(), folder, models):
        path.chmod(0o500 if path.is_dir() else 0o400)
    done = prepare(models, name)
    assert (done.returncode, done.stdout.strip()) == (0, str(folder))
    assert [path.name for path in models.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", [NAME, "owner/tiny", "path"])
@pytest.mark.parametrize("closed", ["model.safetensors", "config.json", "tokenizer.json", "manifest.json", ""])
def test_what_may_not_be_read_is_named_with_the_user(models: Path, name: str, closed: str) -> None:
    folder = models / ("owner--tiny" if name == "path" else name.replace("/", "--"))
    (folder / closed).chmod(0)
    done = prepare(models, str(folder) if name == "path" else name)
    assert done.returncode == 3, done.stderr
    assert str(folder / closed) in done.stderr
    assert "cannot be read by user" in done.stderr
    assert "Traceback" not in done.stderr


def without_manifest(models: Path, name: str) -> Path:
    folder = models / name.replace("/", "--")
    (folder / "manifest.json").unlink()
    folder.chmod(0o500)
    models.chmod(0o500)
    return models


def a_file(models: Path, name: str) -> Path:
    shutil.rmtree(models / name.replace("/", "--"))
    (models / name.replace("/", "--")).write_text("")
    return models


def below_a_file(models: Path, name: str) -> Path:
    (models / "file").write_text("")
    return models / "file" / "models"


def nowhere(models: Path, name: str) -> Path:
    return Path("/proc/models")


@pytest.mark.parametrize("name", [NAME, "owner/tiny"])
@pytest.mark.parametrize("fault", [without_manifest, a_file, below_a_file, nowhere])
def test_what_may_not_be_written_ends_with_a_sentence(
    models: Path, name: str, fault: Callable[[Path, str], Path]
) -> None:
    done = prepare(fault(models, name), name)
    assert done.returncode in (3, 4), done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr or "does not answer" in done.stderr


def test_a_manifest_that_may_not_be_written_is_named_with_the_user(models: Path) -> None:
    """All of the model is there, and nothing says so yet."""
    folder = models / "owner--tiny"
    (folder / "manifest.json").unlink()
    folder.chmod(0o500)
    with serve_hub(Hub({path.name: path.read_bytes() for path in folder.iterdir()})) as hub:
        done = prepare(models, "owner/tiny", hub.url)
        assert hub.asked == []
    assert done.returncode == 4, done.stderr
    assert f"{folder}/manifest.json.part cannot be written by user" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_gguf_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    file.chmod(0)
    done = prepare(tmp_path, str(file))
    assert done.returncode == 3
    assert f"{file} cannot be read by user" in done.stderr
