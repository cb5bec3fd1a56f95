"""Everything that must be equal: attention, steps, graphs, prefixes and offloading, beside transformers' forward."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from bench.gpu.models import engine_parts, random_model
from bench.gpu.options import Options
from bench.gpu.rows import Rows
from qwen_app.engine.local.attention.batch import Batch, QuerySpan
from qwen_app.engine.local.attention.choice import TOLERANCE as ATTENTION_TOLERANCE
from qwen_app.engine.local.attention.choice import cases
from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.engine.local.compute.parts import ComputeParts

SLOTS, CHUNK_TOKENS, ANSWER_TOKENS = 6, 512, 24
LENGTHS, LENGTHS_TINY = (1500, 700, 37), (60, 31, 5)
CONTEXT, CONTEXT_TINY = 6000, 200
# Of ||difference|| / ||reference|| of a row's logits, through all layers.
TOLERANCE = {torch.float32: 5e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}


@dataclass(frozen=True, slots=True)
class Text:
    """Token ids of a prompt and of an answer that is forced on whoever is asked; ``logits`` are transformers' own, for
    the token after the prompt and each of the answer."""

    prompt: list[int]
    answer: list[int]
    logits: torch.Tensor


def right(rows: Rows, options: Options) -> None:
    for precision in options.precisions:
        if not rows.may_begin(precision):
            return
        with rows.part(precision):
            one_precision(rows, precision, options)


def one_precision(rows: Rows, precision: str, options: Options) -> None:
    model = random_model(precision, options)
    texts = [_text(model, options.device, length, number) for number, length in enumerate(_lengths(options))]
    context = CONTEXT_TINY if options.tiny else CONTEXT
    parts = engine_parts(model, options, slots=SLOTS, context_tokens=context)
    assert isinstance(parts.runner, ModelRunner)
    rows.check(f"{precision}: flash attention and graphs serve", not parts.impairment, said=parts.impairment)
    rows.add(f"{precision}: captured rows", str(parts.runner.graphs.batch_sizes if parts.runner.graphs else []))
    _attention(rows, precision, parts, model.config.num_attention_heads)
    _steps(rows, precision, parts, texts)
    _prefixes(rows, precision, parts, texts[0])


def _lengths(options: Options) -> Sequence[int]:
    return LENGTHS_TINY if options.tiny else LENGTHS


@torch.inference_mode()
def _text(model: PreTrainedModel, device: torch.device, length: int, number: int) -> Text:
    numbers = torch.Generator().manual_seed(number)
    ids = torch.randint(0, 151_000, (length + ANSWER_TOKENS,), generator=numbers).tolist()
    output = model(torch.tensor([ids], device=device), use_cache=False, logits_to_keep=ANSWER_TOKENS + 1)
    return Text(ids[:length], ids[length:], output.logits[0].float())


@torch.inference_mode()
def _attention(rows: Rows, precision: str, parts: ComputeParts, query_heads: int) -> None:
    """Every kind of step against attention written out in float32."""
    assert isinstance(parts.runner, ModelRunner)
    attention, cache = parts.runner.attention, parts.kv_cache
    for tensor in (cache.keys[0], cache.values[0]):
        tensor.normal_()
    for name, spans in cases(cache).items():
        tokens = sum(span.length for span in spans)
        query = torch.randn(
            query_heads, tokens, cache.shape.head_dim, device=cache.keys[0].device, dtype=cache.shape.dtype
        )
        nowhere = torch.zeros(tokens, dtype=torch.int64, device=query.device)
        got = attention.attend(query, 0, Batch.planned(spans, nowhere, attention), cache.shape.head_dim**-0.5)
        error = far(got.float().flatten(1), written_out(query, cache, spans).flatten(1))
        rows.check(f"{precision}: attention of {name}", error < ATTENTION_TOLERANCE[cache.shape.dtype], error=error)
    for tensor in (cache.keys[0], cache.values[0]):
        tensor.zero_()


def written_out(query: torch.Tensor, cache: KVCache, spans: Sequence[QuerySpan]) -> torch.Tensor:
    """Softmax of scores times values, in float32: ``[tokens, heads, head_dim]``."""
    share, first, outputs = query.shape[0] // cache.shape.heads, 0, []
    for span in spans:
        keys, values = (
            held[0][span.slot, :, : span.end].float().repeat_interleave(share, 0)
            for held in (cache.slot_keys, cache.slot_values)
        )
        own = query[:, first : first + span.length].float()
        scores = torch.einsum("hqd,hkd->hqk", own, keys) * cache.shape.head_dim**-0.5
        positions = torch.arange(span.start, span.end, device=query.device)
        scores.masked_fill_(torch.arange(span.end, device=query.device) > positions[:, None], -torch.inf)
        outputs.append(torch.einsum("hqk,hkd->qhd", scores.softmax(-1), values))
        first += span.length
    return torch.cat(outputs)


def _steps(rows: Rows, precision: str, parts: ComputeParts, texts: Sequence[Text]) -> None:
    """Prompts in chunks, then their answers token by token in changing company, captured and not."""
    runner = parts.runner
    assert isinstance(runner, ModelRunner)
    got = [[_read(runner, slot, text.prompt)] for slot, text in enumerate(texts)]
    worst = 0.0
    dice = random.Random(1)
    while any(len(of_one) <= ANSWER_TOKENS for of_one in got):
        waiting = [slot for slot, of_one in enumerate(got) if len(of_one) <= ANSWER_TOKENS]
        company = sorted(dice.sample(waiting, dice.randint(1, len(waiting))))
        chunks = [_next(slot, texts[slot], len(got[slot]) - 1) for slot in company]
        captured = runner.forward(chunks).float().clone()
        worst = max(worst, far(captured, runner.forward_uncaptured(chunks).float()))
        for slot, row in zip(company, captured, strict=True):
            got[slot].append(row)
    tolerance = TOLERANCE[parts.kv_cache.shape.dtype]
    rows.check(f"{precision}: captured steps equal the same uncaptured", worst < tolerance, worst=worst)
    for text, of_one in zip(texts, got, strict=True):
        mine = torch.stack(of_one)
        error, agreement = far(mine, text.logits), (mine.argmax(-1) == text.logits.argmax(-1)).float().mean()
        rows.check(
            f"{precision}: {ANSWER_TOKENS + 1} steps after {len(text.prompt)} tokens equal transformers'",
            error < tolerance,
            error=error,
            same_best_token=float(agreement),
        )


def _prefixes(rows: Rows, precision: str, parts: ComputeParts, text: Text) -> None:
    """A copied beginning, and one that left its slot and came back, give what computing them gave."""
    runner, cache = parts.runner, parts.kv_cache
    assert isinstance(runner, ModelRunner)
    half, tolerance = len(text.prompt) // 2, TOLERANCE[cache.shape.dtype]
    cache.copy_prefix(0, 4, half)
    copied = far(_read(runner, 4, text.prompt, start=half)[None], text.logits[:1])
    rows.check(f"{precision}: a copied beginning", copied < tolerance, error=copied)
    memory = torch.empty(half * cache.shape.token_bytes, dtype=torch.uint8, pin_memory=cache.on_card)
    cache.read(0, half, memory)
    cache.write(5, half, memory)
    copying = cache.copying(5)
    last = runner.forward([_next(0, text, ANSWER_TOKENS - 1)]).float()
    beside = far(last, text.logits[-1:])
    rows.check(f"{precision}: a step while the host's memory is copied", beside < tolerance, error=beside, seen=copying)
    cache.wait_for_copies(0, 5)
    restored = far(_read(runner, 5, text.prompt, start=half)[None], text.logits[:1])
    rows.check(f"{precision}: one that came back from the host's memory", restored < tolerance, error=restored)


def _read(runner: ModelRunner, slot: int, prompt: Sequence[int], start: int = 0) -> torch.Tensor:
    """The logits after the prompt, read in chunks from ``start``."""
    logits = torch.empty(0)
    for first in range(start, len(prompt), CHUNK_TOKENS):
        ids = prompt[first : first + CHUNK_TOKENS]
        last = first + len(ids) == len(prompt)
        logits = runner.forward([ScheduledChunk(QuerySpan(slot, first, len(ids)), ids, last)])
    return logits[0].float().clone()


def _next(slot: int, text: Text, answered: int) -> ScheduledChunk:
    span = QuerySpan(slot, len(text.prompt) + answered, 1)
    return ScheduledChunk(span, [text.answer[answered]], wants_logits=True)


def far(got: torch.Tensor, want: torch.Tensor) -> float:
    """The largest ||difference|| / ||reference|| of a row; not a number where one is none."""
    return float(((got - want).norm(dim=-1) / want.norm(dim=-1)).amax())
