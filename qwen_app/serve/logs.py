"""Where log lines go: the console for people, and a file that rotates. Nobody's text is ever logged."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG_FILE = Path("server.log")
_FILE_LIMIT_BYTES = 10_000_000
_OLD_FILES = 4  # with the current one: five files of 10 MB
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """Time, level, message and the record's extra fields as ``name=value``; line breaks are escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name logging calls
        extra = {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
        fields = "".join(f" {name}={value}" for name, value in extra.items())
        return (super().formatMessage(record) + fields).replace("\r", "\\r").replace("\n", "\\n")


def set_up_logs(level: str, file: Path | None = LOG_FILE) -> None:
    """Log to the console, and to ``file`` unless None. Third-party packages are heard from warnings up."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if file is not None:
        handlers.append(RotatingFileHandler(file, maxBytes=_FILE_LIMIT_BYTES, backupCount=_OLD_FILES, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("qwen_app").setLevel(level.upper())
    logging.captureWarnings(True)
