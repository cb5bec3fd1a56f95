"""A tiny Mistral of random weights, with a vocabulary as SentencePiece writes it: no download."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from tests.tiny_qwen import SIZES

BLANK = "▁"
CONTROL = ("<unk>", "<s>", "</s>")
WORDS = ("world", "time", "hello", "cat")
KINDS = ("llama", "gemma", "metaspace")  # which differ in where the blank before a text's first word comes and goes
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %} {{ message['content'] }}"
    "{{ eos_token }}{% else %}[INST] {{ message['content'] }} [/INST]{% endif %}{% endfor %}"
)


def sentencepiece_tokenizer(kind: str = "llama") -> Tokenizer:
    """Whole words with their blanks, the letters of ASCII, an é, and bytes by name for all else."""
    pieces = [BLANK + word[:end] for word in WORDS for end in range(1, len(word) + 1)]
    letters = [chr(code) for code in range(33, 127)]
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = dict.fromkeys([*CONTROL, *names, BLANK, *letters, "é", *pieces])
    merges = list(dict.fromkeys((piece[:-1], piece[-1]) for piece in pieces))
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    blanks = [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
    if kind == "metaspace":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    elif kind == "gemma":
        tokenizer.normalizer = normalizers.Replace(" ", BLANK)
        tokenizer.decoder = decoders.Sequence(blanks)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
        tokenizer.decoder = decoders.Sequence([*blanks, decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(list(CONTROL))
    return tokenizer


def save_tiny_mistral(folder: Path) -> Path:
    """Write model and tokenizer, of the kind ``llama``, into ``folder`` and return it."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

    core = sentencepiece_tokenizer()
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=core.get_vocab_size(),
        **SIZES,
        sliding_window=None,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    MistralForCausalLM(config).eval().save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", bos_token="<s>", eos_token="</s>", chat_template=CHAT_TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    return folder
