"""The store, against SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from qwen_app.errors import ServerFull, TooManyRequests
from qwen_app.fair_share import BROWSERS, GUESTS
from qwen_app.saved_chats.chat_store import UNDO_S, ChatStore
from qwen_app.saved_chats.database import migrated, sqlite_file
from qwen_app.saved_chats.values import ChatLimits, ChatSummary, SavedChat, SavedMessage
from tests.examples import examples

DAY_S = 86_400


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def chat(name: str, *texts: str, title: str = "") -> SavedChat:
    """Questions and answers in turn."""
    made: list[SavedMessage] = []
    for number, text in enumerate(texts):
        parent = made[-1].id if made else None
        made.append(SavedMessage(f"{name}-{number}", parent, "assistant" if number % 2 else "user", text))
    return SavedChat(ChatSummary(name, title or name), tuple(made), made[-1].id if made else None)


def test_a_setting_of_a_message_is_changed_by_its_owner_alone(engine: Engine) -> None:
    store = ChatStore(engine)
    question = SavedMessage("q", None, "user", "why?", settings={"documents": ["large"]})
    store.save("ada", SavedChat(ChatSummary("c", "Title"), (question,), "q"))
    assert not store.change_setting("bob", "c", "q", "hold", "pinned")
    assert not store.change_setting("ada", "c", "other", "hold", "pinned")
    settings = []
    for value in ("pinned", None):
        assert store.change_setting("ada", "c", "q", "hold", value)
        found = store.load("ada", "c")
        assert found is not None
        settings.append(found.messages[0].settings)
    assert settings == [{"documents": ["large"], "hold": "pinned"}, {"documents": ["large"]}]


def test_what_is_saved_comes_back(engine: Engine) -> None:
    store = ChatStore(engine)
    asked = SavedMessage("a", "q", "assistant", "half", state="running", settings={"temperature": 0.5})
    whole = SavedChat(ChatSummary("c", "Title"), (SavedMessage("q", None, "user", "why?"), asked), "a")
    store.save("ada", whole)
    ended = replace(asked, content="because", state="done", run={"reason": "stop", "seed": 7})
    store.save("ada", replace(whole, messages=(ended,)))
    found = store.load("ada", "c")
    assert found is not None
    assert [replace(message, created_at=0.0) for message in found.messages] == [whole.messages[0], ended]
    assert [message.id for message in found.path()] == ["q", "a"]
    assert (found.summary.title, found.head_id) == ("Title", "a")


def test_a_deleted_chat_comes_back_with_a_question_and_not_with_an_answer(engine: Engine) -> None:
    store = ChatStore(engine)
    store.save("ada", chat("c", "one"))
    assert store.delete("ada", "c")
    store.save("ada", chat("c", "one", "the end of an answer"), new=False)
    assert store.listed("ada") == []
    store.save("bob", chat("d", "another's"))
    store.save("ada", chat("c", "one", "the end of an answer", "two"), new=False)
    assert [summary.id for summary in store.listed("ada")] == ["c"]
    found = store.load("ada", "c")
    assert found is not None
    assert [message.content for message in found.messages] == ["one", "the end of an answer", "two"]


def test_an_id_is_no_right(engine: Engine) -> None:
    store = ChatStore(engine)
    store.save("ada", chat("c", "secret", "answer"))
    assert store.load("bob", "c") is None
    assert store.listed("bob") == store.listed("bob", "secret") == []
    tries = [
        store.rename("bob", "c", "mine", "user"),
        store.pin("bob", "c", pinned=True),
        store.delete("bob", "c"),
        store.restore("bob", "c"),
    ]
    assert tries == [False] * 4
    assert store.delete_all("bob") == 0
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):  # his own chat cannot take its name either
        store.save("bob", chat("c", "other"))
    found = store.load("ada", "c")
    assert found is not None
    assert [message.content for message in found.messages] == ["secret", "answer"]


def test_the_list_is_newest_first_below_what_is_pinned(engine: Engine) -> None:
    clock = Clock()
    store = ChatStore(engine, clock=clock)
    for name in ("old", "middle", "new"):
        clock.now += 1
        store.save("ada", chat(name, "hi"))
    store.pin("ada", "old", pinned=True)
    assert [line.id for line in store.listed("ada")] == ["old", "new", "middle"]


@pytest.mark.parametrize(
    ("search", "found"), [("PARIS", ["c"]), ("100%", ["d"]), ("%", ["d"]), ("_", []), ("中文", ["c"])]
)
def test_search_looks_into_titles_and_texts_as_they_are_written(engine: Engine, search: str, found: list[str]) -> None:
    store = ChatStore(engine)
    store.save("ada", chat("c", "Where is Paris?", "在中文里", title="Travel"))
    store.save("ada", chat("d", "It is 100% sure"))
    assert [line.id for line in store.listed("ada", search)] == found


@pytest.mark.parametrize(
    ("written", "search"), [("ＧＰＵ　２０２４", "gpu 2024"), ("the ﬁle", "FILE"), ("违\n约金", "违约")]
)
def test_search_finds_what_is_written_otherwise(tmp_path: Path, written: str, search: str) -> None:
    """In SQLite. PostgreSQL's own functions know capitals alone."""
    engine = migrated(sqlite_file(tmp_path))
    store = ChatStore(engine)
    store.save("ada", chat("c", written))
    assert [line.id for line in store.listed("ada", search)] == ["c"]
    engine.dispose()


