"""Bytes of tokens, in whichever way a vocabulary writes them."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from qwen_app.engine.local.steps.spelling import Spelling
from qwen_app.structured.vocabulary import Vocabulary
from tests.engine.local.steps.texts import BROKEN, decode, encode, example_ids, texts
from tests.examples import examples
from tests.tiny_mistral import BLANK, KINDS, sentencepiece_tokenizer


@settings(max_examples=examples(100))
@given(text=texts)
def test_bytes_of_tokens_join_to_the_text(tokenizer: Tokenizer, text: str) -> None:
    ids = example_ids(tokenizer, text)
    spelling = Spelling(tokenizer)
    spelled = b"".join(spelling.bytes_of(token_id, begins=not index) for index, token_id in enumerate(ids))
    assert spelled == decode(tokenizer, ids).encode()
    assert spelling.text_of(ids) == tokenizer.decode(ids, skip_special_tokens=False)


@settings(max_examples=examples(100))
@given(text=texts)
def test_bytes_of_tokens_join_to_the_text_behind_another(tokenizer: Tokenizer, text: str) -> None:
    before, ids = encode(tokenizer, "hello"), example_ids(tokenizer, text)
    spelled = b"".join(map(Spelling(tokenizer).bytes_of, ids))
    assert decode(tokenizer, before).encode() + spelled == decode(tokenizer, before + ids).encode()


@settings(max_examples=examples(100))
@given(text=texts)
def test_ids_of_a_text_behind_another_spell_it(tokenizer: Tokenizer, text: str) -> None:
    ids = encode(tokenizer, "hello") + example_ids(tokenizer, text)
    whole = decode(tokenizer, ids)
    text = whole[len("hello") :]  # as the tokenizer has it: one may compose characters
    assume("|" not in text)  # where control tokens would be cut
    spelling = Spelling(tokenizer)
    assert b"".join(map(spelling.bytes_of, spelling.encode(text))).decode() == text


def test_bytes_of_control_tokens_are_their_names(tokenizer: Tokenizer) -> None:
    spelling = Spelling(tokenizer)
    assert spelling.control_ids
    for token_id in spelling.control_ids:
        assert spelling.bytes_of(token_id).decode() == tokenizer.id_to_token(token_id)


@pytest.mark.parametrize("kind", KINDS)
def test_grammars_read_the_same_bytes(kind: str) -> None:
    tokenizer = sentencepiece_tokenizer(kind)
    spelling = Spelling(tokenizer)
    ids = tokenizer.get_vocab()
    vocabulary = Vocabulary(tokenizer, vocab_size=spelling.size, eos_ids=[ids["</s>"]])
    for token_id in set(ids.values()) - spelling.control_ids - {ids["<0xFF>"]}:  # a byte that no text has
        assert spelling.bytes_of(token_id) == vocabulary.decode([token_id])


def test_an_id_without_a_token_spells_nothing(tokenizer: Tokenizer) -> None:
    assert Spelling(tokenizer).bytes_of(10**6) == b""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("token", "behind", "first"),
    [
        ("é", "é".encode(), "é".encode()),
        ("<0xE2>", b"\xe2", b"\xe2"),
        ("<0x20>", b" ", None),
        (BLANK + "world", b" world", b"world"),
        (BLANK, b" ", b""),
        ("w", b"w", b"w"),
    ],
)
def test_a_sentencepiece_token_is_read_as_it_is_written(
    kind: str, token: str, behind: bytes, first: bytes | None
) -> None:
    tokenizer = sentencepiece_tokenizer(kind)
    spelling, token_id = Spelling(tokenizer), tokenizer.get_vocab()[token]
    assert spelling.bytes_of(token_id) == behind
    if first is None or kind == "gemma":  # which keeps the blank that a text begins with
        first = behind if kind == "gemma" else tokenizer.decode([token_id]).encode()
    assert spelling.bytes_of(token_id, begins=True) == first


@pytest.mark.parametrize(
    ("decoder", "text"),
    [(decoders.WordPiece(), "hello, world"), (None, "hell ##o , world"), (decoders.Fuse(), "hell##o,world")],
)
def test_tokens_of_any_other_vocabulary_are_joined_as_its_decoder_does(
    decoder: decoders.Decoder | None, text: str
) -> None:
    words = ("hell", "##o", ",", "world")
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token=","))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if decoder is not None:
        tokenizer.decoder = decoder
    ids = encode(tokenizer, " ".join(words))
    assert decode(tokenizer, ids) == text
    assert Spelling(tokenizer).text_of(ids) == text
    assert BROKEN not in text
