"""The memory plan of the model that the settings name: what ``--plan`` prints, and what a start goes by."""

from __future__ import annotations

import logging

from qwen_app.errors import DoesNotFit
from qwen_app.models.builtin import NAME as BUILTIN
from qwen_app.models.device import Device, find_device, imagined_card
from qwen_app.models.dims import ModelDims, bytes_as_stored, dims_of
from qwen_app.models.download import local_path
from qwen_app.models.files.checkpoint import Checkpoint, open_checkpoint
from qwen_app.models.memory_plan import INT4, MemoryPlan, plan_memory
from qwen_app.models.plan_table import plan_table
from qwen_app.models.registry import choose_model, choose_precision, known_model
from qwen_app.settings import Settings

log = logging.getLogger(__name__)

REMOTE_PLAN = (
    "With --engine remote no model is loaded here: another server answers, and plans its memory itself. "
    "For a plan of this machine leave out --engine remote (QWEN_ENGINE)."
)


def plan_report(settings: Settings) -> str:
    """The memory plan as a table, for this machine or for the card that ``gpu_gb`` imagines. Loads no weights."""
    if settings.engine == "remote":
        return REMOTE_PLAN
    device = imagined_card(settings.gpu_gb) if settings.gpu_gb else find_device()
    name = choose_model(settings.model, device)
    known = known_model(name)
    path = local_path(name, settings.models_dir, settings.revision)
    dims = known.dims if known else dims_of(path)
    checkpoint = Checkpoint(path) if known else open_checkpoint(path)  # a known one need not be here
    chosen = _precision(settings, checkpoint, dims, device, four_bit_file=name == BUILTIN or checkpoint.is_gguf)
    has_choice = settings.precision == "auto" and device.kind == "cuda" and not checkpoint.stays_in_four_bits
    precisions = [chosen, *(("fp16", INT4) if has_choice else ())]
    as_stored = bytes_as_stored(checkpoint, chosen)
    return plan_table(
        name, dims, precisions, device, users=settings.users, context=settings.context, weights_bytes=as_stored
    )


def plan_and_log(settings: Settings, checkpoint: Checkpoint, device: Device, *, four_bit_file: bool) -> MemoryPlan:
    """The plan of the model that is about to be loaded; the log tells of it."""
    dims = dims_of(checkpoint.path)
    precision = _precision(settings, checkpoint, dims, device, four_bit_file=four_bit_file)
    as_stored = bytes_as_stored(checkpoint, precision)
    plan = plan_memory(dims, precision, device, users=settings.users, context=settings.context, weights_bytes=as_stored)
    if plan.cards > 1:
        log.warning(
            "The weights spread over %d cards, which makes steps slow: one that has room for them is faster. "
            "CUDA_VISIBLE_DEVICES chooses it.",
            plan.cards,
        )
    log.info(
        "Memory plan: %d x %s tokens in %s need %.1f GB of %.1f GB free on %s.",
        plan.slots,
        f"{plan.context_tokens:,}",
        precision,
        plan.need_bytes / 1e9,
        plan.free_bytes / 1e9,
        device.one.name if plan.cards == 1 else device.name,
    )
    return plan


def _precision(
    settings: Settings, checkpoint: Checkpoint, dims: ModelDims, device: Device, *, four_bit_file: bool
) -> str:
    """What ``checkpoint`` will be held in. Raises DoesNotFit where the device has no kernels for it."""
    if not checkpoint.stays_in_four_bits:
        return choose_precision(settings.precision, dims, device, four_bit_file=four_bit_file)
    if device.kind == "cuda" and not device.one.ampere:
        raise DoesNotFit(
            f"The 4-bit weights of {checkpoint.path} need a card of compute capability 8.0 or newer, which "
            f"{device.name} is not. Take the model in floats, with --precision 4bit."
        )
    return INT4
