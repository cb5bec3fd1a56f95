from __future__ import annotations

import pytest

from qwen_app.errors import EngineError, SchemaError
from qwen_app.ui.shared.notices import check_html, document_refusal, failure_html
from qwen_app.ui.shared.strings import Texts

EN = Texts("en")


def test_a_check_shows_where() -> None:
    shown = check_html(SchemaError("Not so.", pointer="/a/<b>"), EN)
    assert "/a/&lt;b&gt;" in shown
    assert check_html(SchemaError("Wrong at /a.", pointer="/a"), EN).count("/a") == 1


def test_a_failure_is_a_sentence_and_never_markup() -> None:
    assert "It &lt;broke&gt;." in failure_html(EngineError("It <broke>."), EN)


def test_a_document_is_refused_in_the_visitors_language_whatever_the_browser_hands_on() -> None:
    chinese, detail = Texts("zh"), "The upload broke off. Try again."
    assert "32" in document_refusal("too_large", {"name": "a.pdf", "limit": "32"}, "", chinese)
    for reason, values in (("", {}), ("no_such", {}), ("too_large", {"name": "a.pdf"})):
        assert document_refusal(reason, values, detail, chinese) == chinese.translated(detail) != detail
        assert document_refusal(reason, values, "", chinese) == chinese("document_broke_off")


def test_what_nobody_foresaw_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    shown = failure_html(ZeroDivisionError("secret detail"), EN)
    assert "Something went wrong" in shown
    assert "secret" not in shown
    assert "secret detail" in caplog.text
