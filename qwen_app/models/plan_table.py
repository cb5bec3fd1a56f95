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
    name: str,
    dims: ModelDims,
    precisions: Sequence[str],
    device: Device,
    *,
    users: int = 0,
    context: int = 0,
    weights_bytes: int = 0,
) -> str:
    """One column for each precision. Where one does not fit, a line below says why and what would. Raises DoesNotFit,
    with the same lines, where none does.

    ``weights_bytes``, where not 0, are those of the first precision: a file's that stays as it is.
    """
    plans: list[MemoryPlan] = []
    refusals: list[str] = []
    for precision in dict.fromkeys(precisions):
        try:
            as_stored = weights_bytes if precision == precisions[0] else 0
            plans.append(plan_memory(dims, precision, device, users=users, context=context, weights_bytes=as_stored))
        except DoesNotFit as refusal:
            refusals.append(f"{precision} does not fit: {refusal}")
    lines = [
        f"Memory plan for {name} on {device.name} (GB are 10^9 bytes)",
        f"{dims.parameters:,} parameters; {dims.kv_bytes_per_token(2):,} bytes for each token kept, in 16 bits",
        *_long_context(dims, context),
        *([""] if plans else []),
        *_table(plans),
        *(["", *refusals] if refusals else []),
    ]
    if not plans:
        raise DoesNotFit("\n".join(lines))
    return "\n".join(lines)


def _long_context(dims: ModelDims, context: int) -> list[str]:
    """What YaRN costs, where the model has it: for the context asked for, or for the longest there is."""
    if dims.longest_tokens <= dims.context_tokens:
        return []
    cost = dims.long_context_cost(context if context > dims.context_tokens else dims.longest_tokens)
    on = "on" if context > dims.context_tokens else "off"
    return [
        f"YaRN is {on}: --context above {dims.context_tokens:,}, up to {dims.longest_tokens:,}, turns it on. "
        f"{cost.tokens:,} tokens take {cost.cache_bytes / 1e9:.1f} GB a conversation,",
        f"{cost.prefill_ratio:.1f} times the time to read that {dims.context_tokens:,} take, and those "
        f"{cost.cache_bytes / 1e9:.1f} GB are read for each token of the answer; short texts may lose a little.",
    ]


def _table(plans: Sequence[MemoryPlan]) -> list[str]:
    if not plans:
        return []
    rows = [
        ("", [p.precision for p in plans]),
        ("users x context", [f"{p.slots} x {p.context_tokens:,}" for p in plans]),
        *((label, [f"{getattr(p, field) / 1e9:.2f} GB" for p in plans]) for label, field in _ROWS),
    ]
    return [f"{label:<20}" + "".join(f"{cell:>14}" for cell in cells) for label, cells in rows]
