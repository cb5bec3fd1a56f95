from __future__ import annotations

from pathlib import Path

import pytest

from qwen_app.start.progress import STAGES, StartProgress
from qwen_app.start.times import TIMES_FILE, keep_times, read_times


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_first_start_knows_its_stage_and_no_end() -> None:
    clock = Clock()
    progress = StartProgress(clock)
    progress.enter("load", 500)
    clock.now_s += 3
    state = progress.state()
    assert (state.stage, state.total_bytes, state.elapsed_s) == ("load", 500, 3)
    assert (state.percent, state.expected_s) == (None, None)


def test_a_start_fetches_nothing_until_it_is_said_to() -> None:
    assert StartProgress().state().stage == "prepare"


def test_a_download_is_told_by_its_bytes() -> None:
    clock = Clock()
    progress = StartProgress(clock)
    progress.enter("download", 1000)
    clock.now_s += 10
    progress.advance(250)
    state = progress.state()
    assert (state.done_bytes, state.percent, state.expected_s) == (250, 25, 30)


def test_the_start_before_says_how_long_it_takes() -> None:
    clock = Clock()
    progress = StartProgress(clock, before_s={"download": 0, "load": 8, "engine": 1, "page": 1})
    progress.enter("load")
    clock.now_s += 4
    assert (progress.state().percent, progress.state().expected_s) == (40, 6)
    clock.now_s += 40  # slower than last time: it is not over before it is
    assert progress.state().expected_s == 2
    assert progress.state().percent is not None
    assert progress.state().percent < 100


def test_how_long_each_stage_took_is_kept_for_the_next_start(tmp_path: Path) -> None:
    clock = Clock()
    progress = StartProgress(clock)
    for stage in STAGES:
        progress.enter(stage)
        clock.now_s += 2
    keep_times(tmp_path / "data", "builtin", progress.took_s())
    again = [stage for stage in STAGES if stage != "download"]  # what was fetched is there
    assert read_times(tmp_path / "data", "builtin") == dict.fromkeys(again, 2)
    assert read_times(tmp_path / "data", "another") == {}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"m": 3}', '{"m": {"load": "long"}}', '{"m": {"load": -1}}'])
def test_a_file_of_another_kind_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / TIMES_FILE).write_text(text, encoding="utf-8")
    assert read_times(tmp_path, "m") == {}


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    keep_times(tmp_path / "data", "m", {"load": 1.0})
    assert read_times(tmp_path / "data", "m") == {}
