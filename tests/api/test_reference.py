"""``docs/api.md`` lists every route and every error code there is, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.routing import APIRoute

import qwen_app
import qwen_app.documents.refusal  # whose error no module of the API imports
from qwen_app.api.access.request_guard import RequestGuard
from qwen_app.api.routes import build_router
from qwen_app.errors import AppError, StartupError
from qwen_app.http.middleware import BODY_LIMIT_BYTES
from qwen_app.metrics import Telemetry
from qwen_app.service import Service
from qwen_app.settings import Settings, flag
from qwen_app.testing.scripted_engine import ScriptedEngine

REFERENCE = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text(encoding="utf-8")


def rows(head: str) -> list[tuple[str, ...]]:
    """The cells of the table under ``head``, without their marks."""
    table = REFERENCE.split(head)[1].split("\n\n")[0]
    lines = re.findall(r"^\| (.+) \|$", table, re.MULTILINE)
    return [tuple(cell.strip("`* ") for cell in line.split("|")) for line in lines]


def routes() -> list[APIRoute]:
    service = Service(ScriptedEngine())
    router = build_router(service, Settings(), Telemetry(service))
    return [route for route in router.routes if isinstance(route, APIRoute) and route.endpoint.__name__ != "refuse"]


def test_every_route_is_in_the_table() -> None:
    served = {
        (
            method,
            route.path.replace(":any", ""),
            "yes" if any(isinstance(part.call, RequestGuard) for part in route.dependant.dependencies) else "no",
        )
        for route in routes()
        for method in route.methods
    }
    documented = rows("| Method | Path | Key | Answers |")
    assert {(method, path, key) for method, path, key, _ in documented} == served
    assert len(documented) == len(served)


def errors(base: type[AppError]) -> set[type[AppError]]:
    """``base`` and every error below it that any module of the app defines."""
    return {base}.union(*(errors(below) for below in base.__subclasses__()))


def test_no_error_is_defined_where_this_test_does_not_see_it() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(qwen_app.__file__).parent.rglob("*.py")]
    written = {
        code for source in sources for code in re.findall(r'^    code(?:: str)? = "(\w+)"', source, re.MULTILINE)
    }
    assert written == {error.code for error in errors(AppError)}


def test_every_error_code_is_in_the_table_with_its_status() -> None:
    raised = {(error.code, str(error.http_status)) for error in errors(AppError) - errors(StartupError)}
    documented = rows("| Code | Status | Meaning |")
    assert {(code, status) for code, status, _ in documented} == raised
    assert len(documented) == len(raised)


def test_every_reason_not_to_start_is_in_the_table_with_its_exit_code() -> None:
    raised = {(error.code, str(error.exit_code)) for error in errors(StartupError) if issubclass(error, StartupError)}
    assert {(code, exit_code) for code, exit_code, _ in rows("| Code | Exit | Meaning |")} == raised


def test_limits_and_settings_that_are_named_exist() -> None:
    assert f"A body may hold {BODY_LIMIT_BYTES // 2**20} MiB." in REFERENCE
    named = set(re.findall(r"`(--[\w-]+)(?: \w+)?`", REFERENCE))
    assert named <= {flag(name) for name in Settings.model_fields}
