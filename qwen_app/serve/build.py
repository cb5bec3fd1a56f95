"""From settings to everything that answers: model, engine, service, API and page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qwen_app.serve.ending import end_process
from qwen_app.serve.engines import build_engine
from qwen_app.service import Service
from qwen_app.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


@dataclass(frozen=True, slots=True)
class App:
    """What runs: what answers requests, and the service to drain when it ends."""

    asgi: FastAPI
    service: Service


def load_app(settings: Settings) -> App:
    """Load the model and build what answers. Slow; raises StartupError."""
    service = build_service(settings)
    return App(build_asgi(service, settings), service)


def build_service(settings: Settings) -> Service:
    """The engine that ``settings`` name, behind the service. Loads the model; raises StartupError."""
    return Service(build_engine(settings, end_process), timeout_s=settings.timeout_s)


def build_asgi(service: Service, settings: Settings) -> FastAPI:
    """API and page on one ASGI app, to be served behind ``qwen_app.web.wall`` alone."""
    from fastapi import FastAPI

    from qwen_app.api.routes import install_api
    from qwen_app.sandbox.checks import checks
    from qwen_app.table_store import TableStore
    from qwen_app.ui.mount import mount_page
    from qwen_app.web.install import install_web
    from qwen_app.web.no_files import NoFiles
    from qwen_app.web.table_upload import build_table_upload

    app = FastAPI(title="Qwen chat", docs_url=None, redoc_url=None, openapi_url=None)
    api_paths = install_api(app, service, settings)
    tables = TableStore()
    app.include_router(build_table_upload(tables, checks()))
    app.add_middleware(NoFiles)  # behind the login and the guard, which are added after it
    install_web(app, settings, api_paths)
    return mount_page(app, service, settings, tables)
