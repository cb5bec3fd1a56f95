"""Log lines: one line a record, extra fields in it, and files that rotate."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qwen_app.serve.logs import JsonFormatter, LineFormatter, LogFormat, leave_out_words_of_others, set_up_logs
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


def test_json_lines_hold_what_plain_ones_do(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    set_up_logs("info", file, form="json")
    log = logging.getLogger("qwen_app.service")
    log.info("answered\n%s", "half a pair \ud800", extra={"request_id": "abc", "total_s": 1.5, "path": tmp_path})
    try:
        raise ValueError("canary of a visitor")
    except ValueError:
        log.exception("it broke")
    answered, broke = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert (answered["level"], answered["logger"], answered["request_id"]) == ("info", "qwen_app.service", "abc")
    assert (answered["message"], answered["total_s"]) == ("answered\nhalf a pair \ud800", 1.5)
    assert datetime.fromisoformat(answered["time"]).tzinfo is UTC
    assert broke["error"].startswith("ValueError at ")
    assert "canary" not in str(broke)


def test_no_field_of_a_record_takes_the_place_of_ours() -> None:
    record = logging.makeLogRecord({"msg": "said", "levelname": "INFO", "time": "never", "level": "none"})
    line = json.loads(JsonFormatter().format(record))
    assert (line["level"], line["message"]) == ("info", "said")
    assert line["time"] != "never"


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


@pytest.mark.parametrize("form", ["plain", "json"])
def test_once_visitors_come_the_words_of_other_packages_are_left_out(tmp_path: Path, form: LogFormat) -> None:
    file = tmp_path / "server.log"
    set_up_logs("info", file, form=form)
    others = logging.getLogger("python_multipart.multipart")
    others.warning("of the start")
    leave_out_words_of_others()
    others.warning("Unknown Content-Transfer-Encoding: %r", "canary")
    others.error("canary: {}")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("Please update choices to include: canary", UserWarning, stacklevel=1)
    logging.getLogger("qwen_app.service").warning("ours")
    text = file.read_text(encoding="utf-8")
    assert "canary" not in text
    assert text.count("python_multipart.multipart at tests/serve/test_logs.py:") == 2
    assert all(words in text for words in ("of the start", "UserWarning", "ours"))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["renamed", "deleted", "emptied"])
def test_a_log_that_somebody_took_away_goes_on_in_its_place(tmp_path: Path, how: str) -> None:
    file = tmp_path / "server.log"
    set_up_logs("info", file)
    log = logging.getLogger("qwen_app.service")
    log.info("before")
    if how == "renamed":
        file.rename(tmp_path / "server.log-20261129")
    elif how == "deleted":
        file.unlink()
    else:
        os.truncate(file, 0)
    log.info("after")
    log.info("and on")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [line.partition(" INFO ")[2] for line in lines] == ["after", "and on"]
    assert file.stat().st_mode & 0o077 == 0


def test_a_device_that_the_log_is_a_link_to_stays_everybodys(tmp_path: Path) -> None:
    """As /dev/null is: without it no program of another user's runs."""
    device, file = tmp_path / "device", tmp_path / "server.log"
    os.mkfifo(device)
    device.chmod(0o622)
    file.symlink_to(device)
    reader = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    set_up_logs("info", file)
    logging.getLogger("qwen_app.service").info("heard")
    assert b"heard" in os.read(reader, 1000)
    os.close(reader)
    assert device.stat().st_mode & 0o777 == 0o622


def test_the_files_stay_small_and_few(tmp_path: Path) -> None:
    set_up_logs("info", tmp_path / "server.log")
    for _ in range(60):
        logging.getLogger("qwen_app.flood").info("x" * 1_000_000)
    files = list(tmp_path.iterdir())
    assert len(files) == 5
    assert max(path.stat().st_size for path in files) <= 10_000_000
