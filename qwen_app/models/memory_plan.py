"""The memory plan: weights, conversations and working memory against what the device has, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.errors import DoesNotFit
from qwen_app.models.device import Device
from qwen_app.models.dims import ModelDims

NUMBER_BYTES = {"fp16": 2, "bf16": 2, "fp32": 4}
# NF4 with double quantisation: half a byte, an 8-bit scale for each 64 weights, a 32-bit one for each 256 of those.
_NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
_INT8_BYTES = 1.0
INT4 = "int4"
_NEVER_UNPACKED = (*NUMBER_BYTES, "8bit")
_NEVER_JOINED = (*_NEVER_UNPACKED, "4bit")  # layers that are unpacked one by one, if at all
_INT4_BYTES = 0.5 + 4 / 32  # a code, and a 16-bit scale and zero for each 32 weights
PREFILL_CHUNK_TOKENS = {"cuda": 1024, "cpu": 256}  # the most prompt tokens of a step
# Where memory is left over, of weights that are unpacked for every such step on a card: on an H200 that takes 16 ms,
# beside 22 ms of products for 1,024 tokens and 43 ms for these.
LONG_CHUNK_TOKENS = 2048
# cuBLAS workspaces, captured graphs and what the allocator cannot use; on a CPU, the process itself.
RESERVE_BYTES = {"cuda": 800_000_000, "cpu": 1_000_000_000}
# What a draw from the whole vocabulary holds of each token: its logit and weight in float32 and in order, 64-bit
# places, and on the way there the time of each, by its hash.
_DRAWN_BYTES = 62
# Conversations x context that are offered, best first. Weights are read once a step for all of them, and kernels of
# few rows are at their best up to eight.
CHOICES = {
    "cuda": ((8, 32_768), (4, 24_576), (4, 16_384), (4, 8_192), (2, 8_192), (2, 4_096), (1, 4_096), (1, 2_048)),
    "cpu": ((8, 8_192), (4, 8_192), (2, 8_192), (2, 4_096), (1, 4_096), (1, 2_048)),
}
ENOUGH_TOKENS = 4 * 8_192  # of all conversations: with fewer on one card, several serve people better
CONTEXTS = (32_768, 24_576, 16_384, 12_288, 8_192, 4_096, 2_048)  # for a number of users that was asked for


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What loading would take, in bytes, and what it buys: ``slots`` conversations of ``context_tokens`` each.

    ``chunk_tokens`` of a prompt are read in one step at most. ``cards`` share the weights, all or the first.
    """

    precision: str
    slots: int
    context_tokens: int
    chunk_tokens: int
    weights_bytes: int
    cache_bytes: int
    working_bytes: int
    reserve_bytes: int
    free_bytes: int
    cards: int = 1

    @property
    def need_bytes(self) -> int:
        return self.weights_bytes + self.cache_bytes + self.working_bytes + self.reserve_bytes

    @property
    def held_tokens(self) -> int:
        """Of all conversations together."""
        return self.slots * self.context_tokens

    @property
    def fits(self) -> bool:
        return self.need_bytes <= self.free_bytes


def plan_memory(
    dims: ModelDims, precision: str, device: Device, *, users: int = 0, context: int = 0, weights_bytes: int = 0
) -> MemoryPlan:
    """The best plan that fits ``device``; ``users`` and ``context`` are kept where they are not 0.

    One of several cards takes the model where it has room for it and for conversations: steps that go from card to card
    are not captured, and the cards wait for each other. ``weights_bytes`` is given for a checkpoint that comes
    quantised. Raises DoesNotFit, saying what would.
    """
    plans, refusals = list[MemoryPlan](), list[DoesNotFit]()
    for part in device.parts[:1] if precision == INT4 else device.parts:
        try:
            plans.append(_best(dims, precision, part, users=users, context=context, weights_bytes=weights_bytes))
        except DoesNotFit as refused:
            refusals.append(refused)
    if not plans:
        raise refusals[-1]
    return max(plans, key=lambda plan: min(plan.held_tokens, ENOUGH_TOKENS))


