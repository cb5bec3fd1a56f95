"""Ids to text: whole characters only, nothing past a stop string, nothing lost."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from qwen_app.engine.local.steps.answer_text import AnswerText
from qwen_app.engine.local.steps.detokenize import Detokenizer
from qwen_app.engine.local.steps.spelling import Spelling
from qwen_app.messages import TokenLogprob
from qwen_app.tools.stop_search import StopSearch
from tests.engine.local.steps.texts import BROKEN, decode, encode, example_ids, texts
from tests.examples import examples
from tests.tiny_mistral import KINDS, sentencepiece_tokenizer


def pieces_of(
    tokenizer: Tokenizer, ids: Sequence[int], stop: Sequence[str] = (), *, continues: bool = False
) -> tuple[list[str], bool]:
    """What is shown after each token and at the end, and whether a stop string ended it."""
    answer = AnswerText(Detokenizer(Spelling(tokenizer), continues=continues), StopSearch(stop))
    shown = []
    for token_id in ids:
        shown.append(answer.add(token_id, may_stop=True))
        if answer.stop is not None:
            break
    return [*shown, answer.finish()], answer.stop is not None


@settings(max_examples=examples(150))
@given(text=texts)
@example(text="👩‍👩‍👧‍👦" * 5)
@example(text="")
def test_pieces_join_to_the_whole(tokenizer: Tokenizer, text: str) -> None:
    ids = example_ids(tokenizer, text)
    pieces, _ = pieces_of(tokenizer, ids)
    assert "".join(pieces) == decode(tokenizer, ids)


@settings(max_examples=examples(150))
@given(text=texts)
@example(text=" world time")
def test_pieces_that_continue_a_text_join_to_the_rest_of_the_whole(tokenizer: Tokenizer, text: str) -> None:
    before, ids = encode(tokenizer, "hello"), example_ids(tokenizer, text)
    pieces, _ = pieces_of(tokenizer, ids, continues=True)
    assert decode(tokenizer, before) + "".join(pieces) == decode(tokenizer, before + ids)


@settings(max_examples=examples(150))
@given(text=texts.filter(lambda text: BROKEN not in text), data=st.data())
def test_an_answer_cut_anywhere_shows_whole_characters_of_it(
    tokenizer: Tokenizer, text: str, data: st.DataObject
) -> None:
    ids = example_ids(tokenizer, text)
    cut = data.draw(st.integers(0, len(ids)))
    pieces, _ = pieces_of(tokenizer, ids[:cut])
    assert not any(BROKEN in piece for piece in pieces)
    assert decode(tokenizer, ids).startswith("".join(pieces))
    whole = [decode(tokenizer, ids[:count]).rstrip(BROKEN) for count in range(cut + 1)]  # a broken row of bytes is none
    assert max(whole, key=len) == "".join(pieces)


@settings(max_examples=examples(100))
@given(ids=st.lists(st.integers(0, 255), max_size=40))
def test_random_bytes_are_shown_as_the_whole_would_be(tiny_tokenizer: Tokenizer, ids: list[int]) -> None:
    pieces, _ = pieces_of(tiny_tokenizer, ids)
    reader = getincrementaldecoder("utf-8")("replace")
    expected = reader.decode(b"".join(map(Spelling(tiny_tokenizer).bytes_of, ids)))
    assert "".join(pieces) == expected
    begun, _ = reader.getstate()
    assert decode(tiny_tokenizer, ids) == expected + (BROKEN if begun else "")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(100))
@given(data=st.binary(max_size=40))
def test_random_bytes_by_name_are_shown_as_they_come(kind: str, data: bytes) -> None:
    """Such a decoder reads a row of them only as a whole; a stream has shown a character by the time the row breaks."""
    tokenizer = sentencepiece_tokenizer(kind)
    named = [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in data]
    pieces, _ = pieces_of(tokenizer, named, continues=True)
    assert "".join(pieces) == getincrementaldecoder("utf-8")("replace").decode(data)


@settings(max_examples=examples(150))
@given(text=texts, data=st.data())
def test_stop_strings_end_the_text_before_the_earliest(tokenizer: Tokenizer, text: str, data: st.DataObject) -> None:
    ids = example_ids(tokenizer, text)
    whole = decode(tokenizer, ids)
    parts = st.integers(0, max(0, len(whole) - 1)).flatmap(
        lambda at: st.integers(1, 5).map(lambda size: whole[at : at + size])
    )
    stops = data.draw(st.lists(st.one_of(parts, st.sampled_from(["never", "\n\n\n\n", "a"])), min_size=1, max_size=4))
    stops = [stop for stop in stops if stop and BROKEN not in stop]
    pieces, stopped = pieces_of(tokenizer, ids, stops)
    shown = "".join(pieces)
    found = [whole.find(stop) for stop in stops if stop in whole]
    assert stopped == bool(found)
    assert whole.startswith(shown)
    assert not any(stop in shown for stop in stops)
    if not found:
        assert shown == whole
    else:
        ends = min(whole.find(stop) + len(stop) for stop in stops if stop in whole)
        assert any(shown == whole[:at] for at in found)
        assert len(shown) < ends


def test_of_several_stop_strings_in_one_token_the_earliest_counts(tokenizer: Tokenizer) -> None:
    ids = encode(tokenizer, "one two three")
    assert "".join(pieces_of(tokenizer, ids, ["three", "two", "e t"])[0]) == "on"


def test_what_may_begin_a_stop_string_is_held_back_and_then_given(tokenizer: Tokenizer) -> None:
    ids = encode(tokenizer, "a STO b")
    pieces, stopped = pieces_of(tokenizer, ids, ["STOP"])
    assert not stopped
    assert "".join(pieces) == "a STO b"
    pieces, _ = pieces_of(tokenizer, ids[:-2] if len(ids) > 4 else ids[:-1], ["STOP"])
    assert "".join(pieces).rstrip() == decode(tokenizer, ids[:-2] if len(ids) > 4 else ids[:-1]).rstrip()


def test_stop_string_inside_a_character_that_comes_in_parts(tokenizer: Tokenizer) -> None:
    ids = encode(tokenizer, "数到三👍🏽就停")
    assert "".join(pieces_of(tokenizer, ids, ["🏽"])[0]) == "数到三👍"


@settings(max_examples=examples(100))
@given(text=texts, data=st.data())
def test_ids_of_a_shown_text_spell_it(tokenizer: Tokenizer, text: str, data: st.DataObject) -> None:
    ids = example_ids(tokenizer, text)
    whole = decode(tokenizer, ids)
    shown = whole[: data.draw(st.integers(0, len(whole)))]
    answer = Detokenizer(Spelling(tokenizer))
    for token_id in ids:
        answer.add(token_id)
    found = answer.ids_of(shown)
    spelling = [n for n in range(len(ids) + 1) if shown.startswith(decode(tokenizer, ids[:n]))]
    assert list(found[: spelling[-1]]) == ids[: spelling[-1]]  # as many as can be are kept
    assert decode(tokenizer, found) == (shown if spelling[-1] else "")


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("a\ufffd".encode(), "a\ufffd"),
        ("\ufffd\ufffd".encode(), "\ufffd\ufffd"),
        (b"a\xe4\xb8", "a"),
        (b"a\xf0\x9f\xf0\x9f", "a\ufffd"),  # the first can become nothing else any more
        (b"\x80", "\ufffd"),
        ("中\ufffd".encode()[:-1], "中"),
    ],
)
def test_only_a_character_that_was_begun_is_left_out_at_the_end(tokenizer: Tokenizer, data: bytes, shown: str) -> None:
    spelling = Spelling(tokenizer)
    by_byte = {spelling.bytes_of(token_id): token_id for token_id in range(300)}
    if lacking := {bytes([byte]) for byte in data} - set(by_byte):
        pytest.skip(f"the vocabulary lacks {lacking}")
    pieces, _ = pieces_of(tokenizer, [by_byte[bytes([byte])] for byte in data])
    assert "".join(pieces) == shown


def test_an_answer_cut_within_a_word_keeps_the_ids_before_it_and_no_blank_more() -> None:
    tokenizer = sentencepiece_tokenizer()
    answer = Detokenizer(Spelling(tokenizer))
    assert [answer.add(tokenizer.token_to_id(token)) for token in ("▁world", "▁time")] == ["world", " time"]
    assert [tokenizer.id_to_token(token_id) for token_id in answer.ids_of("world ti")] == ["▁world", "▁ti"]


@settings(max_examples=examples(100))
@given(text=texts, continues=st.booleans(), data=st.data())
def test_log_probabilities_have_the_text_of_the_answer(
    tokenizer: Tokenizer, text: str, continues: bool, data: st.DataObject
) -> None:
    ids = example_ids(tokenizer, text)
    spelling = Spelling(tokenizer)
    stops = data.draw(st.lists(st.sampled_from(["time", "l", " ", "好"]), max_size=2))
    answer = AnswerText(Detokenizer(spelling, continues=continues), StopSearch(stops))
    told: list[TokenLogprob] = []
    for token_id in ids:
        answer.add(token_id, may_stop=True)
        spelled = spelling.bytes_of(token_id, begins=answer.last_begins)
        told += answer.logprobs(TokenLogprob(token_id, spelled.decode(errors="replace"), spelled, -1.0))
        if answer.stop is not None:
            break
    answer.finish()
    told += answer.logprobs()
    assert b"".join(token.bytes for token in told).startswith(answer.text.encode())
    if answer.stop is None:
        assert b"".join(token.bytes for token in told) == answer.text.encode()
