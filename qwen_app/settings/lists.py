"""Values of which there may be several: between commas, or a line each in a file."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def parts(value: str) -> list[str]:
    """What stands between the commas of ``value`` and is not empty."""
    return [part.strip() for part in value.split(",") if part.strip()]


def lines_of(file: str) -> list[str]:
    """The lines of ``file`` that say something; none of no file. Raises ValueError where it cannot be read."""
    if not file:
        return []
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):  # a pipe, as <(command), would be empty the second time
            raise ValueError("names a folder, a pipe or a device where a file is needed")
        text = Path(file).read_text(encoding="utf-8-sig")  # editors begin a file with a mark
    except OSError as refused:
        raise ValueError(f"names a file that cannot be read ({refused.strerror})") from refused
    except UnicodeDecodeError as refused:
        raise ValueError("names a file that cannot be read as UTF-8 text") from refused
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def keys_in(file: str) -> list[str]:
    """The API keys of ``file``, which may have comments behind them. Raises ValueError where it cannot be read."""
    keys = (line.split("#")[0].strip() for line in lines_of(file))
    return [key for key in keys if key]


def is_login(part: str) -> bool:
    """Whether ``part`` is user:password."""
    user, colon, password = part.partition(":")
    return bool(user and colon and password)
