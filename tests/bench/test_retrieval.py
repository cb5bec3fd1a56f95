from __future__ import annotations

import pytest

from bench.retrieval import filled, recall, silent
from bench.retrieval_notes import ABSENT, NOTES

pytestmark = pytest.mark.anyio


async def test_every_question_in_a_notes_words_finds_it_first_or_nearly() -> None:
    base = await filled()
    own = await recall(base, NOTES, in_its_words=True)
    assert own.asked == len(NOTES)
    assert own.found == own.asked
    assert own.first >= 0.9 * own.asked
    assert await silent(base) == len(ABSENT)
