"""Links to chats: read-only, expiring, revocable."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from qwen_app.errors import NotFound, TooManyRequests
from qwen_app.saved_chats.chat_store import ChatStore
from qwen_app.saved_chats.share_store import LINKS_PER_USER, ShareStore
from qwen_app.saved_chats.values import ChatSummary, SavedChat, SavedMessage

QUESTION = SavedMessage("q", None, "user", "why?")
ANSWER = SavedMessage("a", "q", "assistant", "because")


class Shared:
    def __init__(self, engine: Engine) -> None:
        self.now = 1000.0
        self.chats = ChatStore(engine)
        self.links = ShareStore(engine, lambda: self.now)
        self.chats.save("ada", SavedChat(ChatSummary("c", "Title"), (QUESTION, ANSWER), "a"))
        self.token = self.links.share("ada", "c", 60)

    def texts(self) -> list[str] | None:
        shown = self.links.shown(self.token)
        assert (self.links.version(self.token) is None) == (shown is None)
        return None if shown is None else [message.content for message in shown[1]]


def test_a_link_shows_what_was_there_when_it_was_made(engine: Engine) -> None:
    shared = Shared(engine)
    later = SavedMessage("q2", "a", "user", "a secret, said later")
    shared.chats.save("ada", SavedChat(ChatSummary("c", "Title"), (later,), "q2"))
    assert shared.texts() == ["why?", "because"]
    shared.now += 61
    assert shared.texts() is None


def test_a_link_ends_with_its_revocation_or_its_chat(engine: Engine) -> None:
    shared = Shared(engine)
    (link,) = shared.links.links("ada", "c")
    assert not shared.links.revoke("bob", link.id)
    assert shared.links.links("bob", "c") == []
    assert shared.texts() is not None
    assert shared.links.revoke("ada", link.id)
    assert shared.texts() is None
    shared.token = shared.links.share("ada", "c", 60)
    shared.chats.delete("ada", "c")
    assert shared.texts() is None


def test_a_links_version_changes_with_what_it_shows(engine: Engine) -> None:
    shared = Shared(engine)
    versions = [shared.links.version(shared.token)]
    shared.chats.rename("ada", "c", "Another", "user")
    versions.append(shared.links.version(shared.token))
    shared.chats.save("ada", SavedChat(ChatSummary("c", "Title"), (replace(ANSWER, content="so"),), "a"))
    versions.append(shared.links.version(shared.token))
    assert shared.texts() == ["why?", "so"]
    assert len(set(versions)) == 3


def test_a_links_id_does_not_open_it(engine: Engine) -> None:
    shared = Shared(engine)
    (link,) = shared.links.links("ada", "c")
    assert shared.links.shown(link.id) is None
    assert link.id != shared.token


def test_only_ones_own_chats_can_be_shared_and_not_without_end(engine: Engine) -> None:
    shared = Shared(engine)
    with pytest.raises(NotFound):
        shared.links.share("bob", "c", 60)
    for _ in range(LINKS_PER_USER - 1):
        shared.links.share("ada", "c", 60)
    with pytest.raises(TooManyRequests):
        shared.links.share("ada", "c", 60)
