"""What went wrong, and whether what was typed can be used, as lines for the visitor."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from html import escape

from qwen_app.errors import AppError, EngineError, SchemaError
from qwen_app.ui.shared.strings import Texts

log = logging.getLogger(__name__)


def notice_html(sentence: str, about: str = "") -> str:
    """``about`` names what it answers, for the page's scripts."""
    named = f' data-about="{escape(about, quote=True)}"' if about else ""
    return f'<div class="notice" role="alert"{named}>{escape(sentence)}</div>'


def failure_html(error: Exception, texts: Texts, about: str = "") -> str:
    """A notice; what nobody foresaw goes to the log and is not shown."""
    if not isinstance(error, AppError):
        log.error("a tab's action failed", exc_info=error)
        error = EngineError("Something went wrong on the server. Try again.")
    return notice_html(texts.error(error.code, error.message), about)


def document_refusal(reason: str, values: Mapping[str, str], detail: str, texts: Texts) -> str:
    """Why a document was not taken. A browser may have sent all three: ``detail`` is said where there is no sentence
    for the reason, or it lacks a value."""
    try:
        return texts(f"document_{reason}", **values)
    except (KeyError, ValueError, IndexError):
        return texts.translated(detail) or texts("document_broke_off")


def check_html(problem: AppError | None, texts: Texts, *, strict: bool = True) -> str:
    """The line under an editor: fine, where ``strict`` all of it; or what is wrong and where."""
    if problem is None:
        return f'<div class="check good">✓ {texts("check_good" if strict else "check_usable")}</div>'
    place = problem.pointer if isinstance(problem, SchemaError) else ""
    pointer = "" if place in problem.message else f" <code>{escape(place)}</code>"
    sentence = escape(texts.error(problem.code, problem.message))
    return f'<div class="check bad" role="alert">✗ {sentence}{pointer}</div>'
