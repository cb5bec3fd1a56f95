"""The line of a prompt that asks for what a grammar enforces: a grammar alone makes for poor answers."""

from __future__ import annotations

from qwen_app.messages import GrammarSpec, JsonObject, JsonSchema, Message

SCHEMA_HINT = "Answer with one JSON document that this JSON Schema allows, and nothing else:"
SCHEMA_HINT_LIMIT = 8_000  # characters; a longer schema would crowd out the conversation
JSON_HINT = "Answer with one JSON object and nothing else."


def asking_for_json(messages: tuple[Message, ...], grammar: GrammarSpec | None) -> tuple[Message, ...]:
    """``messages`` with a line in the system text that asks for what ``grammar`` enforces.

    A conversation that speaks of JSON itself is left as it is, unless there is a schema it may not know.
    """
    if not isinstance(grammar, JsonObject | JsonSchema):
        return messages
    hint = JSON_HINT
    if isinstance(grammar, JsonSchema):
        if len(grammar.text) > SCHEMA_HINT_LIMIT:
            return messages
        hint = f"{SCHEMA_HINT}\n{grammar.text}"
    elif any("json" in message.content.lower() for message in messages):
        return messages
    if messages and messages[0].role == "system":
        return (Message("system", f"{messages[0].content}\n\n{hint}"), *messages[1:])
    return (Message("system", hint), *messages)
