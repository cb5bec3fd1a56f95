"""Keys of APIs: what an HTTP header carries of them, and what one is known by without being kept."""

from __future__ import annotations

import hashlib

HASH_PREFIX = "sha256:"
_DIGEST_BYTES = 32


def fits_header(text: str) -> bool:
    """Whether an HTTP header carries ``text`` as it is."""
    return text.isascii() and text.isprintable()


def header_key(key: str) -> str:
    """``key`` without the blanks and line breaks around it, which files and the environment leave there.

    Raises ValueError, for a sentence that begins with the key's name, where no header carries the rest.
    """
    key = key.strip()
    if not fits_header(key):
        raise ValueError(
            "must be of printable ASCII characters, for it is sent in an HTTP header, and has others or a line break"
        )
    return key


def digest_of_key(key: str) -> bytes:
    """SHA-256 of ``key``, or the one that it gives: ``sha256:<64 hex digits>``. Raises ValueError as ``header_key``."""
    key = header_key(key)
    if not key.startswith(HASH_PREFIX):
        return hashlib.sha256(key.encode()).digest()
    try:
        digest = bytes.fromhex(key.removeprefix(HASH_PREFIX))
    except ValueError:
        digest = b""
    if len(digest) != _DIGEST_BYTES:
        raise ValueError("that starts with sha256: must go on with 64 hexadecimal digits")
    return digest
