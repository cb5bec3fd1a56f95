"""Tasks that do what a hostile text may bring about."""

from __future__ import annotations

import ctypes
import os
import time

from pydantic import JsonValue


def echo(payload: JsonValue) -> JsonValue:
    return payload


def fault(kind: JsonValue) -> JsonValue:
    if kind == "loop":
        while True:
            pass
    if kind == "sleep":
        time.sleep(60)
    if kind == "native":
        return len(str(round(1, -10_000_000)))  # one operation that never gives the interpreter back
    if kind == "swell":
        return len(b"x" * 2**31)
    if kind == "abort":
        ctypes.string_at(0)
    if kind == "deep":
        return fault(kind)
    if kind == "talk":
        os.write(1, b"canary")
        os.write(2, b"canary")
    if kind == "long":
        return "x" * 2**23
    if kind == "parent":
        return os.getppid()
    if kind == "environment":
        return list(os.environ)
    return None


TASKS = {"echo": echo, "fault": fault}
