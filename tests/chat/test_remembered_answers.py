"""The ids of answers are kept within bounds."""

from __future__ import annotations

from qwen_app.chat.remembered_answers import REMEMBERED_ANSWERS, REMEMBERED_TOKENS, RememberedAnswers


def test_remembered_answers_are_bounded_in_number_and_in_tokens() -> None:
    answers = RememberedAnswers()
    for n in range(REMEMBERED_ANSWERS + 50):
        answers.add(f"answer {n}", [n, n])
    assert len(answers) == REMEMBERED_ANSWERS
    assert answers.tokens == 2 * REMEMBERED_ANSWERS
    long = [7] * (REMEMBERED_TOKENS // 4)
    for n in range(12):
        answers.add(f"long {n % 6}", long)
    assert answers.tokens == sum(len(answers.ids_of(f"long {n}") or ()) for n in range(6)) <= REMEMBERED_TOKENS
    assert answers.ids_of("long 5")
    assert not answers.ids_of("answer 549")
