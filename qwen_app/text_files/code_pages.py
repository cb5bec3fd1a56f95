"""Which of the older encodings a text is in: how it reads in each, as a library measures it and as letters tell."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

# Those that files are found in by the million; the others have to be that much likelier.
USUAL = ("cp1252", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1251", "iso2022_jp")
_RARER_LATIN = ("cp1250", "iso8859_2", "cp1254", "cp1257")
_OTHER_SCRIPTS = ("cp1253", "iso8859_7", "cp1255", "cp1256", "iso8859_6", "cp874", "koi8_r", "cp866")
_CHINESE_AND_NEAR = ("gb18030", "big5", "cp932", "euc_jp", "cp949")
# Letters besides A to Z that languages are written with: in a wrong encoding there are some that none of them has.
_WESTERN = """
àâæçéèêëîïôœùûüÿ äöüß áéíñóúü àáâãçéêíóôõú àèéìòóù åäöé æøåé áæéíðóöúýþ áíóúýæøð éëïóöü àçèéíïòóúü äöõüšž
"""
_CENTRAL = "ąćęłńóśźż áčďéěíňóřšťúůýž áäčďéíĺľňóôŕšťúýž áéíóöőúüű čćđšž ăâîşţ"
_ALPHABETS = {
    "cp1252": _WESTERN.split(),
    "cp1250": _CENTRAL.split(),
    "iso8859_2": _CENTRAL.split(),
    "cp1254": ["çğıöşüâîû\u0307"],  # the dot that is left of a small İ
    "cp1257": ["ąčęėįšųūž", "āčēģīķļņšūž"],
}
# How a text looks in an encoding that is not its own: signs within words, letters of two scripts side by side, letters
# where no word has them, kana in Chinese, half-width kana, Chinese characters in Korean.
_LATIN = "A-Za-z\u00c0-\u024f"
_SIGN_WITHIN = re.compile(f"[{_LATIN}][\u00a1-\u00b6\u00b8-\u00bf][{_LATIN}]")
_TWO_SCRIPTS = re.compile(r"[A-Za-z][\u0370-\u0e7f]|[\u0370-\u0e7f][A-Za-z]|¶[\u0370-\u03ff]|[а-я][ЬЭЮЯ]|\b[ьъЬЪ]")
_ODD = (
    dict.fromkeys(("cp1252", *_RARER_LATIN), _SIGN_WITHIN)
    | dict.fromkeys(("cp1251", *_OTHER_SCRIPTS), _TWO_SCRIPTS)
    | {"gb18030": re.compile("[\u3041-\u30ff]"), "cp932": re.compile("[\uff61-\uff9f]")}
    | {"cp949": re.compile("[\u4e00-\u9fff]")}
)
# Signs as they stand in any text, one by one: to the library they are odd where there is little else.
_SIGNS = re.compile(
    r"(?<![^\0-\x7f])[\xa0\xa3\xa7\xa9\xae\xb0-\xb3\xb5\xbc-\xbe\u2010-\u2026\u20ac\u2122](?![^\0-\x7f])"
)
_TWO_CHARACTERS = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7af]{2}")
SURE_CHAOS = 0.1  # how odd the text may look, of 1, as the library measures it
_MOST_CHAOS = 0.4
_MOST_DAMAGED = 0.05  # of the characters
# What is held against an encoding, beside the chaos of 0 to 1.
_IS_RARER, _IS_ODD, _LACKS_LETTERS, _IS_DAMAGED, _SPEAKS_NO_LANGUAGE = 0.05, 0.2, 1.0, 2.0, 0.5
AS_LIKELY = 0.05


@dataclass(frozen=True, slots=True)
class Likely:
    """``text`` as it is in ``encoding``: the lower ``against``, the likelier. ``sure``: usual, and reads well."""

    encoding: str
    text: str
    against: float
    sure: bool


@dataclass(frozen=True, slots=True)
class _Reading:
    encoding: str
    text: str
    chaos: float
    coherence: float
    damaged: float


def likely_encodings(sample: bytes) -> list[Likely]:
    """All that ``sample`` can be read in, the likeliest first."""
    encodings = (*USUAL, *_OTHER_SCRIPTS, *_RARER_LATIN)
    readings = [found for encoding in encodings for found in [_reading(sample, encoding)] if found]
    # Letters tell Latin encodings apart; how much of a language they sound like differs by chance alone.
    latin = max((one.coherence for one in readings if one.encoding in _ALPHABETS), default=0.0)
    return sorted((_likely(one, latin) for one in readings), key=lambda one: one.against)


def _likely(reading: _Reading, latin_coherence: float) -> Likely:
    encoding, is_odd = reading.encoding, _is_odd(reading)
    coherence = latin_coherence if encoding in _ALPHABETS else reading.coherence
    against = (
        reading.chaos
        - _SPEAKS_NO_LANGUAGE * coherence
        + _IS_RARER * (encoding not in USUAL)
        + _IS_ODD * is_odd
        + _LACKS_LETTERS * _foreign_letters(reading)
        + _IS_DAMAGED * reading.damaged
    )
    sure = encoding in USUAL and not is_odd and reading.chaos <= SURE_CHAOS
    return Likely(encoding, reading.text, against, sure)


def _reading(sample: bytes, encoding: str) -> _Reading | None:
    """None where it makes no sense in this encoding. A character that is cut at the end is no damage."""
    read = codecs.getincrementaldecoder(encoding)
    text = read("ignore").decode(sample)
    damaged = (len(read("replace").decode(sample)) - len(text)) / max(1, len(text))
    if damaged > _MOST_DAMAGED:
        return None
    found = from_bytes(
        _SIGNS.sub("", text).encode(encoding, "ignore"), cp_isolation=[encoding], threshold=_MOST_CHAOS
    ).best()
    return _Reading(encoding, text, found.chaos, found.coherence, damaged) if found else None


def _is_odd(reading: _Reading) -> bool:
    encoding, text = reading.encoding, reading.text
    if encoding in _CHINESE_AND_NEAR and not _TWO_CHARACTERS.search(text):
        return True  # letters with accents take the next one with them
    if encoding == "cp949" and any(min(sign.encode("cp949")) < 0xA1 for sign in set(text) if not sign.isascii()):
        return True  # a syllable that hardly any word has
    return encoding in _ODD and _ODD[encoding].search(text) is not None


def _foreign_letters(reading: _Reading) -> float:
    """Which share of its letters besides A to Z is not of the one alphabet that has most of them."""
    letters = [sign for sign in reading.text.lower() if not sign.isascii() and sign.isalpha() and sign not in "ºª"]
    known = [sum(letter in alphabet for letter in letters) for alphabet in _ALPHABETS.get(reading.encoding, ())]
    return 1 - max(known) / len(letters) if known and letters else 0.0
