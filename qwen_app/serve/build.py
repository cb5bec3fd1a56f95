"""From settings to what runs: model, engine, service, and what answers requests (``asgi.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qwen_app.failed_requests import FailedRequests
from qwen_app.serve.ending import end_process
from qwen_app.serve.engines import build_engine
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.start.progress import StartProgress
from qwen_app.start.times import keep_times

if TYPE_CHECKING:
    from fastapi import FastAPI

    from qwen_app.saved_chats.saved_chats import SavedChats
    from qwen_app.web.guests.guest_door import GuestDoor


@dataclass(frozen=True, slots=True)
class App:
    """What runs: what answers requests, and the service to drain when it ends."""

    asgi: FastAPI
    service: Service


def load_app(settings: Settings, progress: StartProgress, guests: GuestDoor) -> App:
    """Load the model and build what answers, guests at ``guests`` among them. Slow; raises StartupError."""
    service = build_service(settings, progress)
    progress.enter("page")
    from qwen_app.serve.asgi import build_asgi

    app = App(build_asgi(service, settings, open_chats(settings, service), guests), service)
    keep_times(settings.data_dir, settings.model, progress.took_s())
    return app


def open_chats(settings: Settings, service: Service) -> SavedChats:
    """The saved chats that ``settings`` name; in memory, with a notice of ``service``, where these cannot be used."""
    from qwen_app.saved_chats.saved_chats import open_saved_chats

    return open_saved_chats(
        settings.data_dir,
        settings.database_url,
        chats_per_user=settings.chats_per_user,
        days=settings.chat_days,
        tell=service.notice,
    )


def build_service(settings: Settings, progress: StartProgress | None = None) -> Service:
    """The engine that ``settings`` name, behind the service. Loads the model; raises StartupError."""
    engine = build_engine(settings, end_process, progress or StartProgress())
    service = Service(
        engine,
        timeout_s=settings.timeout_s,
        aliases=settings.model_names(),
        fallback=settings.fallback_answer,
    )
    service.observe(FailedRequests(keeps=settings.failed_requests).watch)
    return service
