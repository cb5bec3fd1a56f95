"""Log lines: one line a record, extra fields in it, and files that rotate."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_app.serve.logs import LineFormatter, set_up_logs
from tests.faults.logging_kept import logging_kept


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    with logging_kept():
        yield


def test_a_record_is_one_line_with_its_fields() -> None:
    record = logging.makeLogRecord({"msg": "answered\nforged", "levelname": "INFO", "reason": "a\r\nb", "total_s": 1.5})
    line = LineFormatter().format(record)
    assert "\n" not in line
    assert "\r" not in line
    assert line.endswith("INFO answered\\nforged reason=a\\r\\nb total_s=1.5")


def test_lines_go_to_the_file_at_the_level_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    set_up_logs("info", file)
    logging.getLogger("qwen_app.service").info("heard")
    logging.getLogger("qwen_app.service").debug("too fine")
    logging.getLogger("somebody.else").info("not ours")
    text = file.read_text(encoding="utf-8")
    assert "heard" in text
    assert "too fine" not in text
    assert "not ours" not in text


def test_the_files_stay_small_and_few(tmp_path: Path) -> None:
    set_up_logs("info", tmp_path / "server.log")
    for _ in range(60):
        logging.getLogger("qwen_app.flood").info("x" * 1_000_000)
    files = list(tmp_path.iterdir())
    assert len(files) == 5
    assert max(path.stat().st_size for path in files) <= 10_000_000
