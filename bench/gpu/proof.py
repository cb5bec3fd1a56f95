"""What reading the code and a CPU cannot show, in one run: kernels, captures that fail, memory, and being right.

The order is by what would make the rest count for nothing: our kernels and torch's 4-bit ones on every card, then for
each precision the steps beside transformers' (``right``), and the engine whole (``engine``, without the benchmarks):
what is in use beside the plan, no memory beside captured steps, a device that hangs; at the end a capture that breaks
off and leaves the card as it was.
"""

from __future__ import annotations

import torch

from bench.gpu.engine import faults
from bench.gpu.options import Options
from bench.gpu.right import one_precision
from bench.gpu.rows import Rows
from qwen_app.engine.local.compute.cuda_graphs import CudaRecorder
from qwen_app.engine.local.compute.kernel_choice import choose_kernels
from qwen_app.engine.local.compute.recovery import Failure, answers, failure_of
from qwen_app.kernels.step_kernels import Heads
from qwen_app.linear.int4_linear import problem_on
from qwen_app.linear.int4_weight import GROUP_SIZES
from qwen_app.linear.own_kernels import multiplies_4_bits, multiplies_8_bits

HIDDEN, HEADS = 3584, Heads(query=28, kv=4, dim=128)


def proof(rows: Rows, options: Options) -> None:
    with rows.part("kernels"):
        _kernels(rows, options)
    for precision in options.precisions:
        for name, check in (("right", one_precision), ("faults", faults)):
            if rows.may_begin(f"{precision}: {name}"):
                with rows.part(f"{precision}: {name}"):
                    check(rows, precision, options)
    if options.on_card:  # last: torch may count the memory of a capture that breaks off as taken
        with rows.part("captures that fail"):
            _broken_capture(rows, options.device)


def _kernels(rows: Rows, options: Options) -> None:
    """On every card, the first one current: our kernels are launched where their tensors lie."""
    cards = [torch.device("cuda", index) for index in range(torch.cuda.device_count())] or [options.device]
    for card in cards:
        problem = problem_on(card)
        rows.check(f"4-bit products on {card}", not problem, said=problem)
        if options.on_card:
            for group in GROUP_SIZES:
                rows.check(f"our 4-bit products of groups of {group} on {card}", multiplies_4_bits(card, group))
            rows.check(f"8-bit products on {card}", multiplies_8_bits(card))
            _, problem = choose_kernels(card, torch.float16, HIDDEN, HEADS)
            rows.check(f"fused kernels on {card}", not problem, said=problem)


def _broken_capture(rows: Rows, card: torch.device) -> None:
    """A step that waits for the card cannot be captured: that is said, and the card and the next capture are well."""
    recorder, number = CudaRecorder(card), torch.ones(8, device=card)
    usual = torch.cuda.current_stream(card)
    said, failure = "", None
    try:
        recorder(lambda: number * number.sum().item())
    except Exception as refused:
        said, failure = str(refused).partition("\n")[0], failure_of(refused)
    rows.check("a wait within a capture is no lost card", failure is Failure.OTHER, said=said)
    rows.check("the usual stream is back", torch.cuda.current_stream(card) == usual)
    rows.check("the card answers", answers(card))
    graph, output = recorder(lambda: number * 2)
    number.fill_(3)
    graph.replay()
    rows.check("the next capture serves", bool((output == 6).all()))
