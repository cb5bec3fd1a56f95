"""What can be asked of the sandbox: functions of JSON values, by name. What they need is imported once a child."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

TASKS: dict[str, Callable[[JsonValue], JsonValue]] = {}
