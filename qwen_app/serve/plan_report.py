"""What ``--plan`` prints: the memory plan of the model that the settings name."""

from __future__ import annotations

from qwen_app.models.device import find_device, imagined_card
from qwen_app.models.dims import dims_of
from qwen_app.models.download import local_path
from qwen_app.models.plan_table import plan_table
from qwen_app.models.registry import choose_model, choose_precision, known_model
from qwen_app.settings import Settings


def plan_report(settings: Settings) -> str:
    """The memory plan as a table, for this machine or for the card that ``gpu_gb`` imagines. Loads no weights."""
    device = imagined_card(settings.gpu_gb) if settings.gpu_gb else find_device()
    name = choose_model(settings.model, device)
    known = known_model(name)
    path = local_path(name, settings.models_dir, settings.revision)
    dims = known.dims if known else dims_of(path)
    chosen = choose_precision(settings.precision, dims, device)
    precisions = [chosen, *(("fp16", "4bit") if settings.precision == "auto" and device.kind == "cuda" else ())]
    return plan_table(name, dims, precisions, device, users=settings.users, context=settings.context)
