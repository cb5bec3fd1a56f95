"""What kind of failure an exception from torch is, and how memory is given back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

import torch

from qwen_app.models.device import lacks_memory

T = TypeVar("T")

STICKY_MARKS = ("CUDA error", "device-side assert", "CUBLAS_STATUS", "cuDNN error", "NCCL error")
CAPTURE_MARK = "captur"  # in every error of a CUDA graph's capture; the device is as well as it was before


class StickyDeviceError(Exception):
    """The device answers nothing more to this process; only a new process can help."""


class Failure(Enum):
    OUT_OF_MEMORY = "out of memory"
    STICKY = "sticky"
    OTHER = "other"


def failure_of(error: BaseException) -> Failure:
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or lacks_memory(error):
        return Failure.OUT_OF_MEMORY
    if CAPTURE_MARK in text:
        return Failure.OTHER
    accelerator_error = getattr(torch, "AcceleratorError", ())
    if isinstance(error, accelerator_error) or any(mark in text for mark in STICKY_MARKS):
        return Failure.STICKY
    return Failure.OTHER


def answers(device: torch.device) -> bool:
    """Whether ``device`` still computes for this process, after an error that may have been its last."""
    try:
        return float(torch.ones(1, device=device)) == 1.0
    except Exception:  # whatever it says by then
        return False


def free_memory() -> None:
    """Give cached blocks back to the device. Call it outside the except block: a traceback keeps its tensors alive."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def where_there_is_memory(work: Callable[[], T]) -> T | None:
    """What ``work`` returns; None where the device had no memory for it."""
    try:
        return work()
    except Exception as error:
        if failure_of(error) is not Failure.OUT_OF_MEMORY:
            raise
    return None
