"""Questions of a chosen length, each unlike every other from its first words on: nothing of them is known already."""

from __future__ import annotations

import random
import secrets

from qwen_app.errors import RequestError
from qwen_app.messages import Message
from qwen_app.service import Service

QUESTION = "\n\nTell the story behind these notes, at length."
TRIED_NOTES = (20, 60)  # how long a note is in tokens is found with these many
WHO = ("The harbour master", "A clerk", "The night nurse", "An engineer", "The baker", "A pilot", "The archivist")
DID = ("counted", "weighed", "recorded", "ordered", "returned", "inspected", "sold", "repaired")
WHAT = ("crates of copper wire", "lamps", "sacks of rye", "bundles of letters", "glass valves", "maps", "wheels")
WHEN = ("before noon", "after the storm", "on the third day", "at low tide", "without a word", "for the second time")


class PromptMaker:
    """Makes questions for the model behind ``service``, whose tokens it counts."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._note_tokens = 0.0
        self._beside_tokens = 0.0

    async def make(self, tokens: int) -> Message:
        """A question of about ``tokens`` tokens with its template, and no more. Raises RequestError for too few."""
        if not self._note_tokens:
            await self._calibrate()
        notes = int((tokens - self._beside_tokens) / self._note_tokens)
        writer = random.Random(secrets.token_hex(8))
        while notes > 0:
            message = Message("user", _text(writer, notes))
            made = await self._service.count_tokens([message])
            if made <= tokens:
                return message
            notes -= max(1, int((made - tokens) / self._note_tokens))
        raise RequestError(f"{tokens} tokens are too few to measure with.")

    async def _calibrate(self) -> None:
        writer = random.Random(7860)
        few, many = TRIED_NOTES
        less = await self._service.count_tokens([Message("user", _text(writer, few))])
        more = await self._service.count_tokens([Message("user", _text(writer, many))])
        self._note_tokens = max(1.0, (more - less) / (many - few))
        self._beside_tokens = max(0.0, less - few * self._note_tokens)


def _text(writer: random.Random, notes: int) -> str:
    return "\n".join(_note(writer) for _ in range(notes)) + QUESTION


def _note(writer: random.Random) -> str:
    number, count = writer.randrange(1000, 10_000), writer.randrange(2, 990)
    return f"{number}. {writer.choice(WHO)} {writer.choice(DID)} {count} {writer.choice(WHAT)} {writer.choice(WHEN)}."
