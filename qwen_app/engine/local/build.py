"""From a loaded model to a running LocalEngine: every part is made here and handed to those who use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from qwen_app.chat.template import PromptEncoder
from qwen_app.engine.local.compute.parts import ComputeParts, build_compute_parts
from qwen_app.engine.local.engine import LocalEngine
from qwen_app.engine.local.engine_info import info_of
from qwen_app.engine.local.generation_defaults import end_ids
from qwen_app.engine.local.grammar_admission import GrammarAdmission, sandboxed_admission
from qwen_app.engine.local.request_processor import RequestProcessor
from qwen_app.engine.local.scheduler import Scheduler
from qwen_app.engine.local.steps.spelling import Spelling
from qwen_app.engine.local.steps.step_executor import StepExecutor
from qwen_app.engine.local.worker import Worker
from qwen_app.models.loading.loaded_model import LoadedModel

WATCHDOG_S = 30.0  # a step takes well under a second where the model fits the machine
GRACE_SHARE = 1 / 6  # of the watchdog's limit: how late a worker may notice a deadline


def build_local_engine(
    loaded: LoadedModel,
    *,
    slots: int,
    context_tokens: int,
    chunk_tokens: int = 0,
    queue_limit: int = 64,
    offload_bytes: int | None = None,
    watchdog_s: float = WATCHDOG_S,
    on_fatal: Callable[[str], None] = lambda reason: None,
    notice: str = "",
    without: Iterable[str] = (),
    parts: ComputeParts | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LocalEngine:
    """An engine, running, that holds ``slots`` conversations of up to ``context_tokens`` each at once, and reads
    ``chunk_tokens`` of prompts in a step at most (0: what is usual on the device).

    ``queue_limit`` requests may wait; ``offload_bytes`` of host memory hold conversations without a slot, by default a
    share of what is free. ``on_fatal`` is called with a reason when only a new process can help: the device is lost, or
    no step ended for twice ``watchdog_s``, seconds after which requests fail. ``parts`` of one's own (see
    ``local_compute_parts``) are for the same model, slots and context, and have ``offload_bytes`` and ``without``.

    ``without`` names optimisations to do without (see Switches).
    """
    spelling = Spelling(loaded.tokenizer.backend_tokenizer)
    encoder = PromptEncoder(loaded.tokenizer, context_tokens=context_tokens)
    parts = parts or local_compute_parts(
        loaded,
        slots=slots,
        context_tokens=context_tokens,
        chunk_tokens=chunk_tokens,
        offload_bytes=offload_bytes,
        without=without,
    )
    executor = StepExecutor(parts, spelling, vocab_size=_vocab_size(loaded))
    scheduler = Scheduler(slots=slots, queue_limit=queue_limit)
    eos_ids = end_ids(loaded, _vocab_size(loaded))
    grammars = sandboxed_admission(loaded.tokenizer, vocab_size=_vocab_size(loaded), eos_ids=eos_ids)
    return LocalEngine(
        Worker(executor, scheduler, on_fatal=on_fatal, watchdog_s=watchdog_s, clock=clock),
        _processor(parts, encoder, grammars, spelling, eos_ids),
        encoder,
        spelling,
        info_of(loaded, parts, notice),
        grammars=grammars,
        grace_s=watchdog_s * GRACE_SHARE,
        impairment=parts.impairment,
    )


def local_compute_parts(
    loaded: LoadedModel,
    *,
    slots: int,
    context_tokens: int,
    chunk_tokens: int = 0,
    offload_bytes: int | None = None,
    without: Iterable[str] = (),
) -> ComputeParts:
    """The parts ``build_local_engine`` would make by itself, to exchange some of them and hand them in.

    Raises ModelFilesError for a model whose answers would be wrong here, DoesNotFit where there is no memory for it.
    """
    return build_compute_parts(
        loaded.model,
        loaded.device,
        slots=slots,
        context_tokens=context_tokens,
        chunk_tokens=chunk_tokens,
        text_vocab_size=_text_vocab_size(loaded),
        offload_bytes=offload_bytes,
        without=without,
    )


def _processor(
    parts: ComputeParts,
    encoder: PromptEncoder,
    grammars: GrammarAdmission,
    spelling: Spelling,
    eos_ids: frozenset[int],
) -> RequestProcessor:
    return RequestProcessor(
        encoder,
        grammars.compiler,
        spelling,
        vocab_size=parts.sampler.text_vocab_size,
        eos_ids=eos_ids,
        context_tokens=parts.kv_cache.length,
        forces_tokens=parts.switches.forced_tokens,
    )


def _vocab_size(loaded: LoadedModel) -> int:
    """How wide the logits are, and how many tokens the model can read; the text vocabulary may be smaller or larger."""
    return int(loaded.model.get_output_embeddings().out_features)


def _text_vocab_size(loaded: LoadedModel) -> int:
    """The tokens that have a text and that the model knows: a tokenizer may have been given more than it was."""
    ids = loaded.tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True).values()
    return min(int(max(ids)) + 1, _vocab_size(loaded))
