"""What a request may say of its tokens and its end: biases, least lengths, stop tokens, log-probabilities of all."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from qwen_app.engine.local.steps.chunks import SCORED_TOKENS
from qwen_app.errors import RequestError
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    JsonObject,
    Message,
    SamplingParams,
    TemplateOptions,
    TokenLogprob,
    Tool,
    ToolCallDelta,
    ToolChoice,
)
from tests.engine.contract import ask, check_shape, collect, text_of
from tests.engine.local.tiny import OpenEngine, ids_of, load_talkative, prefills
from tests.examples import examples

PATH = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TEXT_VOCABULARY = 259  # of the tiny model: a byte each, and three control tokens
TOOLS = (Tool("write", "", PATH),)


@pytest.fixture(scope="module")
def opened(tiny_qwen_dir: Path) -> Iterator[OpenEngine]:
    opened = OpenEngine(load_talkative(tiny_qwen_dir), slots=3)
    yield opened
    asyncio.run(opened.engine.drain(0.0))


@pytest.fixture(scope="module")
def eos(opened: OpenEngine) -> int:
    (token_id,) = asyncio.run(opened.engine.tokenize("<|im_end|>"))
    return token_id


def sampled(**params: object) -> SamplingParams:
    return replace(SamplingParams(temperature=0.0, max_tokens=12, seed=7), **params)  # type: ignore[arg-type]


def logprobs_of(events: list[Event]) -> list[TokenLogprob]:
    return [token for event in events if isinstance(event, Delta) for token in event.logprobs]


def end_of(events: list[Event]) -> Finished:
    end = check_shape(events)
    assert isinstance(end, Finished), end
    return end


@pytest.mark.anyio
async def test_a_banned_token_does_not_come_and_a_forced_one_does(opened: OpenEngine) -> None:
    free = ids_of(await collect(opened.engine, ask(sampling=sampled())))
    banned = ids_of(await collect(opened.engine, ask(sampling=sampled(logit_bias=((free[0], -100.0),)))))
    assert free[0] not in banned
    (letter,) = await opened.engine.tokenize("q")
    forced = await collect(opened.engine, ask(sampling=sampled(logit_bias=((letter, 100.0),))))
    assert text_of(forced) == "q" * 12


@pytest.mark.anyio
async def test_an_end_that_is_wanted_comes_when_it_may(opened: OpenEngine, eos: int) -> None:
    """The bias makes the model want its end at every token."""
    wanted = ((eos, 100.0),)
    assert end_of(await collect(opened.engine, ask(sampling=sampled(logit_bias=wanted)))).usage.completion_tokens == 0
    late = await collect(opened.engine, ask(sampling=sampled(logit_bias=wanted, min_tokens=5)))
    assert (end_of(late).reason, end_of(late).usage.completion_tokens) == ("stop", 5)
    never = await collect(opened.engine, ask(sampling=sampled(logit_bias=wanted, ignore_eos=True)))
    assert (end_of(never).reason, end_of(never).usage.completion_tokens) == ("length", 12)


@pytest.mark.anyio
async def test_stop_tokens_and_strings_wait_for_the_least_length(opened: OpenEngine) -> None:
    ids = ids_of(free := await collect(opened.engine, ask(sampling=sampled())))
    text = text_of(free)
    at = next(index for index in range(3, 12) if ids[index] not in ids[:index])
    stopped = await collect(opened.engine, ask(sampling=sampled(stop_token_ids=(ids[at],))))
    assert (end_of(stopped).reason, ids_of(stopped)) == ("stop", ids[:at])
    later = await collect(opened.engine, ask(sampling=sampled(stop=(text[at],), min_tokens=at + 2)))
    assert text_of(later).startswith(text[: at + 2])


@pytest.mark.anyio
@pytest.mark.parametrize(("field", "value"), [("stop_token_ids", (10**6,)), ("logit_bias", ((10**6, 1.0),))])
async def test_ids_that_no_vocabulary_has_are_refused(opened: OpenEngine, field: str, value: object) -> None:
    (failed,) = await collect(opened.engine, ask(sampling=sampled(**{field: value})))
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, RequestError)
    assert failed.error.param == field


@pytest.mark.anyio
async def test_logprobs_end_where_the_text_ends(opened: OpenEngine) -> None:
    free = text_of(await collect(opened.engine, ask(sampling=sampled(max_tokens=30))))
    for stop in (free[4:6], free[9:12], free[20:21]):
        events = await collect(opened.engine, ask(sampling=sampled(max_tokens=30, stop=(stop,), logprobs=True)))
        assert "".join(token.text for token in logprobs_of(events)) == text_of(events) == free[: free.index(stop)]
    whole = await collect(opened.engine, ask(sampling=sampled(max_tokens=30, logprobs=True)))
    assert "".join(token.text for token in logprobs_of(whole)) == text_of(whole)


@pytest.mark.anyio
async def test_logprobs_of_tokens_that_have_no_text_come_too(opened: OpenEngine, tiny_qwen_dir: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_qwen_dir / "tokenizer.json"))
    half, stop = tokenizer.token_to_id("\u00e6"), tokenizer.token_to_id("Z")  # a byte that begins a character
    wanted = iter([tokenizer.token_to_id("A"), half])

    def say(logits: torch.Tensor, chunks: object) -> torch.Tensor:
        logits = torch.zeros_like(logits)
        logits[:, next(wanted, stop)] = 50.0
        return logits

    opened.runner.change = say
    events = await collect(opened.engine, ask(sampling=sampled(max_tokens=9, stop_token_ids=(stop,), logprobs=True)))
    opened.heal()
    assert [token.token_id for token in logprobs_of(events)] == ids_of(events)
    assert half in ids_of(events)


@pytest.fixture(scope="module")
def reference(tiny_qwen_dir: Path) -> torch.nn.Module:
    """The same model, asked through transformers."""
    model = load_talkative(tiny_qwen_dir).model
    model.set_attn_implementation("eager")
    return model


def expected_logprobs(reference: torch.nn.Module, ids: list[int]) -> list[float]:
    with torch.inference_mode():
        logits = reference(torch.tensor([ids])).logits[0, :, :TEXT_VOCABULARY].float()
    found = torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(ids[1:])[:, None]).squeeze(1)
    return [float(one) for one in found]


@pytest.mark.anyio
@pytest.mark.parametrize("length", [1, 2, 40, 128, 129, 300])
async def test_the_prompts_logprobs_are_those_of_the_model(
    opened: OpenEngine, reference: torch.nn.Module, length: int
) -> None:
    ids = [33 + (index * index) % 90 for index in range(length)]
    request = GenerationRequest(
        "p", prompt=tuple(ids), sampling=sampled(max_tokens=1, prompt_logprobs=True, top_logprobs=2), user="a"
    )
    for _ in range(2):  # a prompt that is known by now is read again: what was kept of it says nothing of this
        events = await collect(opened.engine, request)
        found = [token for event in prefills(events) for token in event.logprobs]
        assert [token.token_id for token in found] == ids
        assert math.isnan(found[0].logprob)
        assert [token.logprob for token in found[1:]] == pytest.approx(expected_logprobs(reference, ids), abs=1e-3)
        assert all(len(token.top) == 2 and token.top[0].logprob >= token.logprob - 1e-5 for token in found[1:])
        assert end_of(events).usage.prompt_tokens == length


@pytest.mark.anyio
async def test_prompts_that_are_scored_and_others_run_side_by_side(
    opened: OpenEngine, reference: torch.nn.Module
) -> None:
    ids = [33 + (index * 7) % 90 for index in range(200)]
    scored = GenerationRequest("s", prompt=tuple(ids), sampling=sampled(prompt_logprobs=True), user="a")
    alone = await collect(opened.engine, plain := ask(sampling=sampled(max_tokens=40)))
    both = await asyncio.gather(collect(opened.engine, replace(plain, request_id="x")), collect(opened.engine, scored))
    assert text_of(both[0]) == text_of(alone)
    found = [token for event in prefills(both[1]) for token in event.logprobs]
    assert [token.logprob for token in found[1:]] == pytest.approx(expected_logprobs(reference, ids), abs=1e-3)


@pytest.mark.anyio
async def test_prompts_that_are_scored_together_share_the_rows_of_a_step(
    opened: OpenEngine, reference: torch.nn.Module
) -> None:
    prompts = [[33 + (index * factor) % 90 for index in range(200)] for factor in (3, 7)]
    scored = [
        GenerationRequest(f"s{n}", prompt=tuple(ids), sampling=sampled(prompt_logprobs=True), user=f"u{n}")
        for n, ids in enumerate(prompts)
    ]
    rows: list[int] = []
    opened.runner.before = lambda chunks: rows.append(sum(chunk.span.length for chunk in chunks if chunk.scores))
    answers = await asyncio.gather(*(collect(opened.engine, request) for request in scored))
    assert 0 < max(rows) <= SCORED_TOKENS
    for ids, events in zip(prompts, answers, strict=True):
        found = [token for event in prefills(events) for token in event.logprobs]
        assert [token.logprob for token in found[1:]] == pytest.approx(expected_logprobs(reference, ids), abs=1e-3)


@pytest.mark.anyio
async def test_a_raw_prompt_is_the_callers_own(opened: OpenEngine) -> None:
    text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    ids = await opened.engine.tokenize(text)
    assert len(ids) < len(await opened.engine.tokenize(text, parse_special=False))
    by_text = await collect(opened.engine, ask(messages=(), prompt=text))
    by_ids = await collect(opened.engine, ask(messages=(), prompt=tuple(ids)))
    assert end_of(by_text).usage.prompt_tokens == end_of(by_ids).usage.prompt_tokens == len(ids)
    assert text_of(by_text) == text_of(by_ids)
    (refused,) = await collect(opened.engine, ask(messages=(), prompt=(10**6,)))
    assert isinstance(refused, Failed)


@pytest.mark.anyio
async def test_a_forced_call_that_the_limit_cuts_does_not_look_whole(opened: OpenEngine) -> None:
    for limit in range(1, 60, 7):
        request = ask(tools=TOOLS, tool_choice=ToolChoice("required"), sampling=sampled(max_tokens=limit))
        events = await collect(opened.engine, request)
        assert end_of(events).reason == "length"
        assert not end_of(events).closed
        assert text_of(events) == ""
        arguments = "".join(event.arguments for event in events if isinstance(event, ToolCallDelta))
        assert not arguments.endswith("}")


def whole_calls(events: list[Event]) -> list[str]:
    """The arguments of each call. Raises ValueError for what is no JSON."""
    calls: dict[int, str] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            calls[event.index] = calls.get(event.index, "") + event.arguments
    return [arguments for arguments in calls.values() if set(json.loads(arguments)) == {"path"}]


@pytest.mark.anyio
@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", "write")], ids=["required", "named"])
async def test_a_cut_call_is_whole_for_those_who_ask(opened: OpenEngine, choice: ToolChoice) -> None:
    """Wherever the limit comes; and what does not fit any more, a second call too, is not begun."""
    (line_break,) = await opened.engine.tokenize("\n")
    least = len('<tool_call>\n{"name": "write", "arguments": {"path": ""}}\n</tool_call>')
    found = []
    for limit in range(least, least + 80, 80 // examples(16)):
        sampling = sampled(max_tokens=limit, logit_bias=((line_break, 100.0),))
        events = await collect(
            opened.engine, ask(tools=TOOLS, tool_choice=choice, close_cut_calls=True, sampling=sampling)
        )
        found.append(len(whole_calls(events)))
        assert end_of(events).reason == "length" if end_of(events).closed else "tool_calls"
        assert text_of(events) == ""
        assert end_of(events).usage.completion_tokens <= limit
    assert found[0] == 1
    (refused,) = await collect(
        opened.engine,
        ask(tools=TOOLS, tool_choice=choice, close_cut_calls=True, sampling=sampled(max_tokens=least - 20)),
    )
    assert isinstance(refused, Failed)
    assert "smallest answer" in refused.error.message


@pytest.mark.anyio
async def test_prose_beside_tools_is_cut_and_not_closed(opened: OpenEngine) -> None:
    """Asking for whole calls changes nothing where none is made, and begins none that has no room."""
    plain = ask(tools=TOOLS, sampling=sampled(max_tokens=40))
    cut, asked = [await collect(opened.engine, one) for one in (plain, replace(plain, close_cut_calls=True))]
    assert text_of(cut) == text_of(asked)
    assert (end_of(asked).reason, end_of(asked).closed) == ("length", False)


@pytest.mark.anyio
@pytest.mark.parametrize("stop", ["\n", "}", '"', "a", "<tool_call>"])
async def test_stops_are_of_prose_and_neither_of_calls_nor_of_documents(opened: OpenEngine, stop: str) -> None:
    forced = ask(tools=TOOLS, tool_choice=ToolChoice("required"), sampling=sampled(max_tokens=60))
    document = ask(grammar=JsonObject(), sampling=sampled(max_tokens=30))
    for request in (forced, document):
        free = await collect(opened.engine, request)
        stopped = await collect(opened.engine, replace(request, sampling=replace(request.sampling, stop=(stop,))))
        assert [event for event in stopped if isinstance(event, ToolCallDelta) and event.arguments] == [
            event for event in free if isinstance(event, ToolCallDelta) and event.arguments
        ]
        assert text_of(stopped) == text_of(free)
        assert end_of(stopped).reason == end_of(free).reason


@pytest.mark.anyio
async def test_a_last_message_is_gone_on_with(opened: OpenEngine) -> None:
    messages = (Message("user", "Count."), Message("assistant", "One, two,  "))
    continued = ask(messages=messages, template=TemplateOptions(continue_final=True))
    text = "<|im_start|>user\nCount.<|im_end|>\n<|im_start|>assistant\nOne, two,  "
    raw = await collect(opened.engine, ask(messages=(), prompt=text))
    events = await collect(opened.engine, continued)
    assert text_of(events) == text_of(raw)
    bare = await collect(opened.engine, ask(messages=messages, template=TemplateOptions(open_answer=False)))
    assert end_of(bare).usage.prompt_tokens == end_of(events).usage.prompt_tokens + 2
