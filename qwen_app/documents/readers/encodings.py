"""The bytes of a text file to text: by its mark, as UTF-8, or in the encoding that a library finds most likely."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from charset_normalizer import CharsetMatch, from_bytes

from qwen_app.documents.refusal import DocumentRefused

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Those that files are found in by the million; of rarer ones the library would see too many in a short text.
USUAL = ("cp1252", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1251", "iso2022_jp")
RARER = ("koi8_r", "cp1250", "iso8859_2", "cp1253", "cp1254", "cp1255", "cp1256", "cp874", "cp866")
# What a page means by a name, as browsers take it: the larger encoding that has grown out of it.
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
}
NAMES = {"cp932": "Shift-JIS", "cp949": "EUC-KR", "euc_jp": "EUC-JP", "iso2022_jp": "ISO-2022-JP", "big5": "Big5"}
SURE_CHAOS = 0.1  # how odd the text may look, of 1, as the library measures it
_SHIFT = b"\x1b$"  # by which ISO-2022 goes over to other characters
_SAMPLE_BYTES = 256 * 1024
_UTF16_NULS = 0.2  # share of NUL bytes in one half of the bytes from which they are UTF-16
_STRAY_NULS = 0.15  # share of NUL bytes up to which they stand in a text by mistake, if it is UTF-8 without them
# How short texts look in an encoding that is not theirs: letters of two scripts or signs in a word, half-width kana,
# Chinese characters between Korean ones.
_ODD = {
    "cp1252": re.compile("[A-Za-z\u00c0-\u00ff][\u00a1-\u00b6\u00b8-\u00bf][A-Za-z\u00c0-\u00ff]"),
    "cp1251": re.compile("[A-Za-z][\u0400-\u04ff]|[\u0400-\u04ff][A-Za-z]"),
    "cp932": re.compile("[\uff61-\uff9f]"),
    "cp949": re.compile("[\u4e00-\u9fff]"),
}
_UTF16_SIGNS = re.compile("[\t\n\r -~\u00a0-\u00ff\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef]")
_UTF16_SHARE = 0.95  # of characters that are such signs


@dataclass(frozen=True, slots=True)
class DecodedText:
    """``encoding`` is empty where the bytes left no choice; ``others`` are those that would have been as likely."""

    text: str
    encoding: str = ""
    others: tuple[str, ...] = ()


def decode(name: str, data: bytes, declared: str = "") -> DecodedText:
    """The text of ``data``; ``declared`` is the encoding that the file itself names. Raises DocumentRefused."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return DecodedText(_strictly(name, data, encoding))
    if b"\0" in data:
        return DecodedText(_with_nuls(name, data))
    for encoding in filter(None, ("utf-8" if _SHIFT not in data else "", _meant(declared), declared)):
        try:
            return DecodedText(data.decode(encoding), "" if encoding == "utf-8" else _named(encoding))
        except (UnicodeError, LookupError):  # of the names that a page may give, some stand for no text at all
            continue
    return _guessed(name, data)


def _meant(declared: str) -> str:
    """Empty where the name stands for itself, or for nothing that is known."""
    try:
        return _MEANT.get(codecs.lookup(declared).name, "")
    except LookupError:
        return ""


def _guessed(name: str, data: bytes) -> DecodedText:
    sample = _sample(data)
    usual = _found(sample, USUAL)
    known = bool(usual) and not _is_odd(usual[0])
    found = usual if known else _found(sample, RARER) + usual
    for best in found:
        try:
            text = data.decode(best.encoding)
        except UnicodeDecodeError as error:
            if error.start < len(data) - 8:  # not just cut in a character's middle, as the sample may be
                continue
            text = data[: error.start].decode(best.encoding)
        likely = [other for other in found if other is not best and other.chaos <= best.chaos + SURE_CHAOS / 2]
        named = tuple(_named(other.encoding) for other in likely)
        sure = known and best.chaos <= SURE_CHAOS
        return DecodedText(text, _named(best.encoding), named if sure else named or ("?",))
    return DecodedText(_utf16_of_characters(name, data))


def _found(sample: bytes, encodings: Sequence[str]) -> list[CharsetMatch]:
    """The likeliest first."""
    found = [match for match in from_bytes(sample, cp_isolation=list(encodings)) if match.encoding in encodings]
    return sorted(found, key=_is_odd)


def _is_odd(match: CharsetMatch) -> bool:
    odd, text = _ODD.get(match.encoding), str(match)
    if match.encoding == "cp949" and any(min(sign.encode("cp949")) < 0xA1 for sign in set(text) if not sign.isascii()):
        return True  # a syllable that hardly any word has
    return odd is not None and odd.search(text) is not None


def _sample(data: bytes) -> bytes:
    """The beginning, cut behind a line, else a space: never within a character."""
    if len(data) <= _SAMPLE_BYTES:
        return data
    start = data[:_SAMPLE_BYTES]
    return start[: max(start.rfind(b"\n"), start.rfind(b" ")) + 1] or start


def _with_nuls(name: str, data: bytes) -> str:
    """UTF-16 without a mark, or UTF-8 into which NULs strayed. Raises DocumentRefused for bytes that are no text."""
    sample = data[:_SAMPLE_BYTES]
    if sample.count(0) <= _STRAY_NULS * len(sample):
        try:
            return data.replace(b"\0", b"").decode("utf-8")
        except UnicodeDecodeError:
            return _utf16_of_characters(name, data)
    low, high = sample[0::2].count(0) / len(sample[0::2]), sample[1::2].count(0) / max(1, len(sample[1::2]))
    if max(low, high) < _UTF16_NULS or min(low, high) > _UTF16_NULS / 2:
        return _utf16_of_characters(name, data)
    return _strictly(name, data, "utf-16-le" if high > low else "utf-16-be")


def _utf16_of_characters(name: str, data: bytes) -> str:
    """UTF-16 of Chinese, Japanese or Korean, which has few NULs. Raises DocumentRefused for what is none."""
    for encoding in ("utf-16-le", "utf-16-be"):
        text = data.decode(encoding, errors="replace")
        if len(_UTF16_SIGNS.findall(text)) >= _UTF16_SHARE * len(text):
            return _strictly(name, data, encoding)
    raise DocumentRefused("unknown_encoding", name=name)


def _strictly(name: str, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as broken:
        raise DocumentRefused("broken", name=name, kind=encoding.removesuffix("-sig").upper()) from broken


def _named(encoding: str) -> str:
    return NAMES.get(encoding, encoding.upper())
