"""LocalEngine: the in-process engine as the service sees it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from qwen_app.chat.template import PromptEncoder
from qwen_app.engine.base import EngineInfo, Health
from qwen_app.engine.local.compute import attention
from qwen_app.engine.local.compute.cpu_linear import use_few_rows
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.flash_attention import VarlenAttention, choose_attention
from qwen_app.engine.local.compute.kv_cache import KVCache, KVShape
from qwen_app.engine.local.compute.kv_offload import Parking
from qwen_app.engine.local.compute.model_runner import Runner
from qwen_app.engine.local.compute.numerics import keep_precision
from qwen_app.engine.local.compute.sampler import Sampler
from qwen_app.engine.local.detokenize import ids_of_text
from qwen_app.engine.local.event_queue import EventStream, is_terminal
from qwen_app.engine.local.prefill_budget import ChunkSize
from qwen_app.engine.local.request_processor import Preparation
from qwen_app.engine.local.sequence import Sequence as RunningSequence
from qwen_app.engine.local.step_executor import Stepper
from qwen_app.engine.local.tool_events import ToolCallEvents
from qwen_app.engine.local.worker import Worker
from qwen_app.errors import AppError, EngineError, EngineUnavailable, RequestError
from qwen_app.messages import Event, Failed, GenerationRequest, Message, Queued, SamplingParams, Tool
from qwen_app.models.loader import LoadedModel
from qwen_app.structured.grammars.grammar import GrammarCompiler
from qwen_app.tools.parser import ToolCallParser

T = TypeVar("T")

log = logging.getLogger(__name__)

WATCHDOG_S = 30.0
PARKING_BYTES = 4 * 1024**3
LARGEST_CHUNK_TOKENS = {"cpu": 256, "cuda": 1024}


class LocalEngine:
    """Runs ``loaded`` on this machine. ``slots`` conversations of up to ``context_tokens`` each are held at once.

    ``on_fatal`` is called with a reason when only a new process can help.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        slots: int,
        context_tokens: int,
        queue_limit: int = 64,
        parking_bytes: int = PARKING_BYTES,
        watchdog_s: float = WATCHDOG_S,
        on_fatal: Callable[[str], None] = lambda reason: None,
        notice: str = "",
    ) -> None:
        self._loaded = loaded
        self._notice = notice
        self._context_tokens = context_tokens
        self._slots = slots
        self._watchdog_s = watchdog_s
        self._backend = loaded.tokenizer.backend_tokenizer
        self._encoder = PromptEncoder(loaded.tokenizer)
        eos_ids = _eos_ids(loaded)
        self._vocab_size = int(loaded.model.get_output_embeddings().out_features)
        self._preparation = Preparation(
            self._encoder,
            GrammarCompiler(loaded.tokenizer, vocab_size=self._vocab_size, eos_ids=sorted(eos_ids)),
            self._backend,
            eos_ids=eos_ids,
            context_tokens=context_tokens,
        )
        shape = KVShape.of(loaded.model.config, loaded.model.dtype)
        self._cache = KVCache(shape, slots=slots, length=context_tokens, devices=_layer_devices(loaded))
        self._worker = Worker(self._stepper(parking_bytes), slots=slots, queue_limit=queue_limit, on_fatal=on_fatal)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="prompt-encoder")
        self._draining = False
        self._worker.start()

    def _stepper(self, parking_bytes: int) -> Stepper:
        loaded = self._loaded
        keep_precision()
        backend = choose_attention(self._cache, loaded.model.config.num_attention_heads)
        attention.use(loaded.model, self._cache, backend)
        use_few_rows(loaded.model)
        graphs = None
        if isinstance(backend, VarlenAttention) and len({tensor.device for tensor in self._cache.keys}) == 1:
            graphs = DecodeGraphs(loaded.model, self._cache, loaded.device)
        return Stepper(
            runner=Runner(loaded.model, self._cache, backend, loaded.device, graphs),
            sampler=Sampler(
                text_vocab_size=min(self._backend.get_vocab_size(with_added_tokens=True), self._vocab_size),
                context_tokens=self._context_tokens,
                slots=self._slots,
                device=loaded.device,
            ),
            cache=self._cache,
            parking=Parking(self._cache, limit_bytes=parking_bytes),
            chunk=ChunkSize(largest=LARGEST_CHUNK_TOKENS.get(loaded.device.type, 256)),
            tokenizer=self._backend,
            vocab_size=self._vocab_size,
        )

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        if self._draining:  # the threads that prepare requests are gone by the end of a drain
            yield Failed(EngineUnavailable("The server is shutting down. Try again in a minute."))
            return
        try:
            sequence = await self._on_thread(self._admissible, request, EventStream())
            position = self._worker.submit(sequence)
        except AppError as refusal:
            yield Failed(refusal)
            return
        calls = ToolCallEvents(ToolCallParser(tool.name for tool in request.tools)) if _may_call(request) else None
        try:
            yield Queued(position)
            ended = False
            while not ended:
                event = await sequence.stream.get()
                ended = is_terminal(event)
                if ended:
                    self._encoder.remember(sequence.text, ids_of_text(self._backend, sequence.generated, sequence.text))
                for translated in calls.translate(event) if calls else (event,):
                    yield translated
        finally:
            self._worker.cancel(sequence.id)

    def _admissible(self, request: GenerationRequest, stream: EventStream) -> RunningSequence:
        try:
            return self._preparation.sequence(request, stream)
        except AppError:
            raise
        except Exception as broken:  # the request's boundary: no exception leaves the iterator
            log.exception("request %s could not be prepared", request.request_id)
            raise EngineError("The request could not be prepared. This is our fault; please report it.") from broken

    async def count_tokens(self, prompts: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[int]:
        return await self._on_thread(lambda: [len(self._encoder.encode(prompt, tools)) for prompt in prompts])

    async def tokenize(self, text: str) -> list[int]:
        return await self._on_thread(self._encoder.encode_text, text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        size = self._backend.get_vocab_size(with_added_tokens=True)
        for index, token_id in enumerate(token_ids):
            if not 0 <= token_id < size:
                raise RequestError(f"{token_id} is no token: ids go from 0 to {size - 1}.", param=f"tokens[{index}]")
        return str(self._backend.decode(list(token_ids), skip_special_tokens=False))

    async def _on_thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def info(self) -> EngineInfo:
        loaded = self._loaded
        return EngineInfo(
            model=loaded.name,
            revision=loaded.revision,
            precision=loaded.precision,
            device=_device_name(loaded.device),
            context_tokens=self._context_tokens,
            slots=self._slots,
            sampling=_sampling_defaults(loaded),
            weights_bytes=loaded.weights_bytes,
            cache_bytes=self._cache.size_bytes,
            notice=self._notice,
        )

    def health(self) -> Health:
        running, queued = self._worker.load()
        age_s = self._worker.heartbeat_age_s()
        if self._worker.stopped_reason:
            return Health("stopped", self._worker.stopped_reason, running, queued, age_s)
        if self._draining:
            return Health("draining", "The server is shutting down.", running, queued, age_s)
        if age_s > self._watchdog_s:
            return Health("stalled", f"The worker has not moved for {age_s:.0f} s.", running, queued, age_s)
        return Health("ready", "", running, queued, age_s)

    async def drain(self, timeout_s: float) -> None:
        self._draining = True
        deadline = time.monotonic() + timeout_s
        while sum(self._worker.load()) and time.monotonic() < deadline:  # noqa: ASYNC110 (the worker is a thread)
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self._worker.stop)
        self._threads.shutdown(wait=False)


def _may_call(request: GenerationRequest) -> bool:
    return bool(request.tools) and request.tool_choice.mode != "none"


def _eos_ids(loaded: LoadedModel) -> frozenset[int]:
    configured = loaded.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(int(token_id) for token_id in (*ids, loaded.tokenizer.eos_token_id) if token_id is not None)


def _layer_devices(loaded: LoadedModel) -> list[torch.device]:
    """The device of every layer, which may differ when a model is spread over cards."""
    decoder = loaded.model.get_decoder()
    return [next(layer.parameters()).device for layer in decoder.layers]


def _sampling_defaults(loaded: LoadedModel) -> SamplingParams:
    config = loaded.generation_config
    return SamplingParams(
        temperature=float(config.temperature or 1.0),
        top_p=float(config.top_p or 1.0),
        top_k=int(config.top_k or 0),
        repetition_penalty=float(config.repetition_penalty or 1.0),
    )


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
