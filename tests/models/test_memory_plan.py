"""The memory plan: Qwen2.5-7B's published numbers, the defaults for a 24 GB card, and what is refused."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import DoesNotFit
from qwen_app.models.device import Device, imagined_card
from qwen_app.models.dims import ModelDims
from qwen_app.models.memory_plan import estimate, plan_memory, weights_of
from qwen_app.models.plan_table import plan_table
from qwen_app.models.registry import DEFAULT, KNOWN_MODELS, known_model

CARD = imagined_card(24)
CPU = Device("cpu", "CPU", 24_000_000_000, 20_000_000_000)


def dims_of(name: str) -> ModelDims:
    model = known_model(name)
    assert model is not None
    return model.dims


SEVEN = dims_of(DEFAULT)


def test_weights_of_the_default_model() -> None:
    assert weights_of(SEVEN, "fp16", CARD) == 15_231_233_024
    assert weights_of(SEVEN, "4bit", CARD) == pytest.approx(5.55e9, rel=0.005)
    assert weights_of(SEVEN, "8bit", CARD) == pytest.approx(8.71e9, rel=0.005)
    assert weights_of(SEVEN, "int4", CARD) == pytest.approx(5.71e9, rel=0.005)
    assert SEVEN.kv_bytes_per_token(2) == 57_344


def test_defaults_for_a_24_gb_card() -> None:
    half, quarter = plan_memory(SEVEN, "fp16", CARD), plan_memory(SEVEN, "4bit", CARD)
    assert (half.slots, half.context_tokens) == (4, 24_576)
    assert (quarter.slots, quarter.context_tokens) == (8, 32_768)
    assert half.cache_bytes == 4 * 24_576 * 57_344


def test_the_built_in_model_on_a_cpu() -> None:
    found = plan_memory(dims_of("builtin"), "fp32", CPU)
    assert (found.slots, found.context_tokens) == (8, 8192)
    assert found.cache_bytes == 8 * 8192 * 46_080


def test_what_was_asked_for_is_kept() -> None:
    found = plan_memory(SEVEN, "4bit", CARD, users=3, context=5000)
    assert (found.slots, found.context_tokens) == (3, 5000)
    assert plan_memory(SEVEN, "fp16", CARD, users=12).slots == 12
    assert plan_memory(SEVEN, "fp16", CARD, context=30_000).context_tokens == 30_000


@pytest.mark.parametrize(("gpu_gb", "context"), [(24, 12_288), (25.4, 16_384), (22, 8_192), (80, 32_768)])
def test_users_who_were_asked_for_get_the_longest_context_there_is_room_for(gpu_gb: float, context: int) -> None:
    found = plan_memory(SEVEN, "fp16", imagined_card(gpu_gb), users=8)
    assert (found.slots, found.context_tokens) == (8, context)


def test_int4_is_planned_for_one_of_several_cards() -> None:
    pair = beside(CARD_OF_12, CARD_OF_12)
    assert plan_memory(SEVEN, "int4", pair).free_bytes == CARD_OF_12.free_bytes
    with pytest.raises(DoesNotFit, match=r"and a card of 12 GB has 11\.5 GB free"):
        plan_memory(SEVEN, "int4", pair, users=8, context=32_768)


CARD_OF_12 = imagined_card(12)


def beside(first: Device, second: Device) -> Device:
    together = {name: getattr(first, name) + getattr(second, name) for name in ("total_bytes", "free_bytes")}
    return dataclasses.replace(
        first, name="2 cards", cards=2, ampere=first.ampere and second.ampere, first=first, **together
    )


@pytest.mark.parametrize("second_gb", [2, 8, 24])
@pytest.mark.parametrize("precision", ["fp16", "int4", "4bit"])
def test_one_card_that_has_room_takes_the_model_whatever_is_beside_it(second_gb: float, precision: str) -> None:
    second = dataclasses.replace(imagined_card(second_gb), ampere=False)
    assert plan_memory(SEVEN, precision, beside(CARD, second)) == plan_memory(SEVEN, precision, CARD)


def test_a_second_card_that_is_full_takes_nothing_from_the_first() -> None:
    """Each of two wants a reserve of its own."""
    tight = dataclasses.replace(CARD, free_bytes=17_000_000_000)
    full = dataclasses.replace(imagined_card(8), free_bytes=0)
    alone = plan_memory(SEVEN, "fp16", tight)
    assert alone.held_tokens < 4 * 8_192
    assert plan_memory(SEVEN, "fp16", beside(tight, full)) == alone


def test_what_one_card_has_no_room_for_spreads_over_all() -> None:
    plan = plan_memory(SEVEN, "fp16", beside(CARD_OF_12, CARD_OF_12))
    assert (plan.cards, plan.free_bytes) == (2, 2 * CARD_OF_12.free_bytes)
    assert plan_memory(SEVEN, "fp16", beside(CARD, CARD), users=8, context=32_768).cards == 2


@pytest.mark.parametrize(
    ("device", "advice"),
    [(imagined_card(9), "int4"), (dataclasses.replace(imagined_card(9), ampere=False), "4bit")],
)
def test_what_is_advised_is_what_the_card_can(device: Device, advice: str) -> None:
    with pytest.raises(DoesNotFit, match=f"--precision {advice}"):
        plan_memory(SEVEN, "fp16", device)


def test_without_flash_attention_the_mask_is_planned_for() -> None:
    """On a card older than Ampere: measured there, a chunk at the end of a 24k conversation peaks near 500 MB."""
    old = dataclasses.replace(CARD, ampere=False)
    with_mask = estimate(SEVEN, "fp16", old, 4, 24_576).working_bytes
    assert 450_000_000 < with_mask < 750_000_000
    assert with_mask - estimate(SEVEN, "fp16", CARD, 4, 24_576).working_bytes == 1024 * 24_576 * (1 + 2 + 7 * 2)


def test_on_a_cpu_the_mask_of_a_chunk_is_planned_for() -> None:
    """Of 256 tokens, in float32: PyTorch's attention makes it, and its copy for each query head of a KV head."""
    masks = [estimate(SEVEN, "fp32", CPU, 1, tokens).working_bytes for tokens in (16_384, 32_768)]
    assert masks[1] - masks[0] == 16_384 * 256 * (1 + 4 + 7 * 4)


