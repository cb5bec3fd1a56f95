"""Saved chats for an event loop: the stores are called in their own threads, and old chats are deleted by the hour."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from qwen_app.errors import EngineUnavailable
from qwen_app.http.turns import Turns
from qwen_app.saved_chats import open_links
from qwen_app.saved_chats.chat_store import ChatStore
from qwen_app.saved_chats.database import CHATS, Tell, in_memory, memory, migrated, open_database, outlives_us
from qwen_app.saved_chats.integrity import unusable
from qwen_app.saved_chats.open_links import OpenLinks
from qwen_app.saved_chats.salvage import set_aside
from qwen_app.saved_chats.share_store import ShareStore
from qwen_app.saved_chats.values import ChatLimits

log = logging.getLogger(__name__)

PURGE_S = 3600.0
_KEY_FILE = "browser.key"
_KEY_BYTES = 32
_SERVER_THREADS = 4  # for a database server; SQLite has one writer anyway

P = ParamSpec("P")
T = TypeVar("T")
Gone = Callable[[str, str | None], None]  # is told an owner and the id of his chat; None: all of them


class SavedChats:
    """The stores, and threads to call them in. ``key`` signs the cookies of browsers without a login.

    What a visitor asks over HTTP takes ``turns``, so that nobody's many requests stand before another's.
    """

    def __init__(
        self,
        engine: Engine,
        limits: ChatLimits | None = None,
        key: bytes | None = None,
        links: OpenLinks | None = None,
    ) -> None:
        self.links = links or OpenLinks(engine)
        self.chats = ChatStore(engine, limits, links=self.links)
        self.shares = ShareStore(engine, links=self.links)
        self.turns = Turns()
        self.key = key or secrets.token_bytes(_KEY_BYTES)
        self._engine = engine
        self._closed = False
        self._told: list[Gone] = []
        threads = 1 if engine.dialect.name == "sqlite" else _SERVER_THREADS
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="saved-chats")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``call``, a method of a store, returns. Raises what it raises, and EngineUnavailable at the very end."""
        if self._closed:
            raise EngineUnavailable("The server is shutting down. Try again in a minute.")
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *args, **kwargs))

    def when_gone(self, tell: Gone) -> None:
        """Call ``tell`` whenever an owner has deleted a chat."""
        self._told.append(tell)

    async def delete(self, owner: str, chat_id: str) -> bool:
        """Hide the chat; whether there was one."""
        found = await self.run(self.chats.delete, owner, chat_id)
        if found:
            self._tell_gone(owner, chat_id)
        return found

    async def delete_all(self, owner: str) -> int:
        """Delete all of the owner's chats for good; how many there were."""
        gone = await self.run(self.chats.delete_all, owner)
        self._tell_gone(owner, None)
        return gone

    def _tell_gone(self, owner: str, chat_id: str | None) -> None:
        for tell in self._told:
            tell(owner, chat_id)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Old chats are deleted within the block, and the database is closed at its end."""
        purging = asyncio.create_task(self._purge_for_ever())
        try:
            yield
        finally:
            purging.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await purging
            await self.run(self._engine.dispose)
            self._closed = True
            self._threads.shutdown(wait=False)

    async def _purge_for_ever(self) -> None:
        while True:
            try:
                await self.run(self.chats.purge)
            except SQLAlchemyError as error:
                log.warning("old chats could not be deleted", exc_info=error)
            await asyncio.sleep(PURGE_S)


def chats_in_memory() -> SavedChats:
    """Chats that end with the process."""
    return SavedChats(migrated(memory()))


def open_saved_chats(
    data_dir: Path, url: str, *, chats_per_user: int = 1000, days: int = 0, tell: Tell = log.warning
) -> SavedChats:
    """The chats in the database of ``url``, else in ``data_dir``; the key of browsers is always in the folder.

    ``tell`` is told, in a sentence, of what there could not be used.
    """
    limits = ChatLimits(chats=chats_per_user, days=days)
    engine = open_database(data_dir, url, tell)
    links = OpenLinks(engine, data_dir / open_links.FILE if outlives_us(engine) else None, tell)
    try:
        links.end_others()
    except SQLAlchemyError as refused:  # no link may come back to life
        engine = in_memory(CHATS, unusable(refused), tell)
        links = OpenLinks(engine)
    return SavedChats(engine, limits, _key(data_dir / _KEY_FILE, tell), links)


def _key(path: Path, tell: Tell) -> bytes:
    """The key in the file, or a new one written there. Where neither can be, browsers are known until the end."""
    made = secrets.token_bytes(_KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and len(key := path.read_bytes()) == _KEY_BYTES:
            return key
        lost = f"{path.name} was not whole and is kept as {set_aside(path).name}." if path.exists() else ""
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_bytes(made)
        new.rename(path)
    except OSError as refused:
        tell(f"{path.name} cannot be used ({refused.strerror}): browsers without a login lose their chats at the end.")
    else:
        if lost:
            tell(f"{lost} Browsers without a login begin anew, for their cookies were signed with it.")
    return made
