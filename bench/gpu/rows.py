"""Rows: what a section finds out, a line each, on the disk before the next is begun."""

from __future__ import annotations

import gc
import json
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

WRONG, OK, BROKE, SKIPPED = "WRONG", "ok", "BROKE", "SKIPPED"
TRACE_CHARACTERS = 1500

Value = float | int | str | bool


class Wrong(Exception):
    """A result is not what it has to be. Whatever is measured after it would count for nothing."""


class Rows:
    """Writes to ``path``, anew. After ``budget_s`` seconds no further part begins."""

    def __init__(self, path: Path, budget_s: float) -> None:
        self._path = path
        self._budget_s = budget_s
        self._started_s = time.monotonic()
        self.failures = 0
        path.write_text("")

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self._started_s

    @property
    def time_left(self) -> bool:
        return self.spent_s < self._budget_s

    def add(self, what: str, value: Value, unit: str = "", /, **more: object) -> None:
        row = {"what": what, "value": value, "unit": unit, "at_s": round(self.spent_s, 1), **more}
        with self._path.open("a") as file:
            file.write(json.dumps(row, default=str) + "\n")
        shown = f"{value:.4g}" if isinstance(value, float) else value
        sys.stderr.write(f"{what:<70} {shown} {unit} {more or ''}\n")

    def check(self, what: str, right: bool, **more: object) -> None:
        """Raises Wrong where it is not right."""
        self.add(f"{OK if right else WRONG} {what}", right, **more)
        if not right:
            self.failures += 1
            raise Wrong(what)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What fails within is written down, and the rest goes on; only what is wrong ends the section.

        Check ``time_left`` before: a part that has begun is not cut.
        """
        began_s = time.monotonic()
        try:
            yield
        except Wrong:
            raise
        except Exception as error:  # a part that breaks must not hide the others
            self.failures += 1
            trace = traceback.format_exc()[-TRACE_CHARACTERS:]
            self.add(f"{BROKE} {name}", f"{type(error).__name__}: {error}"[:300], trace=trace)
        finally:
            self.add(f"time of {name}", time.monotonic() - began_s, "s")
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def may_begin(self, name: str) -> bool:
        """False, and a row that says so, when the budget is spent."""
        if not self.time_left:
            self.add(f"{SKIPPED} {name}: no time left", False)
        return self.time_left


def wrong_rows(path: Path) -> list[str]:
    """What an earlier run of a section called wrong; nothing where it never ran."""
    if not path.exists():
        return []
    said = [json.loads(line)["what"] for line in path.read_text().splitlines()]
    return [what for what in said if what.startswith(WRONG)]
