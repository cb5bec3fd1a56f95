"""The door to models: from a hub or a ModelScope that is a server on loopback, or from disk."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qwen_app.errors import DownloadError, HubUnreachable, ModelFilesError
from qwen_app.models.download import ensure_model, local_path, progress
from qwen_app.models.files.folder import verify_folder
from qwen_app.models.files.manifest import read_manifest
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


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_every_file_is_compared_with_the_hub_s_list(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.wrong.add(name)
    with pytest.raises(DownloadError, match=f"{name} arrived damaged"):
        ensure_model("owner/tiny", tmp_path)
    assert not (tmp_path / "owner--tiny" / name).exists()


def test_a_file_of_the_right_size_alone_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    there = tmp_path / "owner--tiny" / "config.json"
    there.parent.mkdir()
    there.write_bytes(b"x" * len(hub.files["config.json"]))
    ensure_model("owner/tiny", tmp_path)
    assert there.read_bytes() == hub.files["config.json"]


def test_files_without_a_checksum_are_named(hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ensure_model("owner/tiny", tmp_path / "first")
    assert "No checksum" not in caplog.text
    hub.sums = False
    ensure_model("owner/tiny", tmp_path / "second")
    assert "No checksum was given for chat_template.jinja, config.json, generation_config.json" in caplog.text


def test_the_endpoint_variable_is_honoured(hub: Hub, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "download_model.py", "--model", "owner/tiny", "--models-dir", str(tmp_path), "--verify"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "owner--tiny"))
    assert "100 %" in done.stderr


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"files": []}'])
def test_a_manifest_that_cannot_be_made_out_costs_no_second_download(hub: Hub, tmp_path: Path, manifest: str) -> None:
    path = ensure_model("owner/tiny", tmp_path).path
    (path / "manifest.json").write_text(manifest)
    asked = len(hub.asked)
    assert ensure_model("owner/tiny", tmp_path).path == path
    assert len(hub.asked) == asked
    verify_folder(path)


def test_two_downloads_of_one_model_take_turns(hub: Hub, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as threads:
        found = [threads.submit(ensure_model, "owner/tiny", tmp_path) for _ in range(3)]
        assert {one.result().path for one in found} == {tmp_path / "owner--tiny"}
    names = [name for name, _ in hub.asked]
    assert sorted(names) == sorted(set(names))


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


KNOWN = "Qwen/Qwen2.5-0.5B-Instruct"


@pytest.fixture
def modelscope(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The same server as ModelScope, which has the model by a known name."""
    monkeypatch.setattr("qwen_app.models.hub.MODELSCOPE", hub.url)
    return hub


def test_modelscope_lists_and_our_downloader_fetches(modelscope: Hub, tmp_path: Path) -> None:
    path = ensure_model(KNOWN, tmp_path, source="modelscope").path
    verify_folder(path)
    assert not (path / "pytorch_model.bin").exists()
    assert {name for name, _ in modelscope.asked} == {one.name for one in path.iterdir()} - {"manifest.json"}


def test_a_known_model_comes_from_modelscope_when_the_hub_is_away(
    modelscope: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    path = ensure_model(KNOWN, tmp_path).path
    verify_folder(path)
    assert "ModelScope" in caplog.text
    asked = len(modelscope.asked)
    assert ensure_model(KNOWN, tmp_path).path == path  # complete: nobody is asked
    assert len(modelscope.asked) == asked
    for name, revision in (("owner/tiny", ""), (KNOWN, "v1")):  # whose, or which, it would be there is not known
        with pytest.raises(HubUnreachable, match="does not answer"):
            ensure_model(name, tmp_path, revision=revision)


@pytest.mark.parametrize(
    ("listing", "status"),
    [
        (b"", 500),
        (b"[]", 200),
        (b"{", 200),
        (b'{"Data": {"Files": [{"Path": 1, "Size": "x"}]}}', 200),
        (b"<html>", 200),
    ],
)
def test_what_modelscope_says_wrong_is_told(modelscope: Hub, tmp_path: Path, listing: bytes, status: int) -> None:
    modelscope.listing, modelscope.listing_status = listing, status
    with pytest.raises(DownloadError, match="ModelScope could not list") as caught:
        ensure_model(KNOWN, tmp_path, source="modelscope")
    assert caught.value.exit_code == 4


def test_local_folders_and_files_are_used_where_they_lie(tiny_qwen_dir: Path, tmp_path: Path) -> None:
    assert ensure_model(str(tiny_qwen_dir), tmp_path).path == tiny_qwen_dir
    assert local_path("some/model.gguf", tmp_path) == Path("some/model.gguf")
    assert local_path("owner/tiny", tmp_path, "v1/x") == tmp_path / "owner--tiny@v1-x"


@pytest.mark.parametrize(
    "name",
    ["~nobody-of-this-name/x", "~nobody-of-this-name/x.gguf", "tiny", "./none", "/no/such/folder", "a/b/c", "../x"],
)
def test_what_is_no_model_at_all(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # what lies beside the project is nobody's business
    with pytest.raises(ModelFilesError, match="There is no model"):
        ensure_model(name, tmp_path)


def test_a_revision_is_of_hub_models_alone(tmp_path: Path) -> None:
    assert local_path("owner/tiny", tmp_path, "v1") == tmp_path / "owner--tiny@v1"
    assert local_path("builtin", tmp_path, "v1") == tmp_path / "builtin"


@pytest.mark.slow
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


@pytest.mark.parametrize("parts", [[100], [97, 3], [50, 49, 1], [1] * 100])
def test_progress_ends_with_a_hundred(parts: list[int], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"), progress(sum(parts)) as advance:
        for part in parts:
            advance(part)
    assert sum("100 %" in message for message in caplog.messages) == 1
