"""Fetching: resumed, verified, and never half under a whole name."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwen_app.errors import DownloadError
from qwen_app.models.fetch import AT_ONCE, ATTEMPTS, fetch_files
from qwen_app.models.hub import RemoteFile
from tests.examples import examples
from tests.models.hub_server import COMMIT, ENDLESS_BYTES, Hub, serve_hub

DATA = os.urandom(3_000_000)
ROOT = Path(__file__).resolve().parents[2]


def remote(hub: Hub, name: str = "model.safetensors") -> RemoteFile:
    data = hub.files[name]
    url = f"{hub.url}/owner/tiny/resolve/{COMMIT}/{name}"
    return RemoteFile(name, url, len(data), hashlib.sha256(data).hexdigest())


def fetch(hub: Hub, folder: Path) -> int:
    arrived: list[int] = []
    fetch_files([remote(hub, name) for name in hub.files], folder, {}, arrived.append, pause_s=lambda _: None)
    return sum(arrived)


def test_files_arrive_whole(tmp_path: Path) -> None:
    with serve_hub(Hub({"model.safetensors": DATA, "config.json": b"{}"})) as hub:
        assert fetch(hub, tmp_path) == len(DATA) + 2
    assert (tmp_path / "model.safetensors").read_bytes() == DATA
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.slow
@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(DATA) - 1))
def test_a_dropped_connection_is_continued_where_it_stopped(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    with serve_hub(Hub({"model.safetensors": DATA}, cut_after={"model.safetensors": cut})) as hub:
        assert fetch(hub, folder) == len(DATA)
        second = hub.asked[1][1]
    assert (folder / "model.safetensors").read_bytes() == DATA
    continued_at = int(second.removeprefix("bytes=").rstrip("-")) if second else 0
    assert cut - continued_at <= 2_000_000


def test_a_new_start_goes_on_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.part").write_bytes(DATA[:1_000_000])
    with serve_hub(Hub({"model.safetensors": DATA})) as hub:
        fetch(hub, tmp_path)
        assert hub.asked == [("model.safetensors", "bytes=1000000-")]
    assert (tmp_path / "model.safetensors").read_bytes() == DATA


@pytest.mark.parametrize("more", [1, 1000])
def test_a_part_that_is_longer_than_the_file_is_begun_anew(tmp_path: Path, more: int) -> None:
    (tmp_path / "model.safetensors.part").write_bytes(b"x" * (len(DATA) + more))
    with serve_hub(Hub({"model.safetensors": DATA})) as hub:
        assert fetch(hub, tmp_path) == len(DATA)
    assert (tmp_path / "model.safetensors").read_bytes() == DATA


def test_an_interrupted_download_stops_soon_and_goes_on_later(tmp_path: Path) -> None:
    large = DATA * 20
    script = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from qwen_app.models.fetch import fetch_files\n"
        "from qwen_app.models.hub import RemoteFile\n"
        "names = [f'model-{number}.safetensors' for number in range(9)]\n"
        "files = [RemoteFile(name, f'{sys.argv[1]}/owner/tiny/resolve/{sys.argv[3]}/{name}', int(sys.argv[4]), '') "
        "for name in names]\n"
        "had = []\n"
        "def advance(arrived):\n"
        "    if arrived and not had: had.append(os.kill(os.getpid(), signal.SIGINT))\n"
        "    time.sleep(0.1)\n"
        "fetch_files(files, Path(sys.argv[2]), {}, advance)\n"
    )
    files = {f"model-{number}.safetensors": large for number in range(9)}
    with serve_hub(Hub(files)) as hub:
        command = [sys.executable, "-c", script, hub.url, str(tmp_path), COMMIT, str(len(large))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert "KeyboardInterrupt" in done.stderr
        parts = list(tmp_path.glob("*.part"))
        assert 0 < sum(part.stat().st_size for part in parts) < len(large)
        assert len(hub.asked) <= AT_ONCE
        assert fetch(hub, tmp_path) == 9 * len(large)


def test_whole_files_are_not_asked_for_again(tmp_path: Path) -> None:
    with serve_hub(Hub({"model.safetensors": DATA})) as hub:
        fetch(hub, tmp_path)
        assert fetch(hub, tmp_path) == len(DATA)
        assert len(hub.asked) == 1


def test_a_server_without_ranges_starts_over(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.part").write_bytes(b"x" * 500)
    with serve_hub(Hub({"model.safetensors": DATA}, ranges=False)) as hub:
        assert fetch(hub, tmp_path) == len(DATA)
    assert (tmp_path / "model.safetensors").read_bytes() == DATA


def test_passing_trouble_is_sat_out(tmp_path: Path) -> None:
    with serve_hub(Hub({"model.safetensors": DATA}, statuses=[503, 429, 500])) as hub:
        fetch(hub, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == DATA


def test_lasting_trouble_is_told_after_a_bounded_number_of_tries(tmp_path: Path) -> None:
    with (
        serve_hub(Hub({"model.safetensors": DATA}, statuses=[503] * 50)) as hub,
        pytest.raises(DownloadError, match="status 503"),
    ):
        fetch(hub, tmp_path)
    assert len(hub.asked) == ATTEMPTS


def test_a_refusal_is_not_repeated(tmp_path: Path) -> None:
    with (
        serve_hub(Hub({"model.safetensors": DATA}, statuses=[403] * 50)) as hub,
        pytest.raises(DownloadError, match="status 403"),
    ):
        fetch(hub, tmp_path)
    assert len(hub.asked) == 1


def test_other_bytes_than_promised_are_deleted(tmp_path: Path) -> None:
    with (
        serve_hub(Hub({"model.safetensors": DATA}, wrong={"model.safetensors"})) as hub,
        pytest.raises(DownloadError, match="arrived damaged"),
    ):
        fetch(hub, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_more_bytes_than_announced_are_not_taken(tmp_path: Path) -> None:
    with (
        serve_hub(Hub({"model.safetensors": DATA}, endless={"model.safetensors"})) as hub,
        pytest.raises(DownloadError, match="arrived damaged"),
    ):
        fetch(hub, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert hub.sent < ENDLESS_BYTES


def test_a_full_disk_keeps_what_arrived(tmp_path: Path) -> None:
    class FullDisk:
        def __call__(self, arrived: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    full = FullDisk()
    with serve_hub(Hub({"model.safetensors": DATA})) as hub:

        def advance(arrived: int) -> None:
            if arrived:
                full(arrived)

        with pytest.raises(DownloadError, match="The disk is full") as caught:
            fetch_files([remote(hub)], tmp_path, {}, advance)
    assert caught.value.exit_code == 4
    assert (tmp_path / "model.safetensors.part").stat().st_size > 0
    assert not (tmp_path / "model.safetensors").exists()
