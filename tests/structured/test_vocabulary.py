"""What a grammar knows of a vocabulary is what its tokens spell, whichever way they are written."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from qwen_app.structured.vocabulary import Vocabulary


def test_a_vocabulary_of_words_and_blanks_alone_is_read() -> None:
    pieces = [("<unk>", 0.0), ("▁hello", -1.0), ("▁", -2.0), *((chr(code), -9.0) for code in range(33, 127))]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.add_special_tokens(["</s>"])
    vocabulary = Vocabulary(tokenizer, vocab_size=tokenizer.get_vocab_size(), eos_ids=[len(pieces)])
    assert vocabulary.decode([tokenizer.get_vocab()["▁hello"]]) == b" hello"
