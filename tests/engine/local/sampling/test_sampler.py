"""The sampler draws from the distributions transformers' own processors give, and the same alone or in company."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from qwen_app.engine.local.sampling.sampler import NO_TOKEN, Sampler, SamplingRow
from qwen_app.messages import SamplingParams
from tests.examples import examples

VOCAB = 430  # wider than the sampler's shortlist
DRAWS, AT_ONCE = 6000, 500  # what is drawn at once stays in the processor's cache
MOST_SIGMAS = 6.0  # a right sampler is further off for one token in a billion


def sampler(*, text_vocab: int = VOCAB) -> Sampler:
    return Sampler(text_vocab_size=text_vocab, context_tokens=512, slots=8, device=torch.device("cpu"))


def random_logits(seed: int, scale: float) -> torch.Tensor:
    return torch.randn(1, VOCAB, generator=torch.Generator().manual_seed(seed)) * scale


def drawn(
    logits: torch.Tensor, params: SamplingParams, prompt: Sequence[int] = (), answer: Sequence[int] = ()
) -> np.ndarray:
    """How often each token comes in so many draws."""
    drawing, rows = sampler(), [SamplingRow(0, params, random.Random(1))] * AT_ONCE
    counted = np.zeros(logits.shape[1], np.int64)
    for _ in range(DRAWS // AT_ONCE):
        drawing.begin(0, prompt, answer, params)
        ids = [sampled.token_id for sampled in drawing.sample(logits.expand(AT_ONCE, -1), rows)]
        counted += np.bincount(ids, minlength=logits.shape[1])
    return counted


def assert_drawn_as(counted: np.ndarray, expected: np.ndarray) -> None:
    assert (np.abs(counted - expected) <= MOST_SIGMAS * np.sqrt(expected) + MOST_SIGMAS).all()


def of_transformers(logits: torch.Tensor, params: SamplingParams, ids: Sequence[int]) -> np.ndarray:
    processors = LogitsProcessorList()
    if params.repetition_penalty != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(params.repetition_penalty))
    if params.temperature != 1.0:
        processors.append(TemperatureLogitsWarper(params.temperature))
    if params.top_k:
        processors.append(TopKLogitsWarper(params.top_k))
    if params.top_p < 1.0:
        processors.append(TopPLogitsWarper(params.top_p))
    if params.min_p:
        processors.append(MinPLogitsWarper(params.min_p))
    scores = processors(torch.tensor([list(ids) or [0]]), logits.clone())
    return scores.softmax(-1)[0].double().numpy()


settings_of_sampling = st.builds(
    SamplingParams,
    temperature=st.floats(0.1, 3.0),
    top_k=st.one_of(st.just(0), st.integers(1, 60), st.integers(200, 2 * VOCAB)),
    top_p=st.one_of(st.just(1.0), st.floats(0.05, 0.999)),
    min_p=st.one_of(st.just(0.0), st.floats(0.001, 0.9)),
    repetition_penalty=st.one_of(st.just(1.0), st.floats(0.5, 2.0)),
)


@settings(max_examples=examples(40))
@given(params=settings_of_sampling, seed=st.integers(0, 1000), scale=st.floats(0.1, 8.0))
def test_the_distribution_is_that_of_transformers(params: SamplingParams, seed: int, scale: float) -> None:
    logits = random_logits(seed, scale)
    numbers = random.Random(seed)
    prompt, answer = numbers.choices(range(VOCAB), k=40), numbers.choices(range(VOCAB), k=20)
    expected = of_transformers(logits, params, [*prompt, *answer]) * DRAWS
    counted = drawn(logits, params, prompt, answer)
    assert not counted[expected == 0].any()
    assert_drawn_as(counted, expected)


@given(
    temperature=st.sampled_from([5e-324, 1e-46, 1e-40, 1e-38, 1e-20]),
    top_k=st.sampled_from([0, 5, 300]),
    top_p=st.sampled_from([1.0, 0.5]),
    min_p=st.sampled_from([0.0, 0.1]),
)
def test_the_coldest_draw_is_the_likeliest(temperature: float, top_k: int, top_p: float, min_p: float) -> None:
    logits = random_logits(3, 40.0)
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    assert drawn(logits, params)[int(logits.argmax())] == DRAWS


def test_top_p_is_a_share_of_the_whole_where_the_shortlist_is_not_all() -> None:
    """256 best tokens hold 95 % here: a nucleus of 90 % reckoned within them alone would be too small."""
    logits = torch.zeros(1, VOCAB)
    logits[0, :256] = np.log(0.95 / 256 / (0.05 / (VOCAB - 256)))
    params = SamplingParams(top_p=0.9)
    expected = np.ceil(0.9 / 0.95 * 256)
    assert np.count_nonzero(drawn(logits, params)) == pytest.approx(expected, abs=1)


@given(
    presence=st.floats(-2, 2),
    frequency=st.floats(-2, 2),
    repetition=st.floats(0.5, 2.0),
    answer=st.lists(st.integers(0, 19), max_size=30),
)
@settings(max_examples=examples(40))
def test_penalties_against_a_plain_reference(
    presence: float, frequency: float, repetition: float, answer: list[int]
) -> None:
    logits = random_logits(3, 2.0)
    logits[:, 20:] = -20.0
    prompt = [1, 2, 3, 25]
    params = SamplingParams(repetition_penalty=repetition, presence_penalty=presence, frequency_penalty=frequency)
    expected = logits[0].tolist()
    for token in {*prompt, *answer}:
        expected[token] = expected[token] / repetition if expected[token] > 0 else expected[token] * repetition
    for token in set(answer):
        expected[token] -= presence + frequency * answer.count(token)
    wanted = torch.tensor(expected).softmax(-1).double().numpy() * DRAWS
    assert_drawn_as(drawn(logits, params, prompt, answer), wanted)


def test_drawn_tokens_are_counted() -> None:
    logits = torch.zeros(1, VOCAB)
    logits[0, :3] = torch.tensor([5.0, 4.5, 4.2])
    params = SamplingParams(temperature=0.0, frequency_penalty=0.6)
    drawing = sampler()
    drawing.begin(2, [0, 0, 0], [], params)
    row = SamplingRow(2, params, random.Random(0))
    assert [drawing.sample(logits, [row])[0].token_id for _ in range(6)] == [0, 1, 0, 2, 1, 0]


def test_counts_start_afresh_with_the_next_request() -> None:
    params = SamplingParams(temperature=0.0, presence_penalty=2.0)
    logits = torch.zeros(1, VOCAB)
    logits[0, 5] = 1.0
    drawing = sampler()
    for _ in range(2):
        drawing.begin(1, [0], [], params)
        row = SamplingRow(1, params, random.Random(0))
        assert drawing.sample(logits, [row])[0].token_id == 5
        assert drawing.sample(logits, [row])[0].token_id != 5


def test_repetition_penalty_spares_constrained_rows() -> None:
    params = SamplingParams(temperature=0.0, repetition_penalty=10.0)
    logits = torch.zeros(2, VOCAB)
    logits[:, 5], logits[:, 6] = 2.0, 1.0
    drawing = sampler()
    for slot in (0, 1):
        drawing.begin(slot, [5], [], params)
    rows = [SamplingRow(0, params, random.Random(0)), SamplingRow(1, params, random.Random(0), constrained=True)]
    assert [sampled.token_id for sampled in drawing.sample(logits, rows)] == [6, 5]


KINDS = (
    SamplingParams(temperature=0.0),
    SamplingParams(temperature=1.0),
    SamplingParams(temperature=1.3),
    SamplingParams(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05),
    SamplingParams(temperature=2.0, top_p=0.95),
    SamplingParams(temperature=1.0, min_p=0.02),
    SamplingParams(temperature=1.0, top_k=400),
    SamplingParams(temperature=1.0, presence_penalty=1.0, frequency_penalty=0.5),
)


@cache
def answers_of(kinds: tuple[int, ...], scale: float) -> list[list[int]]:
    """What requests of these kinds are answered in 40 steps, side by side."""
    drawing = sampler()
    rows = []
    for kind in kinds:
        drawing.begin(kind, [1, 2, 3], [], KINDS[kind])
        rows.append(SamplingRow(kind, KINDS[kind], random.Random(kind)))
    answers: list[list[int]] = [[] for _ in kinds]
    for step in range(40):
        logits = torch.cat([random_logits(1000 * kind + step, scale) for kind in kinds])
        for answer, sampled in zip(answers, drawing.sample(logits, rows), strict=True):
            answer.append(sampled.token_id)
    return answers


@pytest.mark.parametrize("index", range(len(KINDS)))
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_a_seed_gives_the_same_alone_and_beside_seven_others(index: int, scale: float) -> None:
    assert answers_of((index,), scale)[0] == answers_of(tuple(range(len(KINDS))), scale)[index]


@pytest.mark.parametrize("params", KINDS[1:])
def test_rounding_hardly_ever_changes_what_a_seed_draws(params: SamplingParams) -> None:
    """Reused prompts and company change a step's rounding. Flat distributions are the hardest: many tokens are near."""
    steps, found = 200, []
    logits = torch.cat([random_logits(step, 1.0) for step in range(steps)])
    for rounded in (logits, logits + torch.randn_like(logits) * 0.003):
        drawing = sampler()
        drawing.begin(0, [1, 2, 3], [], params)
        rows = [SamplingRow(0, params, random.Random(step)) for step in range(steps)]
        found.append(np.array([sampled.token_id for sampled in drawing.sample(rounded, rows)]))
    assert np.count_nonzero(found[0] == found[1]) >= 0.97 * steps


