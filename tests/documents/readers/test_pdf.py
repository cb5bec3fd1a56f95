"""What was filled in on a page of a PDF file is part of its text; a damaged page costs itself alone."""

from __future__ import annotations

import pytest

from qwen_app.documents.readers.tasks import read_document
from tests.documents import files

TICKED = "/AP << /N << /{} 4 0 R /Off 4 0 R >> >> /AS /{} /V /{}"


def text_of(*annotations: str) -> str:
    return read_document("a.pdf", files.form([f"/Subtype {one}" for one in annotations])).sections[0].text


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("/Widget /FT /Tx /T (name) /V (Jane Doe)", "name: Jane Doe"),
        ("/Widget /FT /Tx /T (f1) /TU (Full name) /V (Jane Doe)", "Full name: Jane Doe"),
        ("/Widget /FT /Tx /T (name) /V <FEFF674E96F7>", "name: 李雷"),
        ("/Widget /FT /Tx /T (notes) /Ff 4096 /V (one\\ntwo)", "notes: one\ntwo"),
        ("/Widget /FT /Ch /T (city) /Ff 131072 /Opt [(Rome) (Oslo)] /V (Oslo)", "city: Oslo"),
        ("/Widget /FT /Ch /T (cities) /Opt [(Rome) (Oslo)] /V (Rome)", "cities: Rome"),
        ("/Widget /FT /Btn /T (agreed) " + TICKED.format(*["Yes"] * 3), "agreed: ☑"),
        ("/Widget /FT /Btn /T (size) " + TICKED.format(*["Large"] * 3), "size: ☑ Large"),
        ("/FreeText /DA (/F 9 Tf) /Contents (typed over it)", "typed over it"),
    ],
)
def test_what_was_filled_in_is_read_below_the_text_of_its_page(field: str, line: str) -> None:
    assert text_of(field) == f"Form\n{line}"


@pytest.mark.parametrize(
    "field",
    [
        "/Widget /FT /Tx /T (name)",
        "/Widget /FT /Tx /T (name) /V ()",
        "/Widget /FT /Tx /T (secret) /Ff 8192 /V (hunter2)",
        "/Widget /FT /Btn /T (agreed) " + TICKED.format("Yes", "Off", "Off"),
        "/Widget /FT /Btn /T (send) /Ff 65536 /MK << /CA (Send) >>",
        "/Widget /FT /Sig /T (signature)",
        "/Link /A << /S /URI /URI (http://a) >>",
        "/Popup /Contents (aside)",
        "/Widget /F 2 /FT /Tx /T (hidden) /V (unseen)",
        "/Widget /V (no kind)",
    ],
)
def test_what_is_empty_secret_or_hidden_is_not(field: str) -> None:
    assert text_of(field) == "Form"


def test_fields_stand_in_their_order_and_a_repeated_one_once() -> None:
    fields = [f"/Widget /FT /Tx /T ({name}) /V ({name * 2})" for name in ("b", "a", "b")]
    assert text_of(*fields) == "Form\nb: bb\na: aa"


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("Ein- und Aus-\nfuhr", "Ein- und Ausfuhr"),
        ("INTERNATIO-\nNAL", "INTERNATIONAL"),
        ("the XR-\n2000 pump", "the XR-2000 pump"),
        ("Anna Meyer-\nSchmidt", "Anna Meyer-Schmidt"),
        ("non-\nEU trade", "non-EU trade"),
        ("an x-\nray", "an x-ray"),
        ("2023-\n2024", "2023-\n2024"),
    ],
)
def test_a_hyphen_at_a_lines_end_goes_where_it_only_parted_a_word(lines: str, text: str) -> None:
    assert read_document("a.pdf", files.pdf([lines])).sections[0].text == text


def test_so_does_the_one_that_browsers_print() -> None:
    tilde_as_hyphen = b"<< /BaseEncoding /WinAnsiEncoding /Differences [126 /uni2010] >>"
    printed = files.pdf(["Aus~\nfuhr, non~\nEU, up~to"]).replace(b"/WinAnsiEncoding", tilde_as_hyphen)
    assert read_document("a.pdf", printed).sections[0].text == "Ausfuhr, non-EU, up‐to"


def test_the_pages_beside_a_damaged_one_are_read() -> None:
    whole = files.pdf(["The first", "The second", "The third"])
    read = read_document("a.pdf", whole.replace(b"7 0 obj", b"7 0 xxx"))
    assert [one.text for one in read.sections] == ["The first", "", "The third"]
    assert [(note.code, note.values) for note in read.notes] == [("damaged_pages", {"pages": "2"})]