def test_int4_unpacks_gate_and_up_as_one() -> None:
    chunk_bytes = 1024 * (SEVEN.hidden * (2 * 2 + 4) + 3 * SEVEN.intermediate * 2)
    joined_bytes = 2 * SEVEN.hidden * SEVEN.intermediate * 2
    assert estimate(SEVEN, "int4", CARD, 1, 2_048).working_bytes == chunk_bytes + joined_bytes
    assert estimate(SEVEN, "4bit", CARD, 1, 2_048).working_bytes == chunk_bytes + joined_bytes // 2


def test_weights_that_are_unpacked_are_so_for_longer_chunks_where_memory_is_left_over() -> None:
    plan, usual = plan_memory(SEVEN, "int4", CARD), estimate(SEVEN, "int4", CARD, 8, 32_768)
    assert (plan.slots, plan.context_tokens, plan.chunk_tokens) == (8, 32_768, 2 * usual.chunk_tokens)
    assert plan.working_bytes > usual.working_bytes
    assert plan_memory(SEVEN, "int4", imagined_card(8)).chunk_tokens == usual.chunk_tokens
    assert plan_memory(SEVEN, "fp16", CARD).chunk_tokens == usual.chunk_tokens
    assert plan_memory(dims_of("builtin"), "int4", CPU).chunk_tokens == 256


def test_what_cannot_fit_is_refused_with_what_would() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan_memory(SEVEN, "fp16", CARD, users=8, context=32_768)
    said = str(caught.value)
    assert caught.value.exit_code == 5
    assert "--precision int4" in said
    advised = re.search(r"--context (\d+)", said)
    assert advised is not None
    assert plan_memory(SEVEN, "fp16", CARD, users=8, context=int(advised.group(1))).fits
    with pytest.raises(DoesNotFit):
        plan_memory(SEVEN, "fp16", CARD, users=8, context=int(advised.group(1)) + 1024)


@pytest.mark.parametrize("users", [64, 200])
def test_where_it_is_the_users_who_do_not_fit_the_most_who_would_are_told(users: int) -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan_memory(SEVEN, "fp16", CARD, users=users, context=4_096)
    advised = re.search(r"--users (\d+)", str(caught.value))
    assert advised is not None
    assert plan_memory(SEVEN, "fp16", CARD, users=int(advised.group(1)), context=4_096).fits
    with pytest.raises(DoesNotFit):
        plan_memory(SEVEN, "fp16", CARD, users=int(advised.group(1)) + 1, context=4_096)


