"""The memory plan as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from qwen_app.errors import DoesNotFit
from qwen_app.models.device import Device
from qwen_app.models.dims import ModelDims
from qwen_app.models.memory_plan import MemoryPlan, plan_memory

_ROWS = (
    ("weights", "weights_bytes"),
    ("conversations (KV)", "cache_bytes"),
    ("working memory", "working_bytes"),
    ("reserve", "reserve_bytes"),
    ("needed", "need_bytes"),
    ("free on the device", "free_bytes"),
)


def plan_table(
    name: str, dims: ModelDims, precisions: Sequence[str], device: Device, *, users: int = 0, context: int = 0
) -> str:
    """One column for each precision. Where one does not fit, a line below says why and what would."""
    plans: list[MemoryPlan] = []
    refusals: list[str] = []
    for precision in dict.fromkeys(precisions):
        try:
            plans.append(plan_memory(dims, precision, device, users=users, context=context))
        except DoesNotFit as refusal:
            refusals.append(f"{precision} does not fit: {refusal}")
    lines = [
        f"Memory plan for {name} on {device.name} (GB are 10^9 bytes)",
        f"{dims.parameters:,} parameters; {dims.kv_bytes_per_token(2):,} bytes for each token kept, in 16 bits",
        *([""] if plans else []),
        *_table(plans),
        *(["", *refusals] if refusals else []),
    ]
    return "\n".join(lines)


def _table(plans: Sequence[MemoryPlan]) -> list[str]:
    if not plans:
        return []
    rows = [
        ("", [p.precision for p in plans]),
        ("users x context", [f"{p.slots} x {p.context_tokens:,}" for p in plans]),
        *((label, [f"{getattr(p, field) / 1e9:.2f} GB" for p in plans]) for label, field in _ROWS),
    ]
    return [f"{label:<20}" + "".join(f"{cell:>14}" for cell in cells) for label, cells in rows]
