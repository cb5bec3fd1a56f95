"""What stands right in front of Gradio, put on the app in one place."""

from __future__ import annotations

from fastapi import FastAPI

from qwen_app.http.paths import PathPrefixes
from qwen_app.web.page_calls.faults import GradioFaults, keep_traces_out
from qwen_app.web.page_calls.ledger import Ledger
from qwen_app.web.page_calls.middleware import PageCalls
from qwen_app.web.page_calls.origin import OwnOrigin


def install_page_calls(app: FastAPI, *, own_host: str, not_gradios: PathPrefixes) -> None:
    """The innermost first: what is added last comes first."""
    keep_traces_out()
    app.add_middleware(OwnOrigin, own_host=own_host, not_gradios=not_gradios)
    app.add_middleware(GradioFaults, not_gradios=not_gradios)
    app.add_middleware(PageCalls, ledger=Ledger())
