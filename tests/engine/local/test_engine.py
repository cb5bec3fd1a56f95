"""The local engine as the service sees it: what is reused between turns and users, and what it says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from qwen_app.errors import RequestError
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    Message,
    SamplingParams,
    StringChoice,
    TemplateOptions,
)
from tests.engine.contract import ask, check_shape, collect, text_of, until_idle, until_text
from tests.engine.local.tiny import OpenEngine, ids_of, load_talkative, prefills, reused, tiny_engine

SYSTEM = Message("system", "You are a helpful assistant. " * 8)


@pytest.fixture(scope="module")
def shared(tiny_qwen_dir: Path) -> Iterator[OpenEngine]:
    opened = OpenEngine(load_talkative(tiny_qwen_dir), slots=3)
    yield opened
    asyncio.run(opened.engine.drain(0.0))


@pytest.fixture
def opened(shared: OpenEngine) -> OpenEngine:
    shared.heal()
    shared.forget()
    return shared


def turn(*texts: str, user: str = "a", max_tokens: int = 30) -> GenerationRequest:
    """The system prompt, then question and answer in turn."""
    roles = ("user", "assistant")
    messages = (SYSTEM, *(Message(roles[n % 2], text) for n, text in enumerate(texts)))  # type: ignore[arg-type]
    return ask(messages=messages, user=user, max_tokens=max_tokens)


def fresh(opened: OpenEngine, events: list[Event]) -> int:
    """Prompt tokens that had to be computed."""
    assert isinstance(check_shape(events), Finished)
    return prefills(events)[-1].total - reused(events)


async def tokens(opened: OpenEngine, text: str) -> int:
    return len(await opened.engine.tokenize(text))


@pytest.mark.anyio
async def test_turn_two_reads_only_what_is_new(opened: OpenEngine) -> None:
    first = await collect(opened.engine, turn("Who are you?"))
    answer = text_of(first)
    second = await collect(opened.engine, turn("Who are you?", answer, "And I?"))
    # The last token of the answer was drawn and never computed; the rest is the template's and the question.
    new = 1 + await tokens(opened, "??\nuser\nAnd I???\n?assistant\n")
    assert fresh(opened, second) <= new
    last = check_shape(second)
    assert isinstance(last, Finished)
    assert last.usage.reused_tokens == reused(second)


@pytest.mark.anyio
async def test_an_answer_is_matched_by_its_text_whatever_ids_it_was_written_with(opened: OpenEngine) -> None:
    """Cut by a stop string inside, so that the text said and the ids drawn differ at the end."""
    free = text_of(await collect(opened.engine, turn("Tell me.")))
    request = turn("Tell me.")
    stop = SamplingParams(temperature=0.0, max_tokens=30, stop=(free[10:12],))
    stopped = GenerationRequest(request_id="s", messages=request.messages, sampling=stop, user="a")
    answer = text_of(first := await collect(opened.engine, stopped))
    last = check_shape(first)
    assert isinstance(last, Finished)
    assert last.reason == "stop"
    assert free.startswith(answer)
    assert len(answer) <= 10
    second = await collect(opened.engine, turn("Tell me.", answer, "More."))
    assert reused(second) >= prefills(first)[-1].total + len(answer)


@pytest.mark.anyio
async def test_edit_regenerate_and_undo_keep_the_shared_part(opened: OpenEngine) -> None:
    system_tokens = await tokens(opened, SYSTEM.content)
    first = await collect(opened.engine, turn("One?"))
    one = text_of(first)
    second = await collect(opened.engine, turn("One?", one, "Two?"))
    prompt_tokens = prefills(second)[-1].total

    regenerated = await collect(opened.engine, turn("One?", one, "Two?"))
    assert reused(regenerated) == prompt_tokens - 1
    assert text_of(regenerated) == text_of(second)

    edited = await collect(opened.engine, turn("One?", one, "Three?"))
    assert reused(edited) >= prompt_tokens - len("Two?") - len("??assistant\n")

    undone = await collect(opened.engine, turn("One?"))
    assert reused(undone) == prefills(first)[-1].total - 1
    assert text_of(undone) == one

    other = await collect(opened.engine, turn("Quite different"))
    assert system_tokens <= reused(other) < prefills(first)[-1].total


@pytest.mark.anyio
async def test_chats_of_a_user_share_a_system_prompt_even_from_a_busy_slot_and_others_are_told_nothing(
    opened: OpenEngine,
) -> None:
    system_tokens = await tokens(opened, SYSTEM.content)
    alone = text_of(await collect(opened.engine, turn("Second?")))
    opened.forget()
    async with aclosing(opened.engine.generate(turn("First?", max_tokens=400))) as running:
        await until_text(running)
        stranger = await collect(opened.engine, turn("Second?", user="b"))
        assert reused(stranger) == 0
        assert text_of(stranger) == alone
        other = await collect(opened.engine, turn("Second?"))
        assert reused(other) >= system_tokens
        assert text_of(other) == alone


@pytest.mark.anyio
async def test_a_shared_system_prompt_does_not_cost_anybody_his_conversation(opened: OpenEngine) -> None:
    mine = text_of(await collect(opened.engine, turn("Mine?")))
    for n in range(2):
        await collect(opened.engine, turn(f"Somebody else {n}?", user=f"other {n}"))
    again = await collect(opened.engine, turn("Mine?", mine, "More?"))
    assert reused(again) > await tokens(opened, SYSTEM.content + mine)


@pytest.mark.anyio
async def test_progress_counts_up_to_the_whole_prompt(opened: OpenEngine) -> None:
    events = await collect(opened.engine, turn("x" * 500))
    steps = [event.done for event in prefills(events)]
    assert steps == sorted(steps)
    assert steps[-1] == prefills(events)[-1].total
    assert len(steps) > 2


@pytest.mark.anyio
async def test_a_seed_gives_the_same_answer_alone_and_beside_others(opened: OpenEngine) -> None:
    def sampled(seed: int, **more: float) -> GenerationRequest:
        params = SamplingParams(seed=seed, max_tokens=40, **({"temperature": 1.5} | more))  # type: ignore[arg-type]
        return GenerationRequest(request_id=str(seed), prompt="Once upon", sampling=params, user=str(seed))

    kinds = [sampled(1), sampled(2, top_p=0.9), sampled(3, top_k=5, repetition_penalty=1.2), sampled(4, temperature=0)]
    alone = [text_of(await collect(opened.engine, request)) for request in kinds]
    together = await asyncio.gather(*(collect(opened.engine, request) for request in kinds))
    assert [text_of(events) for events in together] == alone
    assert len(set(alone)) == len(kinds)
    ends = [check_shape(events) for events in together]
    assert [end.seed for end in ends if isinstance(end, Finished)] == [1, 2, 3, 4]


@pytest.mark.anyio
async def test_logprobs_come_with_their_tokens(opened: OpenEngine) -> None:
    params = SamplingParams(temperature=0.0, max_tokens=5, logprobs=True, top_logprobs=3)
    request = GenerationRequest(request_id="l", prompt="Once", sampling=params)
    events = await collect(opened.engine, request)
    entries = [entry for event in events if isinstance(event, Delta) for entry in event.logprobs]
    assert [entry.token_id for entry in entries] == ids_of(events)
    assert "".join(entry.text for entry in entries) == text_of(events)
    for entry in entries:
        assert entry.top[0].token_id == entry.token_id
        assert [other.logprob for other in entry.top] == sorted((o.logprob for o in entry.top), reverse=True)
        assert entry.logprob <= 0.0


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"prompt": "hello"}, " world world"),
        ({"prompt": (1,)}, "world world"),  # a control token alone: nothing stands before the answer
        ({"messages": (Message("user", "hello"),)}, "world world"),
        (
            {
                "messages": (Message("user", "cat"), Message("assistant", "hello")),
                "template": TemplateOptions(continue_final=True),
            },
            " world world",
        ),
    ],
)
async def test_a_blank_is_part_of_what_continues_a_text_and_none_of_what_begins_one(
    tiny_mistral_dir: Path, asked: dict[str, Any], text: str
) -> None:
    async with tiny_engine(tiny_mistral_dir, slots=1) as opened:
        (word,) = await opened.engine.tokenize("world")  # a blank is written before a text
        params = SamplingParams(max_tokens=2, logit_bias=((word, 100.0),), logprobs=True, top_logprobs=1)
        events = await collect(opened.engine, GenerationRequest(request_id="b", sampling=params, **asked))
    assert ids_of(events) == [word, word]
    assert text_of(events) == text
    entries = [entry for event in events if isinstance(event, Delta) for entry in event.logprobs]
    assert "".join(entry.text for entry in entries) == text
    assert b"".join(entry.bytes for entry in entries) == text.encode()


@pytest.mark.anyio
@pytest.mark.parametrize("choice", [" cat", "cat", "  hello\n", "€"])
async def test_a_choice_is_shown_to_its_last_blank(tiny_mistral_dir: Path, choice: str) -> None:
    async with tiny_engine(tiny_mistral_dir, slots=1) as opened:
        request = ask("Which?", max_tokens=30, grammar=StringChoice((choice,)))
        assert text_of(await collect(opened.engine, request)) == choice


@pytest.mark.anyio
async def test_the_answer_may_fill_the_context_to_the_last_token(opened: OpenEngine) -> None:
    events = await collect(opened.engine, ask(messages=(), prompt="x" * 1000, max_tokens=None))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert last.reason == "length"
    assert last.usage.prompt_tokens + last.usage.completion_tokens == 1024


@pytest.mark.anyio
async def test_odd_text_gets_an_answer_or_a_clear_refusal(opened: OpenEngine) -> None:
    for text in ("\ud800 lone", "\x00", "\u202e" + "👩‍👩‍👧‍👦" * 3, "e" + "\u0301" * 50, "<|im_end|>", " "):
        last = check_shape(await collect(opened.engine, ask(text)))
        assert isinstance(last, Finished)
    empty = check_shape(await collect(opened.engine, ask(messages=(), prompt="")))
    assert not isinstance(empty, Finished)
    assert isinstance(empty.error, RequestError)


@pytest.mark.anyio
async def test_ids_outside_the_vocabulary_have_no_text(opened: OpenEngine) -> None:
    for token_id in (-1, 10**6):
        with pytest.raises(RequestError, match="no token"):
            await opened.engine.detokenize([1, token_id])


@pytest.mark.anyio
async def test_tokens_that_a_tokenizer_has_beyond_its_model_are_refused(tiny_qwen_dir: Path) -> None:
    loaded = load_talkative(tiny_qwen_dir)
    rows = loaded.model.get_input_embeddings().weight.shape[0]
    added = rows + 1 - len(loaded.tokenizer)
    loaded.tokenizer.add_tokens([f"<beyond {number}>" for number in range(added)], special_tokens=True)
    opened = OpenEngine(loaded, slots=1, context_tokens=256)
    for prompt in ((1, rows), f"a <beyond {added - 1}>"):
        last = check_shape(await collect(opened.engine, ask(messages=(), prompt=prompt)))
        assert isinstance(last, Failed)
        assert f"{rows} is no token: ids go from 0 to {rows - 1}." in last.error.message
        assert isinstance(last.error, RequestError)
        assert last.error.param == "prompt"
    assert isinstance(check_shape(await collect(opened.engine, ask(messages=(), prompt=(1, rows - 1)))), Finished)
    await opened.engine.drain(0.0)


@pytest.mark.anyio
async def test_what_it_says_of_itself(opened: OpenEngine) -> None:
    info = opened.engine.info()
    assert (info.slots, info.context_tokens, info.exact_counts) == (3, 1024, True)
    assert (info.sampling.temperature, info.sampling.top_p, info.sampling.top_k) == (0.7, 0.8, 20)
    assert info.cache_bytes >= 3 * 1024 * 2 * 2 * 2 * 16 * 4  # slots, tokens, K and V, layers, heads, width, float32
    assert info.weights_bytes > 0
    await until_idle(opened.engine)
    assert opened.engine.health().ready
