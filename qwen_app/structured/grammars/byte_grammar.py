"""Grammars over bytes instead of a model's tokens: whether something can be enforced is the same for every model."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from qwen_app.structured.grammars.compiler import GrammarCompiler


def byte_compiler() -> GrammarCompiler:
    """A compiler that needs no model, to check schemas and tools with before they are sent."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: token_id for token_id, character in enumerate(alphabet)}
    end = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<end>"])
    return GrammarCompiler(tokenizer, vocab_size=end + 1, eos_ids=[end])