def _best(
    dims: ModelDims, precision: str, device: Device, *, users: int, context: int, weights_bytes: int
) -> MemoryPlan:
    longest = max(dims.context_tokens, dims.longest_tokens)
    if context > longest:
        raise DoesNotFit(f"--context {context:,} is longer than this model can read. Its most is {longest:,} tokens.")
    tried = [estimate(dims, precision, device, *size, weights_bytes) for size in _sizes(dims, device, users, context)]
    fitting = next((candidate for candidate in tried if candidate.fits), None)
    if fitting is None:
        raise DoesNotFit(_refusal(dims, tried[-1], device, as_stored=bool(weights_bytes)))
    if device.kind == "cpu" or precision in _NEVER_UNPACKED:
        return fitting
    size = fitting.slots, fitting.context_tokens
    longer = estimate(dims, precision, device, *size, weights_bytes, chunk_tokens=LONG_CHUNK_TOKENS)
    return longer if longer.fits else fitting


def estimate(
    dims: ModelDims,
    precision: str,
    device: Device,
    slots: int,
    context_tokens: int,
    weights_bytes: int = 0,
    *,
    chunk_tokens: int = 0,
) -> MemoryPlan:
    """The plan for exactly these numbers, whether it fits or not; 0 ``chunk_tokens`` are the usual ones."""
    if precision == INT4:
        device = device.one
    number_bytes = _number_bytes(precision, device)
    chunk_tokens = chunk_tokens or PREFILL_CHUNK_TOKENS[device.kind]
    return MemoryPlan(
        precision=precision,
        slots=slots,
        context_tokens=context_tokens,
        chunk_tokens=chunk_tokens,
        weights_bytes=weights_bytes or weights_of(dims, precision, device),
        cache_bytes=slots * context_tokens * dims.kv_bytes_per_token(number_bytes),
        working_bytes=working_memory(dims, precision, device, slots, context_tokens, chunk_tokens),
        reserve_bytes=RESERVE_BYTES[device.kind] * device.cards,
        free_bytes=device.free_bytes,
        cards=device.cards,
    )


def four_bits_on(device: Device) -> str:
    """The precision of 4 bits that serves there: int4 on one card of today or a CPU, else NF4."""
    return INT4 if device.kind == "cpu" or (device.cards == 1 and device.ampere) else "4bit"


def weights_of(dims: ModelDims, precision: str, device: Device) -> int:
    """Bytes of the weights. 8-bit and 4-bit shrink the linear layers alone; int4 also the head and the embedding."""
    number_bytes = _number_bytes(precision, device)
    if precision == INT4:
        table = dims.vocabulary * dims.hidden  # the embedding in 16 bits, the head in 8, though they may be the same
        rest = dims.other_parameters - table * (2 if dims.other_parameters >= 2 * table else 1)
        return int(dims.linear_parameters * _INT4_BYTES + 3 * table + rest * number_bytes)
    linear_bytes = {"4bit": _NF4_BYTES, "8bit": _INT8_BYTES}.get(precision, number_bytes)
    return int(dims.linear_parameters * linear_bytes + dims.other_parameters * number_bytes)


