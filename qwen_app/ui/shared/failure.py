"""What went wrong, as a notice for the visitor."""

from __future__ import annotations

import logging
from html import escape

from qwen_app.errors import AppError, EngineError
from qwen_app.ui.shared.strings import Texts

log = logging.getLogger(__name__)


def failure_html(error: Exception, texts: Texts) -> str:
    """A notice; what nobody foresaw goes to the log and is not shown."""
    if not isinstance(error, AppError):
        log.error("a tab's action failed", exc_info=error)
        error = EngineError("Something went wrong on the server. Try again.")
    return f'<div class="notice" role="alert">{escape(texts.error(error.code, error.message))}</div>'
