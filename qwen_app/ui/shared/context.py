"""What a tab gets to build itself with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypedDict

import gradio as gr

from qwen_app.http.addresses import user_at
from qwen_app.http.visitors import visitor_of
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.table_store import TableStore
from qwen_app.ui.shared.handlers import Updates
from qwen_app.ui.shared.strings import Language, Texts

GENERATION = "generation"  # the one concurrency limit that everything that generates shares

SESSION_TTL_S = 24 * 3600  # how long a browser tab's session is kept once nobody uses it


class QuickOptions(TypedDict):
    queue: bool
    show_progress: Literal["hidden"]
    api_visibility: Literal["private"]


class GeneratingOptions(TypedDict):
    concurrency_id: str
    concurrency_limit: None
    show_progress: Literal["hidden"]
    api_visibility: Literal["private"]


# Event options of handlers that answer at once.
QUICK: QuickOptions = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(slots=True)
class PageContext:
    """Shared by all tabs of one page. ``language`` holds "en" or "zh" and changes when the visitor switches."""

    service: Service
    settings: Settings
    tables: TableStore
    blocks: gr.Blocks
    language: gr.Radio
    _localized: list[tuple[gr.blocks.Block, dict[str, str]]] = field(default_factory=list)

    @property
    def generating(self) -> GeneratingOptions:
        """Event options of handlers that generate. Gradio holds none back: the engine's queue decides who runs."""
        return {
            "concurrency_id": GENERATION,
            "concurrency_limit": None,
            "show_progress": "hidden",
            "api_visibility": "private",
        }

    def localize(self, component: gr.blocks.Block, **keys: str) -> None:
        """Set properties of ``component`` to the texts with these keys, now in English and on every switch."""
        english = Texts("en")
        for name, key in keys.items():
            setattr(component, name, english(key))
        self._localized.append((component, keys))

    def localized_components(self) -> list[gr.blocks.Block]:
        return [component for component, _ in self._localized]

    def translations(self, language: Language) -> Updates:
        """Updates of ``localized_components``."""
        texts = Texts(language)
        return {
            component: dict(gr.update(), **{name: texts(key) for name, key in keys.items()})
            for component, keys in self._localized
        }


def owner(request: gr.Request) -> str:
    """Whose an upload is that this request speaks of."""
    return visitor_of(request.request) if request.request is not None else ""


def visitor(request: gr.Request) -> str:
    """Whom fairness counts a request for: the login where there is one, else the address. Tabs are no users."""
    return request.username or user_at(request.client.host if request.client else "")