def working_memory(
    dims: ModelDims, precision: str, device: Device, slots: int, context_tokens: int, chunk_tokens: int
) -> int:
    """Peak bytes of one step, the larger of reading a prompt chunk and choosing the next tokens.

    Reading: residual, its normed copy in float32, and the MLP's gate, up and product for a chunk; beside it the largest
    weight, which 4-bit and 8-bit unpack for long inputs, gate and up joined in int4. Choosing: logits in the model's
    format, once more where captured steps leave them, and what the widest draw makes of them, for one token of each
    slot and one prompt's last. Attention without a flash kernel, as on a CPU and in float32, also masks a chunk's
    scores over the whole context: once in yes and no, once in numbers, and again for every query head of a KV head.
    """
    number_bytes = _number_bytes(precision, device)
    masked_tokens = 0 if device.kind == "cuda" and device.ampere and precision != "fp32" else context_tokens
    token_bytes = 2 * dims.hidden * number_bytes + 4 * dims.hidden + 3 * dims.intermediate * number_bytes
    mask_bytes = masked_tokens * (1 + number_bytes + dims.heads // dims.kv_heads * number_bytes)
    joined = 1 if precision in _NEVER_JOINED else 2
    unpacked_bytes = joined * dims.hidden * dims.intermediate * number_bytes
    reading = chunk_tokens * (token_bytes + mask_bytes) + unpacked_bytes
    choosing = (slots + 1) * dims.vocabulary * (2 * number_bytes + _DRAWN_BYTES)
    return max(reading, choosing)


def _number_bytes(precision: str, device: Device) -> int:
    """Bytes of a number that is not quantised: what keys, values and activations are held in."""
    return NUMBER_BYTES.get(precision, 2 if device.kind == "cuda" else 4)


def _sizes(dims: ModelDims, device: Device, users: int, context: int) -> list[tuple[int, int]]:
    limit = context or dims.context_tokens
    offered = [(users, tokens) for tokens in CONTEXTS] if users else CHOICES[device.kind]
    sizes = [(slots, context or min(tokens, limit)) for slots, tokens in offered]
    return list(dict.fromkeys(sizes))


def _refusal(dims: ModelDims, smallest: MemoryPlan, device: Device, *, as_stored: bool) -> str:
    """Weights that are kept ``as_stored`` are so in any precision."""
    sentence = (
        f"{smallest.slots} x {smallest.context_tokens:,} tokens in {smallest.precision} need "
        f"{smallest.need_bytes / 1e9:.1f} GB, and {device.name} has {device.free_bytes / 1e9:.1f} GB free "
        f"({device.total_bytes / 1e9:.1f} GB in all)."
    )
    longest = _longest(smallest, dims, device)
    advice = [f"--context {longest}"] if longest else []
    if fewer := _fewer(smallest, dims, device):
        advice.append(f"--users {fewer}")
    if not as_stored and (smaller := _fitting_four_bits(smallest, dims, device)):
        advice.append(f"--precision {smaller}")
    return f"{sentence} {'It would fit with ' + ' or '.join(advice) if advice else 'Choose a smaller model'}."


def _fitting_four_bits(refused: MemoryPlan, dims: ModelDims, device: Device) -> str:
    """The precision of 4 bits in which as many tokens would fit; NF4, the smaller, where int4 has no room either."""
    offered = [four_bits_on(device if dims.nf4 else device.one), *(["4bit"] if device.kind == "cuda" else [])]
    size = refused.slots, refused.context_tokens
    able = [precision for precision in offered if dims.nf4 or precision == INT4]
    return next((precision for precision in able if estimate(dims, precision, device, *size).fits), "")


def _fewer(refused: MemoryPlan, dims: ModelDims, device: Device) -> int:
    """The most users who would fit with all else as in ``refused``; 0 if not even one does."""
    given = refused.context_tokens, refused.weights_bytes
    fewer = range(refused.slots - 1, 0, -1)
    return next((users for users in fewer if estimate(dims, refused.precision, device, users, *given).fits), 0)


def _longest(refused: MemoryPlan, dims: ModelDims, device: Device) -> int:
    """The longest context, in steps of 1,024 tokens, that would fit with all else as in ``refused``; 0 if none does."""
    room_bytes = device.free_bytes - (refused.need_bytes - refused.cache_bytes)
    token_bytes = refused.slots * dims.kv_bytes_per_token(_number_bytes(refused.precision, device))
    return max(0, room_bytes // token_bytes // 1024 * 1024)
