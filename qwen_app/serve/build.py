"""From settings to everything that answers: model, engine, service, API and page."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_app.engine.base import Engine
from qwen_app.models import builtin
from qwen_app.models.device import Device, find_device, imagined_card
from qwen_app.models.dims import Shape, quantisation_of, shape_of, stored_bytes
from qwen_app.models.download import ensure_model, local_path
from qwen_app.models.plan import Plan, plan
from qwen_app.models.plan_table import plan_table
from qwen_app.models.registry import choose_model, choose_precision, known_model
from qwen_app.serve.pidfile import Running, leave_note
from qwen_app.service import Service
from qwen_app.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

LOST_DEVICE_EXIT = 70
LAST_WORDS_S = 2.0  # for the error to reach those who wait for an answer


@dataclass(frozen=True, slots=True)
class Started:
    """What runs: the app, and the service to drain when it ends."""

    app: FastAPI
    service: Service


def start(settings: Settings, running: Running) -> Started:
    """Load the model and build the app. Slow; raises StartupError."""
    service = build_service(settings)
    leave_note(replace(running, model=service.info().model))
    return Started(build_app(service, settings), service)


def build_service(settings: Settings) -> Service:
    """The engine that ``settings`` name, behind the service. Loads the model; raises StartupError."""
    engine = _remote_engine(settings) if settings.engine == "remote" else _local_engine(settings)
    return Service(engine, timeout_s=settings.timeout_s)


def build_app(service: Service, settings: Settings) -> FastAPI:
    """API and page on one app."""
    from fastapi import FastAPI

    from qwen_app.api.routes import install_api
    from qwen_app.http.middleware import install_request_middleware
    from qwen_app.ui.mount import mount_page
    from qwen_app.web.install import install_web

    app = FastAPI(title="Qwen chat", docs_url=None, redoc_url=None, openapi_url=None)
    api_paths = install_api(app, service, settings)
    install_web(app, settings, api_paths)
    install_request_middleware(app)
    return mount_page(app, service, settings)


def memory_plan(settings: Settings) -> str:
    """The memory plan as a table, for this machine or for the card that ``gpu_gb`` imagines. Loads no weights."""
    device = imagined_card(settings.gpu_gb) if settings.gpu_gb else find_device()
    name = choose_model(settings.model, device)
    known = known_model(name)
    path = local_path(name, settings.models_dir, settings.revision)
    shape = known.shape if known else shape_of(path)
    chosen = choose_precision(settings.precision, shape, device)
    precisions = [chosen, *(("fp16", "4bit") if settings.precision == "auto" and device.kind == "cuda" else ())]
    return plan_table(name, shape, precisions, device, users=settings.users, context=settings.context)


def _remote_engine(settings: Settings) -> Engine:
    from qwen_app.engine.remote import RemoteEngine

    def find_tokenizer(model: str) -> Path | None:
        folder = settings.models_dir / model.replace("/", "--")
        return folder if (folder / "tokenizer.json").is_file() else None

    return RemoteEngine.connect(
        base_url=settings.base_url,
        api_key=settings.api_key,
        model=settings.remote_model,
        queue_limit=settings.queue_limit,
        context_tokens=settings.context,
        find_tokenizer=find_tokenizer,
    )


def _local_engine(settings: Settings) -> Engine:
    from qwen_app.engine.local.engine import LocalEngine
    from qwen_app.models.loader import load

    if settings.model != "auto":
        local_path(settings.model, settings.models_dir)  # an impossible name is refused before the slow imports
    device = find_device()
    name = choose_model(settings.model, device)
    path = ensure_model(name, settings.models_dir, source=settings.source, revision=settings.revision)
    shape = shape_of(path)
    precision = choose_precision(settings.precision, shape, device)
    memory = _plan(settings, path, shape, precision, device)
    loaded = load(path, precision=precision)
    return LocalEngine(
        loaded,
        slots=memory.slots,
        context_tokens=memory.context_tokens,
        queue_limit=settings.queue_limit,
        notice=builtin.NOTICE if name == builtin.NAME else "",
        on_fatal=end_process,
    )


def end_process(reason: str) -> None:
    """End at once: a lost GPU answers nothing more to this process, and only a new one can help."""
    log.critical("The GPU failed and this process ends (exit %d): %s", LOST_DEVICE_EXIT, reason)
    time.sleep(LAST_WORDS_S)
    logging.shutdown()
    os._exit(LOST_DEVICE_EXIT)


def _plan(settings: Settings, path: Path, shape: Shape, precision: str, device: Device) -> Plan:
    as_stored = stored_bytes(path) if quantisation_of(path) else 0
    memory = plan(shape, precision, device, users=settings.users, context=settings.context, weights_bytes=as_stored)
    log.info(
        "Memory plan: %d x %s tokens in %s need %.1f GB of %.1f GB free on %s.",
        memory.slots,
        f"{memory.context_tokens:,}",
        precision,
        memory.need_bytes / 1e9,
        memory.free_bytes / 1e9,
        device.name,
    )
    return memory
