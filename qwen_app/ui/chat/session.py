"""What the chat keeps for one browser tab."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.ui.chat.conversation import Conversation
from qwen_app.ui.shared.answer_slot import AnswerSlot
from qwen_app.ui.shared.strings import Language, Texts


@dataclass(slots=True)
class ChatSession:
    """One browser tab's chat: the truth, of which the page shows pictures."""

    conversation: Conversation = field(default_factory=Conversation)
    language: Language = "en"
    slot: AnswerSlot = field(default_factory=AnswerSlot)

    @property
    def texts(self) -> Texts:
        return Texts(self.language)

    def stop(self) -> None:
        """End the answer in progress; what was written is kept."""
        self.slot.stop()

    def abandon(self) -> None:
        """End the answer in progress and let nothing more of it be written."""
        self.slot.abandon()
