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
    assert answer.current
    assert slot.busy


def test_an_abandoned_answer_has_nothing_left_to_write_into() -> None:
    slot = AnswerSlot()
    old = slot.take()
    assert old is not None
    slot.abandon()
    assert old.stop.is_set()
    assert not old.current
    new = slot.take()
    assert new is not None
    old.release()
    assert new.current
    assert not new.stop.is_set()


def test_nothing_to_stop() -> None:
    slot = AnswerSlot()
    slot.stop()
    slot.abandon()
    assert not slot.busy


def test_an_answer_that_is_being_written_speaks_the_language_chosen_meanwhile() -> None:
    slot = AnswerSlot()
    texts = slot.speak("en")
    before = texts("stop")
    slot.speak("zh")
    assert (texts.language, texts("stop") == before) == ("zh", False)
