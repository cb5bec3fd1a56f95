"""Small tensors from Python's numbers to the device and back, without waiting for more than has to be waited for."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def to_device(
    values: Sequence[float] | Sequence[Sequence[float]], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """``values`` on ``device``. The copy to a GPU goes from pinned memory: the host does not wait for it."""
    return pinned(torch.tensor(values, dtype=dtype), device).to(device, non_blocking=True)


def pinned(host: torch.Tensor, device: torch.device) -> torch.Tensor:
    """``host`` in memory that ``device`` copies from by itself, where it is a GPU."""
    return host.pin_memory() if device.type == "cuda" else host


class HostCopy:
    """A tensor on its way to the host. Where ``tensor.tolist()`` waits for all that was launched, this does not."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._copied: torch.cuda.Event | None = None
        self._host = tensor
        if tensor.device.type == "cuda":
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._host.copy_(tensor, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(tensor.device))

    def tolist(self) -> list[list[float]]:
        """The rows of a tensor ``[rows, columns]``, once they are here."""
        if self._copied is not None:
            self._copied.synchronize()
        rows: list[list[float]] = self._host.tolist()
        return rows
