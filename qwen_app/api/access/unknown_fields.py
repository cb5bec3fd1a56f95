"""Fields of a request that no endpoint knows, however deep: hints are counted and ignored, others refused by name."""

from __future__ import annotations

import logging
import re
from collections.abc import Container, Iterator, Sequence

from qwen_app.api.protocol.request_bodies import NEUTRAL, Body, OtherTool, Part
from qwen_app.errors import RequestError
from qwen_app.metrics import Telemetry

log = logging.getLogger(__name__)

INDEX = re.compile(r"\[\d+\]")


class UnknownFields:
    """``strict`` refuses them all."""

    def __init__(self, telemetry: Telemetry, *, strict: bool) -> None:
        self._telemetry = telemetry
        self._strict = strict

    def check(self, body: Body) -> None:
        """Count what of ``body`` is ignored. Raises RequestError for a field that ``body`` names as refused, unless its
        value says that it is not wanted, and where all unknown ones are."""
        ignored = []
        for path, value in _unknown(body):
            name = INDEX.sub("", path)
            wanted = next(_wanted(name, value, body.refused), None)
            if wanted is not None:
                raise body.refusal(wanted, path + wanted[len(name) :])
            if self._strict:
                raise RequestError(f"Unknown field '{path}'. Leave it out.", param=path)
            ignored.append(name)
        self._telemetry.count_ignored_fields(ignored)
        self.leave_out("tools", [path for path, part in _parts(body) if isinstance(part, OtherTool)])

    def leave_out(self, field: str, paths: Sequence[str]) -> None:
        """Count the parts of ``field`` at ``paths`` that nothing here runs. Raises RequestError where it is strict."""
        if not paths:
            return
        if self._strict:
            raise RequestError(f"{paths[0]} is of a type that this server cannot run. Leave it out.", param=paths[0])
        log.info("%d of the %s are of types that this server cannot run: left out", len(paths), field)
        self._telemetry.count_ignored_fields([field] * len(paths))


def _unknown(body: Part) -> Iterator[tuple[str, object]]:
    """Every field that is not a body's own, with its path and value. What is left out as a whole says no more."""
    for path, part in _parts(body):
        if not isinstance(part, OtherTool):
            for name, value in (part.model_extra or {}).items():
                yield f"{path}.{name}".removeprefix("."), value


def _wanted(name: str, value: object, refused: Container[str]) -> Iterator[str]:
    """Which of ``refused`` the unknown field ``name`` asks for: itself, or a field in it."""
    inside = [(f"{name}.{key}", inner) for key, inner in value.items()] if isinstance(value, dict) else []
    for path, field_value in [(name, value), *inside]:
        if path in refused and not _asks_for_nothing(path, field_value):
            yield path


def _asks_for_nothing(name: str, value: object) -> bool:
    """Null, false, nothing in a text or a list, and what is done anyway. An empty object takes defaults."""
    usual = NEUTRAL.get(name, False)
    return value is None or value in ("", []) or (value is False and usual is not True) or _same(value, usual)


def _same(value: object, usual: object) -> bool:
    """Equal, where 0 is not false."""
    return value == usual and isinstance(value, bool) == isinstance(usual, bool)


def _parts(body: Part) -> Iterator[tuple[str, Part]]:
    """``body`` and every part in it, each with its path."""
    waiting: list[tuple[str, object]] = [("", body)]
    while waiting:
        path, part = waiting.pop()
        if isinstance(part, list):
            inner = [(index, item) for index, item in enumerate(part) if isinstance(item, Part | list)]
            waiting.extend((f"{path}[{index}]", item) for index, item in inner)
        elif isinstance(part, Part):
            yield path, part
            for name in part.model_fields_set & type(part).model_fields.keys():
                waiting.append((f"{path}.{_alias(part, name)}".removeprefix("."), getattr(part, name)))


def _alias(part: Part, name: str) -> str:
    return type(part).model_fields[name].alias or name
