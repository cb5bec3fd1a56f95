"""The bytes of a text file to text: by its mark, as UTF-8 or UTF-16, or in the older encoding that is likeliest.

Bytes that are damaged cost their characters, never the text: each becomes U+FFFD, and is counted.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from qwen_app.text_files.code_pages import AS_LIKELY, Likely, likely_encodings

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What a page means by a name, as browsers take it: the larger encoding that has grown out of it.
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
}
NAMES = {"cp932": "Shift-JIS", "cp949": "EUC-KR", "euc_jp": "EUC-JP", "iso2022_jp": "ISO-2022-JP", "big5": "Big5"}
_SHIFT = b"\x1b$"  # by which ISO-2022 goes over to other characters
_SAMPLE_BYTES = 256 * 1024
_MOST_DAMAGED = 0.1  # of the characters
# In UTF-8 with damage there are so many whole characters beyond ASCII to each damaged one. By chance there are fewer,
# and none that stands alone among ASCII: such a one counts as that many.
_WHOLE_TO_DAMAGED = 4
_ALONE = re.compile("(?<![^\\0-\\x7f])[^\\0-\\x7f\\ufffd](?![^\\0-\\x7f])")
_CONTROLS = bytes({*range(0x20)} - {*b"\t\n\r\x1a\x1b"})  # that stand in no text, but are half of UTF-16's bytes
_BELOW_SPACE = bytes(range(0x20))
_MOST_OTHERS = 3  # encodings that are named beside the likeliest
_STRAY_NULS = 0.15  # share of bytes up to which NULs stand in UTF-8 by mistake
_STRAY = 0.02  # share of controls, NULs among them, up to which a text may be in another encoding
_UTF16_BELOW_SPACE = 0.3  # share in every other byte, from which they are the scripts of UTF-16
_UTF16_SHARE = 0.95  # of characters that are of one script, or stand beside any
_BESIDE_ANY = re.compile("[\t\n\r -~\u00a0-\u024f\u1e00-\u206f]")
_EAST_ASIAN = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef]")


class UnknownEncoding(ValueError):
    """The bytes are no text in an encoding that is known here."""


@dataclass(frozen=True, slots=True)
class DecodedText:
    """``encoding`` is empty where the bytes left no choice; ``others`` are those that would have been as likely.
    ``damaged`` counts the places where the bytes are no character; in ``text`` each is U+FFFD."""

    text: str
    encoding: str = ""
    others: tuple[str, ...] = ()
    damaged: int = 0


def decode(data: bytes, declared: str = "") -> DecodedText:
    """The text of ``data``; ``declared`` is the encoding that the file itself names. Raises UnknownEncoding."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _readable(_decoded(data[len(mark) :], encoding))
    controls = _share(data, _CONTROLS)
    found = _utf16(data) if controls else None
    if not found and _share(data, b"\0") <= _STRAY_NULS:
        text = data.replace(b"\0", b"")
        found = (None if _shifts(data) else _utf8(text)) or _declared(text, declared)
        if not found and controls <= _STRAY:
            found = _damaged_utf8(text) or _guessed(text)
    if not found:
        raise UnknownEncoding
    return found


def _decoded(data: bytes, encoding: str) -> DecodedText:
    text = data.decode(encoding, "replace")
    return DecodedText(text, damaged=len(text) - len(data.decode(encoding, "ignore")))


def _readable(read: DecodedText) -> DecodedText:
    if read.damaged > max(1, _MOST_DAMAGED * len(read.text)):
        raise UnknownEncoding
    return read


def _share(data: bytes, signs: bytes) -> float:
    """Of the bytes of ``data``, those that are among ``signs``."""
    return (len(data) - len(data.translate(None, signs))) / max(1, len(data))


def _shifts(data: bytes) -> bool:
    return _SHIFT in data and data.isascii()


