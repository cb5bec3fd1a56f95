"""Gradio's own tables of sessions, events and messages, which all visitors share: what is in them, and out with it."""

from __future__ import annotations

from typing import Protocol

import gradio as gr


class Tables(Protocol):
    """What the ledger has to know of Gradio."""

    def runs(self, event: str) -> bool:
        """Whether an event waits or runs."""

    def unread(self, session: str) -> int:
        """Messages that wait to be read."""

    def undelivered(self, event: str, session: str) -> bool:
        """Whether the end of an event still waits to be read."""

    def forget_answers(self, session: str) -> None:
        """Drop what waits to be read in a session."""

    def forget(self, session: str) -> None:
        """Drop all that is kept of a session."""


class GradioTables:
    """The tables behind ``blocks``. For the event loop's thread."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self._blocks = blocks

    def runs(self, event: str) -> bool:
        return event in self._blocks._queue.event_ids_to_events

    def unread(self, session: str) -> int:
        messages = self._blocks._queue.pending_messages_per_session.get(session)
        return 0 if messages is None else messages.qsize()

    def undelivered(self, event: str, session: str) -> bool:
        queue = self._blocks._queue
        waits = session in queue.pending_messages_per_session
        return waits and event in queue.pending_event_ids_session.get(session, ())

    def forget_answers(self, session: str) -> None:
        self._blocks._queue.pending_messages_per_session.pop(session, None)
        self._blocks._queue.pending_event_ids_session.pop(session, None)

    def forget(self, session: str) -> None:
        self.forget_answers(session)
        states = self._blocks.state_holder
        self._blocks.pending_streams.pop(session, None)
        states.delete_state(session)  # ends what runs in it, as the page's states say
        states.session_data.pop(session, None)
        states.time_last_used.pop(session, None)
