"""Ids to text: whole characters only, nothing past a stop string, nothing lost."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from qwen_app.engine.local.steps.answer_text import AnswerText
from qwen_app.engine.local.steps.detokenize import Detokenizer, ids_of_text, token_bytes
from qwen_app.tools.stop_search import StopSearch
from tests.examples import examples
from tests.qwen_vocabulary import qwen_tokenizer

BROKEN = "\ufffd"
PIECES = (
    "Hello", " world", "你好", "，世界。", "👩‍👩‍👧‍👦", "🇨🇳", "👍🏽", "é", "e\u0301", "Z͑ͫ̓ͪ̂ͫ̽͏", "नमस्ते", "שלום",
    "\n\n", "```py\n", "\u200d", "\u202e", "\x00", "𠮷", "<|im_end|>", "  ", "’", "ﬃ",
)  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(max_size=40))


@pytest.fixture(scope="module", params=["builtin", "tiny", "qwen"])
def tokenizer(request: pytest.FixtureRequest, builtin_dir: Path, tiny_qwen_dir: Path) -> Tokenizer:
    if request.param == "qwen":
        return qwen_tokenizer()
    folder = builtin_dir if request.param == "builtin" else tiny_qwen_dir
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of text; what spells a control token is cut, as the prompt encoder cuts it."""
    return [i for part in text.split("|") for i in tokenizer.encode(part, add_special_tokens=False).ids]


def example_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of an example, passed over where the vocabulary has no bytes for it: the small model's lacks some."""
    ids = encode(tokenizer, text)
    assume(BROKEN not in decode(tokenizer, ids))
    return ids


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=True))


def pieces_of(tokenizer: Tokenizer, ids: Sequence[int], stop: Sequence[str] = ()) -> tuple[list[str], bool]:
    """What is shown after each token and at the end, and whether a stop string ended it."""
    answer = AnswerText(Detokenizer(tokenizer), StopSearch(stop))
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
@given(text=texts.filter(lambda text: BROKEN not in text), data=st.data())
def test_an_answer_cut_anywhere_shows_whole_characters_of_it(
    tokenizer: Tokenizer, text: str, data: st.DataObject
) -> None:
    ids = example_ids(tokenizer, text)
    cut = data.draw(st.integers(0, len(ids)))
    pieces, _ = pieces_of(tokenizer, ids[:cut])
    assert not any(BROKEN in piece for piece in pieces)
    assert decode(tokenizer, ids).startswith("".join(pieces))
    assert decode(tokenizer, ids[:cut]).rstrip(BROKEN) == "".join(pieces)


@settings(max_examples=examples(100))
@given(ids=st.lists(st.integers(0, 255), max_size=40))
def test_random_bytes_are_shown_as_the_whole_would_be(tiny_tokenizer: Tokenizer, ids: list[int]) -> None:
    pieces, _ = pieces_of(tiny_tokenizer, ids)
    reader = getincrementaldecoder("utf-8")("replace")
    expected = reader.decode(b"".join(token_bytes(tiny_tokenizer, token_id) for token_id in ids))
    assert "".join(pieces) == expected
    begun, _ = reader.getstate()
    assert decode(tiny_tokenizer, ids) == expected + (BROKEN if begun else "")


@pytest.fixture(scope="module")
def tiny_tokenizer(tiny_qwen_dir: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_qwen_dir / "tokenizer.json"))


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
    found = ids_of_text(tokenizer, ids, shown)
    spelling = [n for n in range(len(ids) + 1) if shown.startswith(decode(tokenizer, ids[:n]))]
    assert list(found[: spelling[-1]]) == ids[: spelling[-1]]  # as many as can be are kept
    assert decode(tokenizer, found) == (shown if spelling[-1] else "")


@settings(max_examples=examples(100))
@given(text=texts)
def test_bytes_of_tokens_join_to_the_text(tokenizer: Tokenizer, text: str) -> None:
    ids = example_ids(tokenizer, text)
    assert b"".join(token_bytes(tokenizer, token_id) for token_id in ids) == decode(tokenizer, ids).encode()


def test_bytes_of_control_tokens_are_their_names(tokenizer: Tokenizer) -> None:
    token_id = tokenizer.token_to_id("<|im_end|>")
    assert token_bytes(tokenizer, token_id) == b"<|im_end|>"


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
def test_only_a_character_that_was_begun_is_left_out_at_the_end(data: bytes, shown: str) -> None:
    tokenizer = qwen_tokenizer()
    by_byte = {token_bytes(tokenizer, token_id): token_id for token_id in range(256)}
    pieces, _ = pieces_of(tokenizer, [by_byte[bytes([byte])] for byte in data])
    assert "".join(pieces) == shown
