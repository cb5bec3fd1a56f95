"""The engines that are compared: ours, and what a Gradio demo would otherwise be built on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from transformers import (
    ContinuousBatchingConfig,
    DynamicCache,
    GenerationConfig,
    PreTrainedTokenizerBase,
    TextIteratorStreamer,
)

from qwen_app.chat.template import PromptEncoder
from qwen_app.engine.local.build import build_local_engine
from qwen_app.engine.local.engine import LocalEngine
from qwen_app.messages import (
    Delta,
    Failed,
    Finished,
    GenerationRequest,
    GrammarSpec,
    Message,
    SamplingParams,
    TokenLogprob,
)
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.models.loading.loader import load

T = TypeVar("T")
LOOP_PROMPT_TOKENS = 64  # of each row of the bare forward loop
ALTERNATIVES = 5  # that are told beside each token of a greedy answer
STORY = "Tell me a very long story, with many people and places, about the number {}."


@dataclass(frozen=True, slots=True)
class Answer:
    """When a request was submitted and when each of its tokens came, in seconds of ``time.perf_counter``."""

    submitted: float
    tokens: tuple[float, ...]

    @property
    def first_token_s(self) -> float:
        return self.tokens[0] - self.submitted

    @property
    def gaps_s(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.tokens, self.tokens[1:], strict=False)]


def total_speed(answers: Sequence[Answer]) -> float:
    """Tokens a second of all answers together, from when all of them were running to when the first had ended."""
    start = max(answer.tokens[0] for answer in answers)
    end = min(answer.tokens[-1] for answer in answers)
    inside = sum(sum(start < token <= end for token in answer.tokens) for answer in answers)
    return inside / (end - start) if end > start else 0.0


def on_own_thread(function: Callable[[], T]) -> T:
    """Run it on a thread that ends afterwards, and with it that thread's OpenMP pool.

    Two pools in one process, one of them asleep, make every wait of the other go through the kernel: a quarter of the
    decode speed on two cores. So no thread but the measured one may have run torch.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


class Contender(Protocol):
    name: str

    def run(self, prompts: Sequence[str], tokens: int) -> list[Answer]:
        """Ask all prompts at once for exactly ``tokens`` greedy tokens each."""
        ...

    def close(self) -> None: ...


class Ours:
    """LocalEngine, used as the page uses it."""

    name = "this engine"

    def __init__(
        self, loaded: LoadedModel, *, slots: int = 8, context_tokens: int = 2048, without: Sequence[str] = ()
    ) -> None:
        self.serve(lambda: build_local_engine(loaded, slots=slots, context_tokens=context_tokens, without=without))

    def serve(self, build: Callable[[], LocalEngine]) -> None:
        self.engine_loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.engine_loop.run_forever, daemon=True)
        self._thread.start()
        self.engine = on_own_thread(build)

    def run(
        self, prompts: Sequence[str], tokens: int, *, grammar: GrammarSpec | None = None, user: str = "bench"
    ) -> list[Answer]:
        async def all_answers() -> list[Answer]:
            return await asyncio.gather(*(self.ask(prompt, tokens, grammar=grammar, user=user) for prompt in prompts))

        return self.on_loop(all_answers())

    def on_loop(self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.engine_loop).result()

    async def ask(
        self,
        prompt: str,
        tokens: int,
        *,
        grammar: GrammarSpec | None = None,
        user: str = "bench",
        until: asyncio.Event | None = None,
    ) -> Answer:
        """One answer of at most ``tokens`` tokens, broken off when ``until`` is set."""
        sampling = SamplingParams(temperature=0, max_tokens=tokens)
        if grammar is None:
            sampling = replace(sampling, min_tokens=tokens, ignore_eos=True)
        request = GenerationRequest("bench", (Message("user", prompt),), sampling=sampling, grammar=grammar, user=user)
        submitted = time.perf_counter()
        times: list[float] = []
        async with aclosing(self.engine.generate(request)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    times += [time.perf_counter()] * len(event.token_ids)  # several, where they were forced or guessed
                elif isinstance(event, Failed):
                    raise RuntimeError(str(event.error))
                elif isinstance(event, Finished) and not times:
                    raise RuntimeError("the model answered nothing")
                if until and until.is_set():
                    break
        return Answer(submitted, tuple(times))

    async def greedy(self, prompts: Sequence[str], tokens: int) -> list[list[TokenLogprob]]:
        """The tokens of all answers, asked for at once, each beside the best alternatives."""

        async def of_one(number: int, prompt: str) -> list[TokenLogprob]:
            sampling = SamplingParams(temperature=0, max_tokens=tokens, logprobs=True, top_logprobs=ALTERNATIVES)
            request = GenerationRequest("bench", (Message("user", prompt),), sampling=sampling, user=f"u{number}")
            async with aclosing(self.engine.generate(request)) as events:
                return [token async for event in events if isinstance(event, Delta) for token in event.logprobs]

        return await asyncio.gather(*(of_one(number, prompt) for number, prompt in enumerate(prompts)))

    def close(self) -> None:
        self.on_loop(self.engine.drain(0))
        self.engine_loop.call_soon_threadsafe(self.engine_loop.stop)
        self._thread.join()
        self.engine_loop.close()


class GenerateThreads:
    """``model.generate`` with a TextIteratorStreamer in a thread for every user, as Gradio demos do."""

    name = "generate in threads"

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        loaded.model.set_attn_implementation("sdpa")

    def run(self, prompts: Sequence[str], tokens: int) -> list[Answer]:
        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(lambda prompt: self._ask(prompt, tokens), prompts))

    def _ask(self, prompt: str, tokens: int) -> Answer:
        tokenizer = self._loaded.tokenizer
        ids = torch.tensor([prompt_ids(self._loaded, prompt)])
        streamer = TokenTimes(tokenizer)
        submitted = time.perf_counter()
        model: Any = self._loaded.model
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            streamer=streamer,
            do_sample=False,
            temperature=None,
            top_p=None,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
        )
        return Answer(submitted, tuple(streamer.times))

    def close(self) -> None:
        """Nothing is held."""


