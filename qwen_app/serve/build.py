"""From settings to everything that answers: model, engine, service, API and page."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_app.engine.base import Engine
from qwen_app.models import builtin
from qwen_app.models.device import Device, find_device, imagined_card
from qwen_app.models.dims import dims_of, stored_bytes
from qwen_app.models.download import ensure_model, local_path
from qwen_app.models.folder import Checkpoint
from qwen_app.models.memory_plan import MemoryPlan, plan_memory
from qwen_app.models.plan_table import plan_table
from qwen_app.models.registry import choose_model, choose_precision, known_model
from qwen_app.service import Service
from qwen_app.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

LOST_DEVICE_EXIT = 70
LAST_WORDS_S = 2.0  # for the error to reach those who wait for an answer


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
    engine = _remote_engine(settings) if settings.engine == "remote" else _local_engine(settings)
    return Service(engine, timeout_s=settings.timeout_s)


def build_asgi(service: Service, settings: Settings) -> FastAPI:
    """API and page on one ASGI app."""
    from fastapi import FastAPI

    from qwen_app.api.routes import build_router, install_error_handlers
    from qwen_app.ui.mount import mount_page
    from qwen_app.web.install import install_web

    app = FastAPI(title="Qwen chat", docs_url=None, redoc_url=None, openapi_url=None)
    install_web(app, settings)
    app.include_router(build_router(service, settings))
    install_error_handlers(app)
    return mount_page(app, service, settings)


def memory_plan(settings: Settings) -> str:
    """The memory plan as a table, for this machine or for the card that ``gpu_gb`` imagines. Loads no weights."""
    device = imagined_card(settings.gpu_gb) if settings.gpu_gb else find_device()
    name = choose_model(settings.model, device)
    known = known_model(name)
    path = local_path(name, settings.models_dir, settings.revision)
    dims = known.dims if known else dims_of(path)
    chosen = choose_precision(settings.precision, dims, device)
    precisions = [chosen, *(("fp16", "4bit") if settings.precision == "auto" and device.kind == "cuda" else ())]
    return plan_table(name, dims, precisions, device, users=settings.users, context=settings.context)


def _remote_engine(settings: Settings) -> Engine:
    from qwen_app.engine.remote import RemoteEngine

    def find_tokenizer(model: str) -> Path | None:
        folder = settings.models_dir / model.replace("/", "--")
        return folder if (folder / "tokenizer.json").is_file() else None

    engine = RemoteEngine(
        base_url=settings.base_url,
        api_key=settings.api_key,
        model=settings.remote_model,
        queue_limit=settings.queue_limit,
        context_tokens=settings.context,
        find_tokenizer=find_tokenizer,
    )
    return engine.connect()


def _local_engine(settings: Settings) -> Engine:
    from qwen_app.engine.local.build import build_local_engine
    from qwen_app.models.loader import load_checkpoint

    if settings.model != "auto":
        local_path(settings.model, settings.models_dir)  # an impossible name is refused before the slow imports
    device = find_device()
    name = choose_model(settings.model, device)
    checkpoint = ensure_model(name, settings.models_dir, source=settings.source, revision=settings.revision)
    memory = _plan(settings, checkpoint, device)
    return build_local_engine(
        load_checkpoint(checkpoint, precision=memory.precision),
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


def _plan(settings: Settings, checkpoint: Checkpoint, device: Device) -> MemoryPlan:
    dims = dims_of(checkpoint.path)
    precision = choose_precision(settings.precision, dims, device)
    as_stored = stored_bytes(checkpoint.path) if checkpoint.quantisation else 0
    plan = plan_memory(dims, precision, device, users=settings.users, context=settings.context, weights_bytes=as_stored)
    log.info(
        "Memory plan: %d x %s tokens in %s need %.1f GB of %.1f GB free on %s.",
        plan.slots,
        f"{plan.context_tokens:,}",
        precision,
        plan.need_bytes / 1e9,
        plan.free_bytes / 1e9,
        device.name,
    )
    return plan