@pytest.mark.parametrize("params", KINDS)
def test_the_best_of_a_single_possible_token_is_drawn(params: SamplingParams) -> None:
    drawing = sampler()
    drawing.begin(0, [0], [], params)
    masks = np.zeros((1, (VOCAB + 31) // 32), np.int32)
    masks[0, 404 // 32] = 1 << 404 % 32
    row = SamplingRow(0, params, random.Random(0), constrained=True)
    assert {drawing.sample(random_logits(n, 5.0), [row], masks)[0].token_id for n in range(10)} == {404}


@given(allowed=st.sets(st.integers(0, VOCAB - 1), min_size=1), kind=st.sampled_from(KINDS), seed=st.integers(0, 99))
@settings(max_examples=examples(40))
def test_masks_are_obeyed_and_rows_without_one_are_free(allowed: set[int], kind: SamplingParams, seed: int) -> None:
    drawing = sampler()
    masks = np.full((2, (VOCAB + 31) // 32), -1, np.int32)
    masks[0] = 0
    for token in allowed:
        masks.view(np.uint32)[0, token // 32] |= np.uint32(1 << token % 32)
    for slot in (0, 1):
        drawing.begin(slot, [0], [], kind)
    rows = [SamplingRow(0, kind, random.Random(seed), constrained=True), SamplingRow(1, kind, random.Random(seed))]
    logits = random_logits(seed, 1.0).repeat(2, 1)
    held, free = (sampled.token_id for sampled in drawing.sample(logits, rows, masks))
    for slot in (0, 1):
        drawing.begin(slot, [0], [], kind)
    unheld = drawing.sample(logits[1:], [SamplingRow(1, kind, random.Random(seed))])[0].token_id
    assert held in allowed
    assert free == unheld


@pytest.mark.parametrize("params", KINDS)
def test_ids_without_text_are_never_drawn(params: SamplingParams) -> None:
    """What lies beyond would come nearly always."""
    drawing = sampler(text_vocab=410)
    logits = torch.zeros(AT_ONCE, VOCAB)
    logits[:, 410:] = 50.0
    drawing.begin(0, [0], [], params)
    rows = [SamplingRow(0, params, random.Random(n)) for n in range(AT_ONCE)]
    assert max(sampled.token_id for sampled in drawing.sample(logits, rows)) < 410


@pytest.mark.parametrize("params", KINDS)
@pytest.mark.parametrize("fault", ["nan", "one nan", "all -inf", "nothing allowed"])
def test_a_row_without_any_possible_token_is_impossible_and_the_others_are_not(
    params: SamplingParams, fault: str
) -> None:
    logits = random_logits(1, 1.0).repeat(3, 1)
    masks = np.full((3, (VOCAB + 31) // 32), -1, np.int32)
    match fault:
        case "nan":
            logits[1] = torch.nan
        case "one nan":
            logits[1, 300] = torch.nan
        case "all -inf":
            logits[1] = -torch.inf
        case _:
            masks[1] = 0
    drawing = sampler()
    for slot in range(3):
        drawing.begin(slot, [0], [], params)
    rows = [SamplingRow(slot, params, random.Random(slot)) for slot in range(3)]
    first, broken, last = (sampled.token_id for sampled in drawing.sample(logits, rows, masks))
    assert broken == NO_TOKEN
    assert min(first, last) >= 0


def test_logprobs_are_of_the_unchanged_distribution() -> None:
    params = SamplingParams(temperature=0.5, repetition_penalty=1.5, top_k=3, logprobs=True, top_logprobs=4)
    drawing = sampler(text_vocab=410)
    logits = random_logits(5, 2.0)
    best = int(logits[0, :410].argmax())
    drawing.begin(0, [best], [], params)
    measured, other = drawing.sample(
        logits.repeat(2, 1),
        [SamplingRow(0, params, random.Random(0)), SamplingRow(1, SamplingParams(), random.Random(0))],
    )
    expected = torch.log_softmax(logits[0, :410], -1)
    assert measured.logprob == pytest.approx(float(expected[measured.token_id]), abs=1e-5)
    assert [token for token, _ in measured.top] == torch.topk(expected, 4).indices.tolist()
    assert [value for _, value in measured.top] == pytest.approx(torch.topk(expected, 4).values.tolist(), abs=1e-5)
    assert (other.logprob, other.top) == (None, ())


def test_logprobs_without_alternatives() -> None:
    params = SamplingParams(temperature=0.0, logprobs=True)
    (sampled,) = sampler().sample(random_logits(1, 1.0), [SamplingRow(0, params, random.Random(0))])
    assert sampled.logprob is not None
    assert sampled.top == ()


def test_half_precision_logits_are_sampled_in_full() -> None:
    logits = random_logits(7, 1.0)
    greedy = SamplingParams(temperature=0.0, logprobs=True)
    for dtype in (torch.float16, torch.bfloat16):
        (sampled,) = sampler().sample(logits.to(dtype), [SamplingRow(0, greedy, random.Random(0))])
        expected = torch.log_softmax(logits.to(dtype).float(), -1).max()
        assert sampled.logprob == pytest.approx(float(expected), abs=1e-5)
