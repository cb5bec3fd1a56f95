from __future__ import annotations

from qwen_app.ui.shared.answer_slot import AnswerSlot


def test_one_answer_at_a_time() -> None:
    slot = AnswerSlot()
    answer = slot.take()
    assert answer is not None
    assert slot.take() is None
    answer.release()
    assert slot.take() is not None


def test_a_stopped_answer_may_write_its_end() -> None:
    slot = AnswerSlot()
    answer = slot.take()
    assert answer is not None
    slot.stop()
    assert answer.stop.is_set()
    assert slot.busy


def test_nothing_to_stop() -> None:
    slot = AnswerSlot()
    slot.stop()
    assert not slot.busy


def test_an_answer_that_is_being_written_speaks_the_language_chosen_meanwhile() -> None:
    slot = AnswerSlot()
    texts = slot.speak("en")
    before = texts("stop")
    slot.speak("zh")
    assert (texts.language, texts("stop") == before) == ("zh", False)
