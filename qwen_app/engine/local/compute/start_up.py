"""Start-up: a runner with the right attention, tried out, its graphs captured and checked, before a first request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.attention.choice import choose_attention
from qwen_app.engine.local.attention.flash import FlashAttention
from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.decoder import Decoder, step_model
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.engine.local.compute.recovery import Failure, answers, failure_of, free_memory
from qwen_app.engine.local.compute.step_check import check_architecture, check_graphs
from qwen_app.errors import AppError, DoesNotFit, ModelFilesError
from qwen_app.kernels.failure import short_reason
from qwen_app.switches import Switches

NO_LONGER_FREE = (
    "The device has no room for {slots} x {context:,} tokens, though it had when this was planned: another process may "
    "have taken it. Stop that one, or ask for less with --users or --context."
)

NOT_RUN_HERE = (
    "Models of the architecture {architecture} are not run here ({reason}). Choose another model, or let another "
    "server run it (--engine remote)."
)


@contextmanager
def planned_room(slots: int, context_tokens: int) -> Iterator[None]:
    """What finds no memory within raises DoesNotFit: there was some when so many tokens were planned."""
    try:
        yield
    except Exception as error:
        if failure_of(error) is not Failure.OUT_OF_MEMORY:
            raise
        raise DoesNotFit(NO_LONGER_FREE.format(slots=slots, context=context_tokens)) from error


@contextmanager
def run_here(model: PreTrainedModel) -> Iterator[None]:
    """What ``model`` fails at within raises ModelFilesError: its architecture is not what our engine takes it for."""
    try:
        yield
    except AppError:
        raise
    except Exception as error:
        if failure_of(error) is not Failure.OTHER:
            raise
        architecture = model.config.model_type
        raise ModelFilesError(NOT_RUN_HERE.format(architecture=architecture, reason=short_reason(error))) from error


def ready_step(
    model: PreTrainedModel, context_tokens: int, device: torch.device, switches: Switches
) -> Decoder | PreTrainedModel:
    """What computes a step, made before the KV cache is: joined weights leave holes where they lay apart."""
    step = step_model(model, context_tokens, switches)
    refuse_a_lost_card(device, step.problem if isinstance(step, Decoder) else "", "fused-kernels")
    free_memory()
    return step


def ready_runner(
    model: PreTrainedModel, step: PreTrainedModel | Decoder, cache: KVCache, device: torch.device, switches: Switches
) -> tuple[ModelRunner, str]:
    """The runner of ``step``, which computes ``model``; and what impairs it in a sentence, empty where nothing does."""
    attention, impairment = choose_attention(
        cache,
        model.config.num_attention_heads,
        flash=switches.flash_attention,
        own_decode=switches.decode_attention,
    )
    refuse_a_lost_card(device, impairment, "flash-attention")
    impairment = impairment or (step.problem if isinstance(step, Decoder) else "")
    graphs = None
    if switches.cuda_graphs and isinstance(attention, FlashAttention) and len(cache.devices) == 1:
        uncapturable = _uncapturable(model)
        impairment = impairment or uncapturable
        graphs = None if uncapturable else DecodeGraphs(step, attention, device)
    runner = ModelRunner(step, attention, device, graphs)
    if isinstance(step, Decoder):
        runner.forward_uncaptured([ScheduledChunk(QuerySpan(0, 0, 1), [0], wants_logits=True)])  # what fails, fails now
    else:
        with run_here(model):
            check_architecture(model, runner, cache)
    while runner.prepare():
        pass
    if graphs is not None:
        check_graphs(runner, graphs, cache)
        impairment = impairment or graphs.problem
    return runner, impairment


def refuse_a_lost_card(device: torch.device, problem: str, optimisation: str) -> None:
    """Raises DoesNotFit where trying ``optimisation`` out has cost the process its card: nothing can serve instead."""
    if problem and not answers(device):
        raise DoesNotFit(f"The card does not answer any more. {problem} Start with --without {optimisation}.")


def _uncapturable(model: PreTrainedModel) -> str:
    """Why no step of ``model`` can be captured; empty where nothing stands against it."""
    quantisation = getattr(model.config, "quantization_config", None)
    if getattr(quantisation, "load_in_8bit", False) and getattr(quantisation, "llm_int8_threshold", 0.0) > 0:
        return "8-bit layers ask the card about outliers in every step: no CUDA graphs, and slower than 4-bit or FP16."
    return ""
