"""A model's folder or GGUF file to a model in memory, in the precision asked for. Reads local files only."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

from qwen_app.models.adapted.half_range import within_half_range
from qwen_app.models.adapted.long_context import use_yarn
from qwen_app.models.container import keep_to_quota
from qwen_app.models.files.checkpoint import Checkpoint, open_checkpoint
from qwen_app.models.files.manifest import read_manifest
from qwen_app.models.loading.loaded_model import LoadedModel, weights_bytes
from qwen_app.models.loading.reader import read_model, refuse_offloaded
from qwen_app.models.loading.source import source_of
from qwen_app.models.transformers_logging import quiet_transformers

log = logging.getLogger(__name__)


def load(path: Path, *, precision: str, name: str = "", context_tokens: int = 0) -> LoadedModel:
    """Check and load the model in ``path`` (a folder, or a .gguf file); see ``load_checkpoint``."""
    return load_checkpoint(open_checkpoint(path), precision=precision, name=name, context_tokens=context_tokens)


def load_checkpoint(
    checkpoint: Checkpoint, *, precision: str, name: str = "", context_tokens: int, cards: int = 1
) -> LoadedModel:
    """Load ``checkpoint`` as fp16, bf16, fp32, int4, 8bit or 4bit, under its own name unless ``name`` gives another.

    ``context_tokens`` beyond the model's own are read by YaRN.

    A checkpoint that comes quantised keeps its own precision; so does a GGUF file in int4. The layers lie on the first
    CUDA card, or spread over all where ``cards`` is more than one. Raises ModelFilesError for files that are missing,
    damaged, refused, or need a package that is not installed, and DoesNotFit when the device has no room.
    """
    keep_to_quota()
    started_s = time.monotonic()
    path, source = checkpoint.path, replace(source_of(checkpoint, precision), cards=cards)
    quiet_transformers()
    model, tokenizer = read_model(source)
    if use_yarn(model, context_tokens):
        log.info("Positions are turned by YaRN, for contexts up to %s tokens.", f"{context_tokens:,}")
    refuse_offloaded(model, source)
    runs_in = within_half_range(model, tokenizer, source.precision)
    manifest = None if checkpoint.is_gguf else read_manifest(path)
    loaded = LoadedModel(
        model=model,
        tokenizer=tokenizer,
        name=name or (manifest.name if manifest else path.stem if checkpoint.is_gguf else path.name),
        revision=manifest.revision if manifest else "",
        precision=runs_in,
        device=model.device,
        weights_bytes=weights_bytes(model),
        generation_config=model.generation_config,
    )
    log.info(
        "Loaded %s in %s on %s, %.1f s.", loaded.name, loaded.precision, model.device, time.monotonic() - started_s
    )
    return loaded
