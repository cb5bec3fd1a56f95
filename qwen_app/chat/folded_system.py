"""System text for templates that know no system role: it stands in the user's words."""

from __future__ import annotations

from collections.abc import Sequence

from qwen_app.messages import Message


def with_system_folded(messages: Sequence[Message]) -> tuple[Message, ...]:
    """``messages`` with system text before the user's words that follow it, or else behind those that it follows.

    Roles still alternate where they did without it. Where nobody said anything, it is what the user says.
    """
    folded: list[Message] = []
    after_system = False
    for message in messages:
        said = Message("user", message.content) if message.role == "system" else message
        joins = after_system or message.role == "system"
        if joins and said.role == "user" and folded and folded[-1].role == "user":
            said = Message("user", "\n\n".join(filter(None, (folded.pop().content, said.content))))
        folded.append(said)
        after_system = message.role == "system"
    return tuple(folded)
