"""What an engine tells of itself: its model, its device and how much it holds."""

from __future__ import annotations

import torch

from qwen_app.engine.base import EngineInfo
from qwen_app.engine.local.compute.parts import ComputeParts
from qwen_app.engine.local.generation_defaults import sampling_defaults
from qwen_app.models.loading.loaded_model import LoadedModel


def info_of(loaded: LoadedModel, parts: ComputeParts, notice: str) -> EngineInfo:
    """The facts of an engine that runs ``loaded`` with ``parts``; ``notice`` is its owner's."""
    return EngineInfo(
        model=loaded.name,
        revision=loaded.revision,
        precision=loaded.precision,
        device=_device_name(loaded.device),
        context_tokens=parts.kv_cache.length,
        slots=parts.kv_cache.slots,
        sampling=sampling_defaults(loaded.generation_config),
        weights_bytes=loaded.weights_bytes,
        cache_bytes=parts.kv_cache.size_bytes,
        notice=notice,
        gpu_uuids=loaded.gpu_uuids(),
    )


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
