"""What the log says of an exception: its type and place, once a second, and nothing it says itself."""

from __future__ import annotations

import logging
import stat
import sys
from pathlib import Path

from qwen_app.serve.log_errors import OneASecond
from qwen_app.serve.logs import LineFormatter, set_up_logs

SECRET = "my-secret"


def record() -> logging.LogRecord:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise ValueError(SECRET) from cause
    except ValueError:
        return logging.LogRecord("qwen_app.x", logging.ERROR, __file__, 1, "it failed", (), sys.exc_info())


def test_types_and_places_and_no_words() -> None:
    line = LineFormatter().format(record())
    assert SECRET not in line
    assert "\n" not in line
    assert "it failed" in line
    assert "error=ValueError at tests/serve/test_log_errors.py:" in line
    assert " from KeyError at " in line
    assert str(Path(__file__).parent.parent.parent) not in line


def test_what_another_handler_formatted_before_is_not_taken_over() -> None:
    one = record()
    logging.Formatter().format(one)
    assert SECRET not in LineFormatter().format(one)


def test_one_a_second_of_a_kind() -> None:
    now = [0.0]
    gate = OneASecond(lambda: now[0])
    same = [record() for _ in range(5)]
    assert [gate.filter(one) for one in same] == [True, False, False, False, False]
    plain = logging.makeLogRecord({"name": "qwen_app.x", "msg": "no exception"})
    assert all(gate.filter(plain) for _ in range(5))
    now[0] = 1.1
    assert gate.filter(same[0])


def test_what_others_say_at_one_place_is_told_once_a_second() -> None:
    now = [0.0]
    gate = OneASecond(lambda: now[0])

    def said(line: int, text: str) -> logging.LogRecord:
        return logging.LogRecord("uvicorn.error", logging.WARNING, "/lib/httptools_impl.py", line, text, (), None)

    assert [gate.filter(said(177, f"Invalid request {number}.")) for number in range(5)] == [True, *[False] * 4]
    assert gate.filter(said(273, "Another thing."))
    now[0] = 1.1
    assert gate.filter(said(177, "Invalid request."))


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    file = tmp_path / "server.log"
    file.touch(0o644)
    try:
        set_up_logs("info", file)
        logging.getLogger("qwen_app.x").info("heard")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "heard" in file.read_text(encoding="utf-8")
    finally:
        for handler in set(root.handlers) - set(before):
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(False)