class TokenTimes(TextIteratorStreamer):
    """The streamer demos use, noting when each token came."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(tokenizer, skip_prompt=True)
        self.times: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        if not self.next_tokens_are_prompt:
            self.times.append(time.perf_counter())
        super().put(value)  # type: ignore[no-untyped-call]


class ContinuousBatching:
    """transformers' ContinuousBatchingManager at its best settings for a CPU."""

    name = "continuous batching"

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        loaded.model.set_attn_implementation("sdpa")
        config = ContinuousBatchingConfig(
            page_size=64, num_blocks=128, max_batch_tokens=512, auto_switch_to_flash=False, use_cuda_graph=False
        )
        generation = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
        model: Any = loaded.model
        self._manager = model.init_continuous_batching(generation_config=generation, continuous_batching_config=config)
        self._manager.start()

    def run(self, prompts: Sequence[str], tokens: int) -> list[Answer]:
        submitted: dict[str, float] = {}
        times: dict[str, list[float]] = {}
        for prompt in prompts:
            ids = prompt_ids(self._loaded, prompt)
            started = time.perf_counter()
            request_id = self._manager.add_request(ids, max_new_tokens=tokens, streaming=True, eos_token_id=-1)
            submitted[request_id], times[request_id] = started, []
        unfinished = set(submitted)
        while unfinished:
            output = self._manager.get_result(timeout=30)
            if output is None:
                raise RuntimeError("continuous batching gave no result for 30 s")
            new = len(output.generated_tokens) - len(times[output.request_id])
            times[output.request_id] += [time.perf_counter()] * new
            if output.is_finished():
                unfinished.discard(output.request_id)
        return [Answer(submitted[request_id], tuple(times[request_id])) for request_id in submitted]

    def close(self) -> None:
        self._manager.stop(block=True, timeout=10)


def chronicle(loaded: LoadedModel, tokens: int, number: int) -> str:
    """A text of about so many tokens, unlike those of other numbers from its first word on, and a question."""
    facts = (f"In the year {year}, the people of town {year * 7 % 100} built a bridge. " for year in range(1500, 2500))
    ids = loaded.tokenizer.encode(f"Chronicle {number}. " + "".join(facts), add_special_tokens=False)
    return f"{loaded.tokenizer.decode(ids[:tokens])}\n\nTell me how people build a bridge."


def prompt_ids(loaded: LoadedModel, prompt: str) -> list[int]:
    return PromptEncoder(loaded.tokenizer).encode([Message("user", prompt)])


def forward_loop_speed(loaded: LoadedModel, *, tokens: int) -> float:
    """Tokens a second of the barest loop there is: forward, argmax, forward, on a DynamicCache."""
    return on_own_thread(lambda: _forward_loop_speed(loaded, tokens=tokens))


def _forward_loop_speed(loaded: LoadedModel, *, tokens: int) -> float:
    model = loaded.model
    model.set_attn_implementation("sdpa")
    cache = DynamicCache(config=model.config)
    ids = torch.randint(100, 40_000, (1, LOOP_PROMPT_TOKENS))
    with torch.inference_mode():
        output = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        started = time.perf_counter()
        for _ in range(tokens):
            output = model(output.logits[:, -1:].argmax(-1), past_key_values=cache, use_cache=True)
    return tokens / (time.perf_counter() - started)


def load_builtin(folder: Path, threads: int) -> LoadedModel:
    torch.set_num_threads(threads)
    return on_own_thread(lambda: load(folder, precision="fp32"))
