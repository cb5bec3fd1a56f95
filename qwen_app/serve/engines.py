"""The engine that the settings name: another server's, or a model that is found, planned and loaded here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from qwen_app.engine.base import Engine
from qwen_app.errors import SchemaError
from qwen_app.models.builtin import NAME as BUILTIN
from qwen_app.models.builtin import NOTICE
from qwen_app.models.device import find_device
from qwen_app.models.download import ensure_model, local_path
from qwen_app.models.registry import choose_model
from qwen_app.serve.plan_report import plan_and_log
from qwen_app.settings import Settings
from qwen_app.start.progress import StartProgress

log = logging.getLogger(__name__)

REMOTE_SLOTS = 64  # requests at once that another server is sent, which has a queue of its own
CPU_S_PER_GB = 8.0  # but a large model may run on a small CPU, a long step for every GB of its weights


def build_engine(settings: Settings, on_fatal: Callable[[str], None], progress: StartProgress) -> Engine:
    """The engine that ``settings`` name. Loads the model where it runs here; raises StartupError.

    ``on_fatal`` is called with a reason when the engine is lost and only a new process can help.
    """
    return _remote_engine(settings) if settings.engine == "remote" else _local_engine(settings, on_fatal, progress)


def _remote_engine(settings: Settings) -> Engine:
    from qwen_app.engine.remote import RemoteEngine

    def find_tokenizer(model: str) -> Path | None:
        folder = settings.models_dir / model.replace("/", "--")
        return folder if (folder / "tokenizer.json").is_file() else None

    engine = RemoteEngine(
        base_url=settings.base_url,
        api_key=settings.api_key,
        model=settings.remote_model,
        slots=settings.users or REMOTE_SLOTS,
        queue_limit=settings.queue_limit,
        context_tokens=settings.context,
        find_tokenizer=find_tokenizer,
    )
    return engine.connect()


def _local_engine(settings: Settings, on_fatal: Callable[[str], None], progress: StartProgress) -> Engine:
    if settings.model != "auto":
        local_path(settings.model, settings.models_dir)  # an impossible name is refused before the slow imports
    from qwen_app.engine.local.build import WATCHDOG_S, build_local_engine
    from qwen_app.models.loading.loader import load_checkpoint

    device = find_device()
    name = choose_model(settings.model, device)
    checkpoint = ensure_model(
        name, settings.models_dir, source=settings.source, revision=settings.revision, start=progress
    )
    memory = plan_and_log(settings, checkpoint, device, four_bit_file=name == BUILTIN or checkpoint.is_gguf)
    progress.enter("load", checkpoint.size_bytes())
    loaded = load_checkpoint(
        checkpoint, precision=memory.precision, context_tokens=memory.context_tokens, cards=memory.cards
    )
    progress.enter("engine")
    slowest_s = CPU_S_PER_GB * loaded.weights_bytes / 1e9 if device.kind == "cpu" else 0.0
    engine = build_local_engine(
        loaded,
        slots=memory.slots,
        context_tokens=memory.context_tokens,
        chunk_tokens=memory.chunk_tokens,
        queue_limit=settings.queue_limit,
        without=settings.optimisations_off(),
        notice=NOTICE if name == BUILTIN else "",
        watchdog_s=max(WATCHDOG_S, slowest_s),
        on_fatal=on_fatal,
    )
    try:
        engine.prepare_grammars()  # not within somebody's first JSON answer
    except SchemaError as refused:
        log.warning("%s", refused)
    return engine
