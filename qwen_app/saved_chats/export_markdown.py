"""A chat as Markdown, to be read or pasted elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qwen_app.saved_chats.export_facts import words_of
from qwen_app.saved_chats.values import SavedMessage

_MEANT = re.compile(r"[\\`*_{}\[\]<>#|~]")


def chat_markdown(title: str, messages: Sequence[SavedMessage]) -> str:
    """Answers are Markdown already; questions stand as they were typed, their documents listed below them."""
    parts, words = [f"# {title}"], words_of(messages)
    for message in messages:
        parts += [f"## {words.speakers[message.role]}", message.content.strip("\n")]
        documents = [_literal(line) for line in words.documents(message)]
        parts += ["\n".join(f"- {line}" for line in documents)] if documents else []
        known = words.facts(message)
        parts += [f"*{known}*"] if known else []
    return "\n\n".join(parts) + "\n"


def _literal(line: str) -> str:
    """A file's name is no Markdown, whatever stands in it."""
    return _MEANT.sub(r"\\\g<0>", " ".join(line.split()))
