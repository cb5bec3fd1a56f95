"""Encodings are told apart, and what was taken is said."""

from __future__ import annotations

import pytest

from qwen_app.documents.readers.encodings import DecodedText, decode

CHINESE = "甲方应在收到发票后三十日内付款，逾期每日按万分之五支付违约金。本合同自双方签字之日起生效。"
TAIWAN = "臺灣的天氣今天很好，我們一起去吃飯吧。本合約自雙方簽字之日起生效，有效期為三年。"
JAPANESE = "東京は日本の首都です。カタカナもあります。本契約は署名の日から有効となります。"
FRENCH = "Le café est fermé à Noël, près de l’église. Prix: 12 € — déjà payé."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_unicode_leaves_no_choice(encoding: str) -> None:
    text = "Prices: 你好, café"
    assert decode("a.txt", text.encode(encoding)).text.removeprefix("\ufeff") == text
    assert decode("a.txt", text.encode(encoding)).encoding == ""


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (CHINESE, "gb18030", "GB18030"),
        (TAIWAN, "big5", "Big5"),
        (JAPANESE, "shift_jis", "Shift-JIS"),
        (JAPANESE, "iso2022_jp", "ISO-2022-JP"),
        (FRENCH, "cp1252", "CP1252"),
        (CHINESE * 10_000, "gb18030", "GB18030"),  # more than is looked at, which must not end within a character
        ("甲方乙方\n" * 100_000, "gb18030", "GB18030"),
        ("退款政策", "gb18030", "GB18030"),
        ("退款政策", "big5", "Big5"),
        ("환불 정책", "cp949", "EUC-KR"),
        ("Müller, Köln", "cp1252", "CP1252"),
        ("Политика возврата: клиент может вернуть товар", "koi8_r", "KOI8_R"),
    ],
)
def test_older_encodings_are_found_and_named(text: str, encoding: str, named: str) -> None:
    read = decode("a.txt", text.encode(encoding))
    assert (read.text, read.encoding) == (text, named)


def test_a_short_text_that_could_be_another_says_so() -> None:
    assert decode("a.txt", "你好世界".encode("gb18030")).others


def test_one_of_the_rarer_ones_says_that_it_may_be_another() -> None:
    assert decode("a.txt", "Proszę o zwrot pieniędzy w ciągu czternastu dni".encode("cp1250")).others


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_chinese_in_utf_16_without_a_mark_is_found(encoding: str) -> None:
    assert decode("a.txt", CHINESE.encode(encoding)).text == CHINESE


@pytest.mark.parametrize("text", ["a,b\n1,\0\n", "日志\0\n" * 3, "\x1b[31mred\x1b[0m\n"])
def test_stray_control_characters_make_no_other_encoding_of_utf_8(text: str) -> None:
    assert decode("a.txt", text.encode()).text.replace("\0", "") == text.replace("\0", "")


def test_a_page_that_names_its_encoding_is_believed() -> None:
    assert decode("a.html", "你好".encode("gb2312"), "gb2312").text == "你好"


@pytest.mark.parametrize(
    ("declared", "text", "encoding", "named"),
    [
        ("iso-8859-1", "100 € – “café”", "cp1252", "CP1252"),
        ("ascii", "100 € – “café”", "cp1252", "CP1252"),
        ("euc-kr", "똠방각하", "cp949", "EUC-KR"),
        ("gb2312", "朱镕基 裡", "gb18030", "GB18030"),
        ("GBK", "朱镕基 €", "gb18030", "GB18030"),
        ("shift_jis", "髙橋 ①", "cp932", "Shift-JIS"),
    ],
)
def test_an_old_name_means_what_browsers_take_it_for(declared: str, text: str, encoding: str, named: str) -> None:
    assert decode("a.html", text.encode(encoding), declared) == DecodedText(text, named)


def test_what_only_the_named_encoding_has_is_read_in_it() -> None:
    assert decode("a.html", b"caf\xe9 \x81", "iso-8859-1").text == "café \x81"


@pytest.mark.parametrize("declared", ["undefined", "idna", "base64", "no-such"])
def test_a_name_that_stands_for_no_encoding_is_not_believed(declared: str) -> None:
    assert decode("a.html", FRENCH.encode("cp1252"), declared).text == FRENCH
