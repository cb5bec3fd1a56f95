"""Thoughts that a server leaves in the text of an answer, between tags at its very beginning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qwen_app.tools.parser import overlap

TAGS: Mapping[str, str] = {"<think>": "</think>", "[THINK]": "[/THINK]"}


@dataclass(slots=True)
class ThinkTags:
    """Tells thoughts, between tags at the very beginning of a text, from the answer behind them. Servers leave them
    there that have no parser for the thoughts of their model, or were not told to use it."""

    _held: str = ""  # what may be the beginning of a tag
    _closing: str = ""  # the tag that ends the thoughts which have begun
    _thought: bool = False  # those thoughts have ended
    _over: bool = False  # the answer has begun

    def feed(self, text: str) -> tuple[str, str]:
        """What of the text so far is now known to be thoughts, and what to be the answer."""
        if self._thought or self._over:
            return "", self._behind(text)
        held, self._held = self._held + text, ""
        if not self._closing:
            begun = held.lstrip()
            opening = next((tag for tag in TAGS if begun.startswith(tag)), None)
            if opening is None and any(tag.startswith(begun) for tag in TAGS):
                self._held = held
                return "", ""
            if opening is None:
                self._over = True
                return "", held
            self._closing, held = TAGS[opening], begun.removeprefix(opening)
        thoughts, closed, answer = held.partition(self._closing)
        if closed:
            self._closing = ""
            self._thought = True
            return thoughts, self._behind(answer)
        kept = len(thoughts) - overlap(thoughts, self._closing)
        self._held = thoughts[kept:]
        return thoughts[:kept], ""

    def _behind(self, text: str) -> str:
        """``text`` without the blanks between thoughts and answer."""
        text = text if self._over else text.lstrip()
        self._over = self._over or bool(text)
        return text

    def finish(self) -> tuple[str, str]:
        """What is still held when the text is over."""
        held, self._held, self._over = self._held, "", True
        return (held, "") if self._closing else ("", held)
