"""The door to models: from a hub that is a server on loopback, from ModelScope's package, or from disk."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_app.errors import DownloadError, ModelFilesError
from qwen_app.models.download import ensure_model, local_path
from qwen_app.models.folder import read_manifest, verify_folder
from tests.models.hub_server import COMMIT, Hub, serve_hub

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hub(tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the tiny model, where huggingface_hub looks for it."""
    from huggingface_hub import constants

    files = {path.name: path.read_bytes() for path in tiny_qwen_dir.iterdir()}
    with serve_hub(Hub({**files, "pytorch_model.bin": b"x", "README.md": b"x", "onnx/model.safetensors": b"x"})) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield hub


def test_a_hub_model_is_fetched_once_and_then_needs_no_network(hub: Hub, tmp_path: Path) -> None:
    path = ensure_model("owner/tiny", tmp_path).path
    assert path == tmp_path / "owner--tiny"
    verify_folder(path)
    manifest = read_manifest(path)
    assert manifest is not None
    assert (manifest.name, manifest.revision) == ("owner/tiny", COMMIT)
    assert not (path / "pytorch_model.bin").exists()
    asked = len(hub.asked)
    assert ensure_model("owner/tiny", tmp_path).path == path
    assert len(hub.asked) == asked


def test_the_endpoint_variable_is_honoured(hub: Hub, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "download_model.py", "--model", "owner/tiny", "--models-dir", str(tmp_path), "--verify"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "owner--tiny"))
    assert "100 %" in done.stderr


def test_progress_is_told_in_lines(hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "qwen_app"):
        ensure_model("owner/tiny", tmp_path)
    assert any("100 %" in record.message for record in caplog.records)


def test_a_full_disk_is_told_before_anything_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1))
    with pytest.raises(DownloadError, match="Not enough disk space"):
        ensure_model("owner/tiny", tmp_path)
    assert hub.asked == []


def test_a_model_the_hub_does_not_have(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="The hub has no model owner/other"):
        ensure_model("owner/other", tmp_path)


def test_a_model_without_safetensors_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"x"}
    with pytest.raises(ModelFilesError, match="no safetensors"):
        ensure_model("owner/tiny", tmp_path)


def test_an_unreachable_hub_names_the_ways_out(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"(?s)127\.0\.0\.1:9 does not answer.*HF_ENDPOINT.*modelscope") as caught:
        ensure_model("owner/tiny", tmp_path)
    assert caught.value.exit_code == 4


def test_modelscope_without_its_package_names_it(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="pip install modelscope"):
        ensure_model("owner/tiny", tmp_path, source="modelscope")


def test_modelscope_lists_and_our_downloader_fetches(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class HubApi:
        def get_model_files(self, name: str, revision: str, recursive: bool) -> list[dict[str, object]]:
            entries = hub.info()["siblings"]
            assert isinstance(entries, list)
            return [
                {"Path": entry["rfilename"], "Size": entry["size"], "Sha256": entry["lfs"]["sha256"], "Type": "blob"}
                for entry in entries
            ]

    modules = {name: types.ModuleType(name) for name in ("modelscope", "modelscope.hub")}
    modules["modelscope.hub.api"] = types.SimpleNamespace(HubApi=HubApi)  # type: ignore[assignment]
    modules["modelscope.hub.file_download"] = types.SimpleNamespace(  # type: ignore[assignment]
        get_file_download_url=lambda name, path, revision: f"{hub.url}/{name}/resolve/{COMMIT}/{path}"
    )
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    path = ensure_model("owner/tiny", tmp_path, source="modelscope").path
    verify_folder(path)


def test_local_folders_and_files_are_used_where_they_lie(tiny_qwen_dir: Path, tmp_path: Path) -> None:
    assert ensure_model(str(tiny_qwen_dir), tmp_path).path == tiny_qwen_dir
    assert local_path("some/model.gguf", tmp_path) == Path("some/model.gguf")
    assert local_path("owner/tiny", tmp_path, "v1/x") == tmp_path / "owner--tiny@v1-x"


@pytest.mark.parametrize("name", ["tiny", "./none", "/no/such/folder", "a/b/c", "../x"])
def test_what_is_no_model_at_all(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="There is no model"):
        ensure_model(name, tmp_path)


def test_the_command_prints_the_folder_and_its_errors_have_exit_codes(tiny_qwen_dir: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "download_model.py", "--models-dir", str(tmp_path), *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    whole = run("--model", str(tiny_qwen_dir))
    assert (whole.returncode, whole.stdout.strip()) == (0, str(tiny_qwen_dir))
    unverified = run("--model", str(tiny_qwen_dir), "--verify")
    assert unverified.returncode == 3
    assert "manifest.json" in unverified.stderr
    assert run("--model", "owner/tiny").returncode == 4
