"""Prompt policy: what is hinted, kept, left out and counted, whoever asks."""

from __future__ import annotations

import dataclasses
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.chat.json_hint import JSON_HINT
from qwen_app.errors import ContextLengthExceeded
from qwen_app.messages import (
    Event,
    Failed,
    Finished,
    GenerationRequest,
    JsonObject,
    Message,
    Planned,
    PromptPolicy,
    Queued,
    SamplingParams,
)
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.examples import examples

pytestmark = pytest.mark.anyio
TRIM = PromptPolicy(overflow="trim", cap_answer=True)


def chat(*answers: str, question: str = "the last one", policy: PromptPolicy = TRIM) -> GenerationRequest:
    messages: list[Message] = []
    for number, answer in enumerate(answers):
        messages += [Message("user", f"question {number}"), Message("assistant", answer)]
    messages.append(Message("user", question))
    sampling = SamplingParams(max_tokens=64)
    return GenerationRequest("r", tuple(messages), sampling=sampling, conversation_id="chat-1", policy=policy)


class Asked:
    """A service on a scripted engine of 256 tokens."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine(context_tokens=256)
        self.service = Service(self.engine)

    async def events(self, request: GenerationRequest) -> list[Event]:
        async with aclosing(self.service.generate(request)) as events:
            return [event async for event in events]

    async def planned(self, request: GenerationRequest) -> Planned:
        first = (await self.events(request))[0]
        assert isinstance(first, Planned)
        return first


@pytest.fixture
def asked() -> Asked:
    return Asked()


async def test_the_plan_comes_before_everything(asked: Asked) -> None:
    events = await asked.events(chat("one", "two"))
    assert events[0] == Planned(3, 0, 0, prompt_tokens=29, reply_tokens=64)
    assert isinstance(events[1], Queued)
    assert isinstance(events[-1], Finished)


async def test_the_format_is_asked_for_in_words_whoever_asks(asked: Asked) -> None:
    await asked.events(dataclasses.replace(chat(), grammar=JsonObject()))
    await asked.events(chat(policy=PromptPolicy(hint=JsonObject())))
    for request in asked.engine.requests:
        assert request.messages[0] == Message("system", JSON_HINT)
    assert [request.grammar is None for request in asked.engine.requests] == [False, True]


async def test_nothing_is_counted_where_nothing_may_be_left_out(asked: Asked) -> None:
    planned = await asked.planned(chat("one", policy=PromptPolicy()))
    assert (planned.kept_turns, planned.prompt_tokens, asked.engine.counts) == (2, None, 0)


async def test_what_does_not_fit_is_left_out_in_whole_turns(asked: Asked) -> None:
    planned = await asked.planned(chat(*["word " * 60] * 4))
    (sent,) = asked.engine.requests
    assert (planned.kept_turns, planned.dropped_turns, planned.dropped_messages) == (2, 3, 6)
    assert sent.messages[0].content == "question 3"
    assert planned.prompt_tokens == (await asked.service.count_tokens(sent.messages))


async def test_a_question_too_long_is_refused_with_both_numbers(asked: Asked) -> None:
    (event,) = await asked.events(chat("one", question="word " * 300))
    assert isinstance(event, Failed)
    error = event.error
    assert isinstance(error, ContextLengthExceeded)
    assert (error.prompt_tokens, error.answer_tokens, error.limit_tokens) == (304, 64, 256)
    assert asked.engine.requests == []


async def test_the_window_stays_where_it_is_until_it_must_move(asked: Asked) -> None:
    answers = ["word " * 60] * 3
    await asked.events(chat(*answers))
    first = asked.engine.requests[-1].messages[0]
    await asked.events(chat(*answers, "short"))
    assert asked.engine.requests[-1].messages[0] == first


async def test_more_room_brings_old_turns_back(asked: Asked) -> None:
    answers = ["word " * 60] * 4
    assert (await asked.planned(chat(*answers))).dropped_turns
    asked.engine.context_tokens = 4096
    assert not (await asked.planned(chat(*answers))).dropped_turns


async def test_a_chat_that_was_cut_back_starts_anew(asked: Asked) -> None:
    await asked.events(chat(*["word " * 60] * 4))
    assert not (await asked.planned(chat("one"))).dropped_turns


async def test_a_chat_that_fits_again_is_sent_whole(asked: Asked) -> None:
    """What was too long in it was a question that was edited, or a document that was taken out."""
    answers = ["word " * 10] * 6
    assert (await asked.planned(chat(*answers, question="word " * 150))).dropped_turns
    assert not (await asked.planned(chat(*answers, question="in short"))).dropped_turns


async def test_to_look_at_a_plan_moves_no_window(asked: Asked) -> None:
    answers = ["word " * 30] * 3
    before = await asked.service.plan(chat(*answers))
    assert (await asked.service.plan(chat(*answers, question="word " * 100))).planned.dropped_turns
    assert (await asked.service.plan(chat(*answers))).planned == before.planned


async def test_a_pinned_turn_stays(asked: Asked) -> None:
    policy = dataclasses.replace(TRIM, pinned_turns=frozenset({0}))
    await asked.events(chat("pinned", *["word " * 60] * 4, policy=policy))
    assert asked.engine.requests[0].messages[0].content == "question 0"


async def test_one_message_is_counted_at_most_twice_and_a_keystroke_once(asked: Asked) -> None:
    for length in range(1, 6):  # typed letter by letter
        before = asked.engine.counts
        await asked.service.plan(chat("one", "two", question="hello"[:length]))
        assert asked.engine.counts == before + 1
    typed = asked.engine.counts
    await asked.events(chat("one", "two", question="hello"))  # sent
    await asked.service.plan(chat("one", "two", "the answer", question=""))  # and measured again
    assert asked.engine.counts - typed <= 2


async def test_the_answer_takes_the_room_there_is(asked: Asked) -> None:
    request = chat(question="word " * 200, policy=dataclasses.replace(TRIM, reserve_tokens=16))
    long = dataclasses.replace(request, sampling=SamplingParams(max_tokens=100))
    assert (await asked.planned(long)).reply_tokens == 256 - 204


@settings(max_examples=examples(30))
@given(st.lists(st.text(alphabet="ab ", max_size=30), max_size=8), st.text(alphabet="ab ", max_size=20))
async def test_sizes_are_exact(answers: list[str], system: str) -> None:
    service = Service(ScriptedEngine())
    request = chat(*answers)
    request = dataclasses.replace(request, messages=(Message("system", system), *request.messages))
    plan = await service.plan(request)
    assert plan.planned.prompt_tokens == await service.count_tokens(plan.request.messages)
    assert plan.planned.prompt_tokens == plan.fixed_tokens + sum(plan.turn_tokens)


async def test_a_turn_left_out_by_hand_is_not_sent_though_there_is_room(asked: Asked) -> None:
    policy = dataclasses.replace(TRIM, dropped_turns=frozenset({1}))
    planned = await asked.planned(chat("one", "two", "three", policy=policy))
    assert (planned.left_out, planned.dropped_tokens) == ((1,), 11)
    sent = [message.content for message in asked.engine.requests[0].messages]
    assert sent == ["question 0", "one", "question 2", "three", "the last one"]


async def test_preferred_turns_stay_as_far_as_they_fit_the_newest_first(asked: Asked) -> None:
    policy = dataclasses.replace(TRIM, pinned_turns=frozenset({0}), preferred_turns=frozenset({1, 2, 3}))
    planned = await asked.planned(chat("one", "word " * 60, "word " * 60, "word " * 200, *["no"] * 6, policy=policy))
    assert {0, 2} <= set(range(11)) - set(planned.left_out)
    assert {3} <= set(planned.left_out)
    dropped = dataclasses.replace(policy, dropped_turns=frozenset({2}))
    assert 2 in (await asked.service.plan(chat("one", "word " * 60, "word " * 60, policy=dropped))).planned.left_out


async def test_pins_that_leave_no_room_are_refused_with_both_numbers(asked: Asked) -> None:
    policy = dataclasses.replace(TRIM, pinned_turns=frozenset({0}))
    (event,) = await asked.events(chat("word " * 200, "two", policy=policy))
    assert isinstance(event, Failed)
    assert isinstance(event.error, ContextLengthExceeded)
    assert event.error.prompt_tokens == 217


@settings(max_examples=examples(50))
@given(
    st.lists(st.integers(0, 80), max_size=8),
    st.sets(st.integers(0, 7)),
    st.sets(st.integers(0, 7)),
    st.lists(st.integers(0, 120), min_size=1, max_size=3),
)
async def test_what_is_sent_is_what_was_planned(
    sizes: list[int], pins: set[int], drops: set[int], questions: list[int]
) -> None:
    """Whatever the visitor does, trimming takes no more than the plan said before."""
    asked = Asked()
    answers = ["word " * size + "end" for size in sizes]
    policy = dataclasses.replace(TRIM, pinned_turns=frozenset(pins), dropped_turns=frozenset(drops))
    for length in questions:
        request = chat(*answers, question="word " * length, policy=policy)
        plan = await asked.service.plan(request)
        sent = await asked.events(request)
        if plan.over_tokens:
            assert isinstance(sent[0], Failed)
            continue
        assert sent[0] == plan.planned
        assert asked.engine.requests[-1].messages == plan.request.messages
        answers.append("an answer")