def test_where_nothing_helps_a_smaller_model_is_advised() -> None:
    with pytest.raises(DoesNotFit, match="Choose a smaller model"):
        plan_memory(SEVEN, "4bit", imagined_card(4))


@pytest.mark.parametrize("precision", ["fp16", "int4"])
@pytest.mark.parametrize(("size", "gpu_gb"), [("14B", 12), ("32B", 24), ("72B", 48)])
def test_where_int4_has_no_room_nf4_is_advised_if_that_has(size: str, gpu_gb: int, precision: str) -> None:
    dims, card = dims_of(f"Qwen/Qwen2.5-{size}-Instruct"), imagined_card(gpu_gb)
    with pytest.raises(DoesNotFit, match="It would fit with --precision 4bit"):
        plan_memory(dims, precision, card)
    assert plan_memory(dims, "4bit", card).fits


def test_of_weights_that_stay_as_stored_no_other_precision_is_advised() -> None:
    with pytest.raises(DoesNotFit, match="Choose a smaller model"):
        plan_memory(SEVEN, "fp16", imagined_card(9), weights_bytes=8_710_000_000)


def test_a_context_longer_than_the_model_reads_is_refused() -> None:
    with pytest.raises(DoesNotFit, match="131,072"):
        plan_memory(SEVEN, "4bit", CARD, context=140_000)


def test_a_quantised_checkpoint_counts_as_stored() -> None:
    assert plan_memory(SEVEN, "awq", CARD, weights_bytes=5_570_000_000).weights_bytes == 5_570_000_000


@given(
    st.sampled_from(KNOWN_MODELS),
    st.sampled_from(["fp16", "bf16", "fp32", "int4", "8bit", "4bit"]),
    st.integers(1, 200),
    st.integers(0, 16),
    st.integers(0, 32_768),
)
def test_a_plan_fits_or_is_refused(model: object, precision: str, gpu_gb: int, users: int, context: int) -> None:
    dims = model.dims  # type: ignore[attr-defined]
    card = imagined_card(gpu_gb)
    try:
        found = plan_memory(dims, precision, card, users=users, context=context)
    except DoesNotFit as refusal:
        for advised in re.findall(r"--context (\d+)", str(refusal)):
            assert int(advised) > 0
        return
    assert found.need_bytes <= card.free_bytes
    assert found.context_tokens <= dims.context_tokens
    assert not users or found.slots == users
    assert not context or found.context_tokens == context
    size = found.slots, found.context_tokens
    assert found == estimate(dims, precision, card, *size, chunk_tokens=found.chunk_tokens)


def test_the_table_shows_both_precisions() -> None:
    table = plan_table(DEFAULT, SEVEN, ["fp16", "4bit"], CARD)
    for part in ("7,615,616,512 parameters", "57,344 bytes", "15.23 GB", "5.55 GB", "4 x 24,576", "8 x 32,768"):
        assert part in table


def test_a_plan_of_which_nothing_fits_is_a_refusal_with_all_that_it_says() -> None:
    with pytest.raises(DoesNotFit, match=r"(?s)Memory plan for .*fp16 does not fit.*4bit does not fit") as refused:
        plan_table(DEFAULT, SEVEN, ["fp16", "4bit"], imagined_card(2))
    assert refused.value.exit_code == 5


def test_the_table_says_what_does_not_fit() -> None:
    table = plan_table(DEFAULT, SEVEN, ["fp16", "4bit"], imagined_card(12))
    assert "fp16 does not fit" in table
    assert "5.55 GB" in table


def test_a_gguf_file_is_not_advised_to_run_as_nf4() -> None:
    turing = Device("cuda", "Tesla T4", 15_800_000_000, 15_400_000_000, ampere=False)
    with pytest.raises(DoesNotFit, match="It would fit with --precision 4bit"):
        plan_memory(SEVEN, "fp16", turing)
    gguf = dataclasses.replace(SEVEN, nf4=False)
    with pytest.raises(DoesNotFit, match="Choose a smaller model"):
        plan_memory(gguf, "fp16", turing)
    with pytest.raises(DoesNotFit, match="It would fit with --precision int4"):
        plan_memory(gguf, "fp16", dataclasses.replace(turing, ampere=True))
    small = Device("cuda", "small", 12_000_000_000, 10_000_000_000)
    two = Device("cuda", "2 x small", 24_000_000_000, 15_000_000_000, cards=2, first=small)
    with pytest.raises(DoesNotFit, match="It would fit with --precision int4"):
        plan_memory(gguf, "fp16", two)
