"""Which step kernels serve: fused on a card, in C++ on a CPU, where they agree with torch's operators; else these."""

from __future__ import annotations

import importlib.util
import logging

import torch

from qwen_app.kernels.comparison import relative_error
from qwen_app.kernels.cpu.compile import NotCompiled
from qwen_app.kernels.cpu.step import CppKernels
from qwen_app.kernels.failure import short_reason
from qwen_app.kernels.step_kernels import Heads, PlainKernels, StepKernels

log = logging.getLogger(__name__)

# Of ||difference|| / ||reference||: a right kernel differs by where it rounds. FP16 keeps 11 bits, BF16 8.
TOLERANCE = {torch.float16: 3e-3, torch.bfloat16: 2e-2, torch.float32: 1e-5}
TOKENS, EPS = 5, 1e-6


def has_triton() -> bool:
    """Whether Triton is installed: it comes with PyTorch for CUDA on Linux."""
    return importlib.util.find_spec("triton") is not None


def choose_kernels(
    device: torch.device, dtype: torch.dtype, hidden_size: int, heads: Heads, *, fused: bool = True
) -> tuple[StepKernels, str]:
    """The kernels for a model's sizes, tried out; and what keeps the fused ones from serving on a card, empty if
    nothing does."""
    plain = PlainKernels()
    if fused and device.type == "cpu" and dtype == torch.float32:
        return _cpp(plain, hidden_size, heads), ""
    if not fused or device.type != "cuda":
        return plain, ""
    found, problem = _fused()
    if found is not None:
        problem = problem_of(found, plain, device, dtype, hidden_size, heads)
        if not problem:
            return found, ""
    problem = f"Fused kernels {problem}: torch's own serve, and answers are slower than they could be."
    log.error(problem)
    return plain, problem


def _cpp(plain: PlainKernels, hidden_size: int, heads: Heads) -> StepKernels:
    """Ours in C++ where they are right, else ``plain``."""
    try:
        found = CppKernels()
    except (NotCompiled, OSError) as missing:
        problem = short_reason(missing)
    else:
        problem = problem_of(found, plain, torch.device("cpu"), torch.float32, hidden_size, heads)
        if not problem:
            return found
    log.warning("Our kernels for a CPU do not serve, and answers are slower than they could be: %s", problem)
    return plain


def _fused() -> tuple[StepKernels | None, str]:
    """The fused kernels, not yet tried; and why there are none, to go on with their name."""
    if not has_triton():
        return None, "need Triton, which is not installed"
    try:
        from qwen_app.kernels.cuda.fused import FusedKernels
    except Exception as broken:  # an installation that is half there
        return None, f"need Triton, which does not load ({short_reason(broken)})"
    return FusedKernels(), ""


@torch.inference_mode()
def problem_of(
    fused: StepKernels, plain: StepKernels, device: torch.device, dtype: torch.dtype, hidden_size: int, heads: Heads
) -> str:
    """What is wrong with ``fused`` here, to go on with its name; empty where nothing is."""
    try:
        got, want = (_outputs(kernels, device, dtype, hidden_size, heads) for kernels in (fused, plain))
    except Exception as unusable:  # no compiler, a card or driver Triton does not know
        return f"do not work here ({short_reason(unusable)})"
    for name, reference in want.items():
        error = float(relative_error(got[name], reference))
        if not error <= TOLERANCE[dtype]:
            return f"are wrong here ({name}: relative error {error:.1e})"
    return ""


def _outputs(
    kernels: StepKernels, device: torch.device, dtype: torch.dtype, hidden_size: int, heads: Heads
) -> dict[str, torch.Tensor]:
    """All that ``kernels`` make of the same random tensors."""
    numbers = torch.Generator(device).manual_seed(0)

    def random(*size: int) -> torch.Tensor:
        return torch.randn(size, device=device, generator=numbers).to(dtype)

    hidden, added, weight = random(TOKENS, hidden_size), random(TOKENS, hidden_size), random(hidden_size)
    qkv = random(TOKENS, (heads.query + 2 * heads.kv) * heads.dim)
    rotation = random(TOKENS, 1, heads.dim), random(TOKENS, 1, heads.dim)
    cells = torch.arange(2 * TOKENS, 0, -2, device=device)
    keys, values = random(2 * TOKENS + 1, heads.kv, heads.dim), random(2 * TOKENS + 1, heads.kv, heads.dim)
    total, normed = kernels.add_rms_norm(hidden, added, weight, EPS)
    return {
        "norm": kernels.rms_norm(hidden, weight, EPS),
        "sum": total,
        "norm of a sum": normed,
        "queries": kernels.rotate_and_store(qkv, heads, rotation, cells, (keys, values)),
        "keys": keys,
        "values": values,
        "gate": kernels.gate(random(TOKENS, 2 * hidden_size)),
    }
