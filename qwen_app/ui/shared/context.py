"""What a tab gets to build itself with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.ui.shared.strings import Language, Texts

GENERATION = "generation"  # the one concurrency limit that everything that generates shares

# Event options of handlers that answer at once.
QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(slots=True)
class PageContext:
    """Shared by all tabs of one page. ``language`` holds "en" or "zh" and changes when the visitor switches."""

    service: Service
    settings: Settings
    blocks: gr.Blocks
    language: gr.Radio
    _localized: list[tuple[gr.blocks.Block, dict[str, str]]] = field(default_factory=list)

    @property
    def generation_limit(self) -> int:
        """Generations the page lets through at once: the engine's own queue decides who runs."""
        return self.service.info().slots + self.settings.queue_limit

    @property
    def generating(self) -> dict[str, Any]:
        """Event options of handlers that generate."""
        return {
            "concurrency_id": GENERATION,
            "concurrency_limit": self.generation_limit,
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

    def translations(self, language: Language) -> list[Any]:
        """Updates for ``localized_components``, in their order."""
        texts = Texts(language)
        translated = ({name: texts(key) for name, key in keys.items()} for _, keys in self._localized)
        return [dict(gr.update(), **words) for words in translated]


def visitor(request: gr.Request) -> str:
    """Whom fairness counts a request for: the login where there is one, else the browser tab."""
    return request.username or request.session_hash or "anonymous"
