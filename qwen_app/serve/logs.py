"""Where log lines go: the console for people, and a file that rotates. Nobody's text is ever logged."""

from __future__ import annotations

import copy
import json
import logging
import os
import stat
import sys
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal

from qwen_app.serve.log_errors import OneASecond, PlacesOfOthers, type_and_place

LogFormat = Literal["plain", "json"]
LOG_FILE = Path("server.log")
_FILE_LIMIT_BYTES = 10_000_000
_OLD_FILES = 4  # with the current one: five files of 10 MB
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """Time, level, message and the record's extra fields as ``name=value``; line breaks are escaped.

    Of an exception there are type and place.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        bare = copy.copy(record)
        bare.exc_info = bare.exc_text = bare.stack_info = None
        return super().format(bare) + (f" error={type_and_place(error)}" if error else "")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name logging calls
        fields = "".join(f" {name}={value}" for name, value in _extra_fields(record).items())
        return (super().formatMessage(record) + fields).replace("\r", "\\r").replace("\n", "\\n")


class JsonFormatter(logging.Formatter):
    """A JSON object a line: ``time`` in UTC, ``level``, ``logger``, ``message``, ``error`` where there is one, and the
    record's extra fields, such as ``request_id``."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **({"error": type_and_place(error)} if error else {}),
        }
        return json.dumps(_extra_fields(record) | line, default=str)


FORMATTERS: dict[LogFormat, type[logging.Formatter]] = {"plain": LineFormatter, "json": JsonFormatter}


class LogFile(RotatingFileHandler):
    """The log's file, rotated, for its owner's eyes alone. Where somebody moves or deletes it (logrotate, or ``rm`` for
    want of room), a new one stands in its place with the next line.

    Lines that cannot be written (a full disk) are lost, with one warning on the console.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file cannot be opened."""
        super().__init__(path, maxBytes=_FILE_LIMIT_BYTES, backupCount=_OLD_FILES, encoding="utf-8")
        self._warned = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if (moved := self.stream) and not self._is_in_its_place(moved):
                self.stream = self._open()
                moved.close()
        except OSError:
            self.handleError(record)
        super().emit(record)

    def _is_in_its_place(self, stream: TextIOWrapper) -> bool:
        try:
            return os.path.samestat(os.stat(self.baseFilename), os.fstat(stream.fileno()))
        except FileNotFoundError:
            return False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name logging calls
        trouble = sys.exception()
        if not isinstance(trouble, OSError):
            super().handleError(record)
        elif not self._warned:
            self._warned = True
            _tell_console(f"{self.baseFilename} cannot be written ({trouble.strerror}): lines are missing from it.")

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # /dev/null, where a link leads to it, is everybody's
            with suppress(OSError):  # a file system without modes
                os.fchmod(descriptor, 0o600)  # one that an older version made
        return TextIOWrapper(open(descriptor, "ab"), encoding=self.encoding, errors=self.errors)


def set_up_logs(level: str, file: Path | None = LOG_FILE, *, form: LogFormat = "plain") -> None:
    """Log to the console, and to ``file`` unless None. Third-party packages are heard from warnings up.

    A file that cannot be opened is a warning on the console, which then is all there is.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if file is not None:
        try:
            handlers.append(LogFile(file))
        except OSError as refused:
            _tell_console(f"{file} cannot be written ({refused.strerror}): the log goes to the console alone.")
    for handler in handlers:
        handler.setFormatter(FORMATTERS[form]())
        handler.addFilter(OneASecond())
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("qwen_app").setLevel(level.upper())
    logging.captureWarnings(True)


def leave_out_words_of_others() -> None:
    """Visitors come from now on: what other packages say may hold what they wrote, and who says it is logged alone."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, LineFormatter | JsonFormatter):
            handler.addFilter(PlacesOfOthers())


def _extra_fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}


def _tell_console(sentence: str) -> None:
    """Not by way of the log: it is what fails."""
    record = logging.makeLogRecord({"msg": sentence, "levelname": "WARNING"})
    with suppress(OSError, ValueError):  # nobody may be there to read it
        sys.stderr.write(LineFormatter().format(record) + "\n")
