"""The name of a file as people, prompts and pages get to see it."""

from __future__ import annotations

import re
import unicodedata

LIMIT_NAME_CHARS = 120
_FOLDER_END = re.compile(r"[/\\]")
_MEANS_SOMETHING = re.compile(r'[\x00-\x1f\x7f<>"`*|$?:]')  # to HTML, Markdown or the prompt's own tags
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})  # some of them turn the text around them


def shown_name(name: str) -> str:
    """``name`` without folders and signs that mean something elsewhere, at most ``LIMIT_NAME_CHARS`` with its ending.

    Letters, punctuation and pictures of every language stay, in Unicode's composed form: macOS takes é apart.
    """
    seen = "".join(filter(_is_seen, _FOLDER_END.split(name)[-1]))
    plain = _MEANS_SOMETHING.sub("_", unicodedata.normalize("NFC", seen))
    return plain.strip()[-LIMIT_NAME_CHARS:].lstrip() or "document"


def _is_seen(sign: str) -> bool:
    return sign.isascii() or unicodedata.category(sign) not in _UNSEEN