def _utf8(data: bytes) -> DecodedText | None:
    try:
        return DecodedText(data.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _damaged_utf8(data: bytes) -> DecodedText | None:
    """UTF-8 with a byte here and there that is none: what is whole in it would be rare in any other encoding."""
    read = _decoded(data, "utf-8")
    whole = _beyond_ascii(read.text) - read.damaged + (_WHOLE_TO_DAMAGED - 1) * len(_ALONE.findall(read.text))
    return replace(read, encoding="UTF-8") if 0 < read.damaged * _WHOLE_TO_DAMAGED <= whole else None


def _beyond_ascii(text: str) -> int:
    return len(text) - len(text.encode("ascii", "ignore"))


def _declared(data: bytes, declared: str) -> DecodedText | None:
    for encoding in filter(None, (_meant(declared), declared)):
        try:
            return DecodedText(data.decode(encoding), _named(encoding))
        except (UnicodeError, LookupError):  # of the names that a page may give, some stand for no text at all
            continue
    return None


def _meant(declared: str) -> str:
    """Empty where the name stands for itself, or for nothing that is known."""
    try:
        return _MEANT.get(codecs.lookup(declared).name, "")
    except LookupError:
        return ""


def _utf16(data: bytes) -> DecodedText | None:
    """UTF-16 without a mark: every other byte says the script, of which a text has one beside what all have."""
    is_utf8 = _utf8(data) is not None
    if is_utf8 and max(_share(data[half::2], _BELOW_SPACE) for half in (0, 1)) < _UTF16_BELOW_SPACE:
        return None
    measured = {encoding: _measured(data, encoding) for encoding in ("utf-16-le", "utf-16-be")}
    encoding, found = max(
        measured.items(), key=lambda one: (one[1].share >= _UTF16_SHARE, one[1].beside, -one[1].pages)
    )
    by_chance = is_utf8 and found.east_asian > found.beside  # two letters of ASCII make a Chinese character
    return _decoded(data, encoding) if found.share >= _UTF16_SHARE and not by_chance else None


@dataclass(frozen=True, slots=True)
class _Script:
    """How a text looks in UTF-16: its characters that stand ``beside`` any script, the ``east_asian`` ones, the
    ``pages`` of 256 that the rest is from, and the ``share`` of those beside any and of the commonest script."""

    beside: int
    east_asian: int
    pages: int
    share: float


def _measured(data: bytes, encoding: str) -> _Script:
    text = data[:_SAMPLE_BYTES].decode(encoding, "replace")
    beside, east_asian = len(_BESIDE_ANY.findall(text)), len(_EAST_ASIAN.findall(text))
    pages = Counter(ord(sign) >> 8 for sign in _BESIDE_ANY.sub("", text) if " " < sign != "\ufffd")
    share = (beside + max(east_asian, *pages.values(), 0)) / max(1, len(text))
    return _Script(beside, east_asian, len(pages), share)


def _guessed(data: bytes) -> DecodedText | None:
    found = likely_encodings(_sample(data))
    for best in found:
        read = _decoded(data, best.encoding)
        if read.damaged > _MOST_DAMAGED * _beyond_ascii(read.text):
            continue
        others = tuple(_named(encoding) for encoding in _as_likely(best, found))
        return replace(read, encoding=_named(best.encoding), others=others if best.sure else others or ("?",))
    return None


def _as_likely(best: Likely, found: Sequence[Likely]) -> list[str]:
    """The encodings that would make another text, and hardly a less likely one."""
    texts = {best.text: ""}
    for one in found:
        if one.against <= best.against + AS_LIKELY:
            texts.setdefault(one.text, one.encoding)
    return list(texts.values())[1 : 1 + _MOST_OTHERS]


def _sample(data: bytes) -> bytes:
    """The beginning, cut behind a line, else a space: never within a character."""
    if len(data) <= _SAMPLE_BYTES:
        return data
    start = data[:_SAMPLE_BYTES]
    return start[: max(start.rfind(b"\n"), start.rfind(b" ")) + 1] or start


def _named(encoding: str) -> str:
    return NAMES.get(encoding, encoding.upper())
