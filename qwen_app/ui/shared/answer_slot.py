"""One answer at a time: who writes into a browser tab's session, and how it is told to end."""

from __future__ import annotations

import asyncio

from qwen_app.ui.shared.strings import Language, Texts


class RunningAnswer:
    """An answer's hold on the slot: it ends once ``stop`` is set."""

    def __init__(self, slot: AnswerSlot) -> None:
        self.stop = asyncio.Event()
        self._slot = slot

    def release(self) -> None:
        """Make room for the next answer."""
        self._slot.holder = None


class AnswerSlot:
    """Room for one answer in a session.

    An answer takes the slot and releases it when it has ended. A visitor can end it early by ``stop``: it still writes
    its end, so that what there is is kept.
    """

    def __init__(self) -> None:
        self.holder: RunningAnswer | None = None
        self._texts = Texts("en")

    def speak(self, language: Language) -> Texts:
        """The visitor's words. Those of an answer being written are the same ones: it ends in the language that was
        chosen last."""
        self._texts.language = language
        return self._texts

    @property
    def busy(self) -> bool:
        return self.holder is not None

    def take(self) -> RunningAnswer | None:
        """A hold on the slot; None while another answer has it."""
        if self.holder is not None:
            return None
        self.holder = RunningAnswer(self)
        return self.holder

    def stop(self) -> None:
        if self.holder is not None:
            self.holder.stop.set()
