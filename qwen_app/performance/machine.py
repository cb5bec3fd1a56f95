"""The machine beneath a measurement: what the model reads for a token, what the memory can do, what precisions need."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from qwen_app.engine.base import EngineInfo
from qwen_app.errors import StartupError
from qwen_app.models.device import Device, find_device
from qwen_app.models.dims import ModelDims, dims_of
from qwen_app.models.download import local_path
from qwen_app.models.memory_plan import NUMBER_BYTES, estimate
from qwen_app.models.registry import choose_model, known_model
from qwen_app.performance.cards import copy_bandwidth, stated_bandwidth
from qwen_app.performance.values import Size
from qwen_app.settings import Settings

PRECISIONS = {"cuda": ("fp16", "8bit", "int4", "4bit"), "cpu": ("fp32", "bf16", "int4")}


@dataclass(frozen=True, slots=True)
class PrecisionMemory:
    """What a precision needs for the loaded number of conversations, in bytes, as the memory plan says.

    ``fits`` is judged by all the memory of the device, as if nothing were loaded.
    """

    precision: str
    weights_bytes: int
    cache_bytes: int
    need_bytes: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """``weights_read_bytes`` are read for every step, ``token_bytes`` more for each token of each conversation.

    Bandwidths are in bytes a second: ``stated_bandwidth`` is the maker's, 0.0 where unknown, ``copy_bandwidth`` that of
    a copy here. ``held_bytes`` is what the process holds, measured.
    """

    device: str
    weights_bytes: int
    cache_bytes: int
    held_bytes: int
    weights_read_bytes: int
    token_bytes: int
    stated_bandwidth: float
    copy_bandwidth: float
    planned: tuple[PrecisionMemory, ...]

    @property
    def bandwidth(self) -> float:
        """What the memory can do: the maker's figure, else the copy's."""
        return self.stated_bandwidth or self.copy_bandwidth

    def limit_tokens_per_s(self, size: Size) -> float:
        """The most that all users of ``size`` together can get, were the memory's bandwidth the only limit.

        A step reads the weights once for all and the keys and values of each: users * bandwidth / bytes of a step.
        """
        step_bytes = self.weights_read_bytes + size.users * size.context_tokens * self.token_bytes
        return size.users * self.bandwidth / step_bytes if step_bytes else 0.0


def machine_of(info: EngineInfo, settings: Settings) -> Machine | None:
    """The machine that ``info``'s model runs on; None where that is another server's. Takes a second, and memory for a
    copy."""
    if settings.engine == "remote":
        return None
    device = find_device()
    dims = _dims(settings, device)
    number_bytes = NUMBER_BYTES.get(info.precision, 2 if device.kind == "cuda" else 4)
    return Machine(
        device=device.one.name if len(info.gpu_uuids) == 1 else device.name,
        weights_bytes=info.weights_bytes,
        cache_bytes=info.cache_bytes,
        held_bytes=held_bytes(),
        weights_read_bytes=_read_for_a_step(info.weights_bytes, dims, number_bytes),
        token_bytes=dims.kv_bytes_per_token(number_bytes) if dims else 0,
        stated_bandwidth=stated_bandwidth(device.name),  # layers on several cards are computed one after the other
        copy_bandwidth=copy_bandwidth(device.kind),
        planned=_planned(dims, device, info) if dims else (),
    )


def held_bytes() -> int:
    """What the model's process holds: on the cards where there are any, else in main memory."""
    import torch

    if torch.cuda.is_available():
        return sum(torch.cuda.memory_reserved(index) for index in range(torch.cuda.device_count()))
    return int(psutil.Process(os.getpid()).memory_info().rss)


def _dims(settings: Settings, device: Device) -> ModelDims | None:
    try:
        name = choose_model(settings.model, device)
        known = known_model(name)
        return known.dims if known else dims_of(local_path(name, settings.models_dir, settings.revision))
    except StartupError:
        return None


def _read_for_a_step(weights_bytes: int, dims: ModelDims | None, number_bytes: int) -> int:
    """All weights but the embedding, of which a token reads one row; where the head is the same matrix it is read."""
    if dims is None:
        return weights_bytes
    table = dims.vocabulary * dims.hidden
    apart = dims.other_parameters >= 2 * table
    return weights_bytes - (table * number_bytes if apart else 0)


def _planned(dims: ModelDims, device: Device, info: EngineInfo) -> tuple[PrecisionMemory, ...]:
    plans = [
        estimate(dims, precision, device, info.slots, info.context_tokens) for precision in PRECISIONS[device.kind]
    ]
    return tuple(
        PrecisionMemory(
            plan.precision, plan.weights_bytes, plan.cache_bytes, plan.need_bytes, plan.need_bytes <= device.total_bytes
        )
        for plan in plans
    )