@pytest.mark.parametrize("search", ["ＧＰＵ", "100％", "违约"])
def test_search_finds_what_is_typed_otherwise(engine: Engine, search: str) -> None:
    store = ChatStore(engine)
    store.save("ada", chat("c", "Of GPU, 100% and 违约金."))
    assert [line.id for line in store.listed("ada", search)] == ["c"]
    assert store.listed("ada", "％x") == []


@pytest.mark.parametrize("search", ["москва", "МОСКВА", "äpfel", "поездка"])
def test_search_finds_capitals_of_every_language(engine: Engine, search: str) -> None:
    store = ChatStore(engine)
    store.save("ada", chat("c", "Привет, Москва!", "ÄPFEL", title="Поездка"))
    assert [line.id for line in store.listed("ada", search)] == ["c"]


def test_a_persons_title_is_not_written_over(engine: Engine) -> None:
    store = ChatStore(engine)
    store.save("ada", chat("c", "hi", title="hi"))
    assert store.rename("ada", "c", "A model's", "model")
    assert store.rename("ada", "c", "  My\nown ", "user")
    assert not store.rename("ada", "c", "A model's", "model")
    assert store.listed("ada")[0].title == "My own"


def test_delete_can_be_taken_back_for_a_while(engine: Engine) -> None:
    clock = Clock()
    store = ChatStore(engine, clock=clock)
    store.save("ada", chat("c", "hi"))
    assert store.delete("ada", "c")
    assert store.listed("ada") == []
    assert store.load("ada", "c") is None
    clock.now += UNDO_S - 1
    assert store.purge() == 0
    assert store.restore("ada", "c")
    assert [line.id for line in store.listed("ada")] == ["c"]
    store.delete("ada", "c")
    clock.now += UNDO_S + 1
    assert store.purge() == 1
    assert not store.restore("ada", "c")


def test_delete_everything_of_mine_is_mine_alone(engine: Engine) -> None:
    store = ChatStore(engine)
    for owner, name in (("ada", "a"), ("ada", "b"), ("bob", "c")):
        store.save(owner, chat(name, "hi", "there"))
    store.delete("ada", "a")
    assert store.delete_all("ada") == 2
    assert store.load("ada", "b") is None
    assert [line.id for line in store.listed("bob")] == ["c"]


def test_retention_spares_what_is_pinned_or_young(engine: Engine) -> None:
    clock = Clock()
    store = ChatStore(engine, ChatLimits(days=30), clock)
    for name in ("old", "pinned"):
        store.save("ada", chat(name, "hi"))
    store.pin("ada", "pinned", pinned=True)
    clock.now += 31 * DAY_S
    store.save("ada", chat("young", "hi"))
    assert store.purge() == 1
    assert {line.id for line in store.listed("ada")} == {"young", "pinned"}


@pytest.mark.parametrize("limits", [ChatLimits(chats=2), ChatLimits(bytes_per_user=500), ChatLimits(bytes_in_all=1000)])
def test_limits_refuse_what_is_new_and_take_nothing_away(engine: Engine, limits: ChatLimits) -> None:
    store = ChatStore(engine, limits)
    store.save("ada", chat("a", "x" * 60))
    store.save("ada", chat("b", "x" * 60))
    with pytest.raises(TooManyRequests):
        store.save("ada", chat("c", "hi"))
    assert {line.id for line in store.listed("ada")} == {"a", "b"}
    store.save("ada", replace(chat("a", "y" * 60)))  # a running answer goes on being written
    store.save("bob", chat("d", "hi"))  # what ada filled leaves room for others


@pytest.mark.parametrize("crowd", [GUESTS, BROWSERS])
def test_a_crowd_together_leaves_room_for_all_others(engine: Engine, crowd: str) -> None:
    store = ChatStore(engine, ChatLimits(bytes_in_all=3000))
    for number in range(6):
        store.save(f"{crowd}{number}", chat(f"g{number}", "x" * 60))
    with pytest.raises(ServerFull, match="guests" if crowd == GUESTS else "browsers"):
        store.save(f"{crowd}of one link more", chat("more", "x"))
    store.save("ada", chat("a", "hi"))
    assert all(store.load(f"{crowd}{number}", f"g{number}") for number in range(6))


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(codec=None), max_size=40), number=st.integers(0, 10**9))
def test_any_text_can_be_saved(engine: Engine, text: str, number: int) -> None:
    store = ChatStore(engine)
    name = f"c{number}-{abs(hash(text))}"
    store.save("ada", chat(name, text, title=text))
    found = store.load("ada", name)
    assert found is not None
    kept = text.replace("\0", "\ufffd").encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    assert len(found.messages[0].content) >= len(text)
    assert found.messages[0].content.replace("\ufffd", "") == kept.replace("\ufffd", "")
    store.listed("ada", text)
    store.delete_all("ada")
