"""Encodings are told apart, and what was taken is said."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.text_files.encodings import DecodedText, UnknownEncoding, decode

CHINESE = "甲方应在收到发票后三十日内付款，逾期每日按万分之五支付违约金。本合同自双方签字之日起生效。"
TAIWAN = "臺灣的天氣今天很好，我們一起去吃飯吧。本合約自雙方簽字之日起生效，有效期為三年。"
JAPANESE = "東京は日本の首都です。カタカナもあります。本契約は署名の日から有効となります。"
FRENCH = "Le café est fermé à Noël, près de l’église. Prix: 12 € — déjà payé."
RUSSIAN = "Политика возврата: клиент может вернуть товар в течение четырнадцати дней."
GREEK = "Ο πελάτης μπορεί να επιστρέψει το προϊόν εντός δεκατεσσάρων ημερών. Άνοιξε η πόρτα."
HEBREW = "הלקוח רשאי להחזיר את המוצר בתוך ארבעה עשר ימים מיום הקבלה."
TURKISH = "Müşteri, ürünü on dört gün içinde iade edebilir. İstanbul'da hava çok güzel."
ARABIC = "يمكن للعميل إرجاع المنتج خلال أربعة عشر يوما من تاريخ الاستلام."
THAI = "ลูกค้าสามารถคืนสินค้าได้ภายในสิบสี่วันนับจากวันที่ได้รับสินค้า"
KOREAN = "고객은 상품을 받은 날부터 십사 일 이내에 반품할 수 있습니다."
HINDI = "ग्राहक चौदह दिनों के भीतर सामान लौटा सकता है।"
CROATIAN = "Kupac može vratiti robu u roku od četrnaest dana, ako nije zadovoljan; šteta se plaća."
HUNGARIAN = "A vevő tizennégy napon belül visszaküldheti az árut, ha elégedetlen; a gép őrzi, fűti."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_unicode_leaves_no_choice(encoding: str) -> None:
    text = "Prices: 你好, café"
    assert decode(text.encode(encoding)).text.removeprefix("\ufeff") == text
    assert decode(text.encode(encoding)).encoding == ""


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
        ("It’s “fine” – 20 €", "cp1252", "CP1252"),
        ("50 €\n60 €\n", "cp1252", "CP1252"),
        ("½ cup at 20 °C", "cp1252", "CP1252"),
        ("Политика возврата: клиент может вернуть товар", "koi8_r", "KOI8_R"),
        (RUSSIAN, "cp1251", "CP1251"),
        (RUSSIAN, "cp866", "CP866"),
        (KOREAN, "euc_kr", "EUC-KR"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (GREEK, "cp1253", "CP1253"),
        (GREEK, "iso8859_7", "ISO8859_7"),
        ("Καλημέρα κόσμε", "cp1253", "CP1253"),
        (HEBREW, "cp1255", "CP1255"),
        (HEBREW, "iso8859_8", "CP1255"),  # the same letters
        (TURKISH, "cp1254", "CP1254"),
        (TURKISH, "iso8859_9", "CP1254"),
        ("Türkçe ağaç şişe ılık", "cp1254", "CP1254"),
        (ARABIC, "cp1256", "CP1256"),
        (ARABIC, "iso8859_6", "ISO8859_6"),
        (THAI, "cp874", "CP874"),
        (CROATIAN, "cp1250", "CP1250"),
        (HUNGARIAN, "cp1250", "CP1250"),
    ],
)
def test_older_encodings_are_found_and_named(text: str, encoding: str, named: str) -> None:
    read = decode(text.encode(encoding))
    assert (read.text, read.encoding) == (text, named)


def test_a_short_text_that_could_be_another_says_so() -> None:
    assert decode("你好世界".encode("gb18030")).others


def test_one_of_the_rarer_ones_says_that_it_may_be_another() -> None:
    assert decode("Proszę o zwrot pieniędzy w ciągu czternastu dni".encode("cp1250")).others


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_chinese_in_utf_16_without_a_mark_is_found(encoding: str) -> None:
    assert decode(CHINESE.encode(encoding)).text == CHINESE


@pytest.mark.parametrize(
    "text", [RUSSIAN, "Привет", "ПОЛИТИКА ВОЗВРАТА", GREEK, HEBREW, ARABIC, THAI, HINDI, KOREAN, JAPANESE]
)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_found_in_any_script(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == DecodedText(text)
    assert decode(f"id;{text};1\n".encode(encoding)) == DecodedText(f"id;{text};1\n")


@pytest.mark.parametrize("text", ["hello\0worlds", "first.txt\0other.txt\0third.txt\0", "one\n\0two\n"])
def test_a_nul_between_words_makes_no_utf_16_of_them(text: str) -> None:
    assert decode(text.encode()).text == text.replace("\0", "")


@given(st.text(st.sampled_from("付款合同条款возвратελάτης한국어日本"), min_size=24), st.data())
def test_a_damaged_byte_of_utf_8_costs_no_more_than_itself(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    damaged = text[:place].encode() + b"\xff" + text[place:].encode()
    assert decode(damaged) == DecodedText(f"{text[:place]}\ufffd{text[place:]}", "UTF-8", damaged=1)


@pytest.mark.parametrize("text", [FRENCH, TURKISH, "Müller, Köln", CHINESE, RUSSIAN])
@pytest.mark.parametrize("byte", [b"\xff", b"\x80", b"\xe9", b"\xed\xa0"])
def test_text_of_utf_8_with_a_byte_of_something_else_is_read_as_utf_8(text: str, byte: bytes) -> None:
    read = decode(text.encode() + b" " + byte + b" end")
    assert read.text.replace("\ufffd", "") == f"{text}  end"
    assert (read.encoding, read.damaged > 0) == ("UTF-8", True)


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_marked_text_that_is_cut_within_a_character_is_read_to_there(mark: str) -> None:
    read = decode(CHINESE.encode(mark)[:-1])
    assert (read.text, read.damaged) == (CHINESE[:-1] + "\ufffd", 1)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(CHINESE, "gb18030"), (TAIWAN, "big5"), (JAPANESE, "cp932"), (KOREAN, "cp949"), (FRENCH, "cp1252")],
)
def test_damage_makes_no_other_encoding_of_an_older_one(text: str, encoding: str) -> None:
    read = decode((text * 3).encode(encoding) + b"\x81 " + text.encode(encoding))
    assert (read.text[: len(text) * 3], read.damaged) == (text * 3, 1)


@pytest.mark.parametrize("data", [b"\0\1\2", b"\0\0\1\0\0\2\0\0" * 30, b"PK" + bytes(50), b"\xff\xfe" + b"\0\xd8" * 9])
def test_bytes_of_a_program_are_no_text(data: bytes) -> None:
    with pytest.raises(UnknownEncoding):
        decode(data)


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "gbk", "utf-16", "no-such"]))
def test_any_bytes_are_text_or_refused(data: bytes, declared: str) -> None:
    with contextlib.suppress(UnknownEncoding):
        assert decode(data, declared).damaged >= 0


@pytest.mark.parametrize("text", ["a,b\n1,\0\n", "日志\0\n" * 3, "\x1b[31mred\x1b[0m\n"])
def test_stray_control_characters_make_no_other_encoding_of_utf_8(text: str) -> None:
    assert decode(text.encode()).text.replace("\0", "") == text.replace("\0", "")


def test_a_page_that_names_its_encoding_is_believed() -> None:
    assert decode("你好".encode("gb2312"), "gb2312").text == "你好"


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
    assert decode(text.encode(encoding), declared) == DecodedText(text, named)


def test_what_only_the_named_encoding_has_is_read_in_it() -> None:
    assert decode(b"caf\xe9 \x81", "iso-8859-1").text == "café \x81"


@pytest.mark.parametrize("declared", ["undefined", "idna", "base64", "no-such"])
def test_a_name_that_stands_for_no_encoding_is_not_believed(declared: str) -> None:
    assert decode(FRENCH.encode("cp1252"), declared).text == FRENCH
