"""A reader that crashes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from pydantic import JsonValue


def read_document(payload: JsonValue) -> JsonValue:
    os.kill(os.getpid(), signal.SIGSEGV)
    return payload


TASKS: dict[str, Callable[[JsonValue], JsonValue]] = {"read_document": read_document}
