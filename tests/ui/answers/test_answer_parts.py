from __future__ import annotations

import pytest

from qwen_app.ui.answers.answer_parts import answer_parts
from qwen_app.ui.conversations.conversation import Turn
from qwen_app.ui.shared.run_line import Run
from qwen_app.ui.shared.strings import Language, Texts


@pytest.mark.parametrize(("language", "between"), [("en", ". What was written"), ("zh", "。已生成的内容")])
def test_what_is_kept_of_a_failed_answer_follows_as_sentences_do_in_that_language(
    language: Language, between: str
) -> None:
    turn = Turn("q", "half", run=Run("failed", error_code="engine_error", error_text="The engine broke. Try again."))
    assert between in answer_parts(turn, Texts(language), None)[-1]
