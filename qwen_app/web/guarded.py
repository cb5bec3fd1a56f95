"""What stands right in front of a page of Gradio's: that of everybody, and that of guests."""

from __future__ import annotations

from fastapi import FastAPI

from qwen_app.http.paths import PathPrefixes
from qwen_app.settings import Settings
from qwen_app.web.kept_assets import KeptAssets
from qwen_app.web.no_files import NoFiles
from qwen_app.web.page_calls.install import install_page_calls
from qwen_app.web.page_guard import PageGuard
from qwen_app.web.page_gzip import PageGzip


def guard_page(app: FastAPI, settings: Settings, *, api_paths: PathPrefixes, not_gradios: PathPrefixes) -> None:
    """``api_paths`` are guarded by the API; ``not_gradios`` are all that Gradio does not answer."""
    # the innermost first: what is added last comes first
    app.add_middleware(NoFiles)
    install_page_calls(app, own_host=f"localhost:{settings.port}", not_gradios=not_gradios)
    app.add_middleware(PageGuard, api_paths=api_paths)
    app.add_middleware(PageGzip)
    app.add_middleware(KeptAssets)
