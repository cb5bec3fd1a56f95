"""A chat that has gone on for long, as a file that anybody may bring in."""

from __future__ import annotations

SHORT = "A **short** answer with `code`.\n\n- one\n- two\n"
RUN = {"reason": "stop", "completion_tokens": 20, "first_token_s": 0.1, "total_s": 1.0}


def long_chat(turns: int) -> dict[str, object]:
    """The JSON export of a chat of so many questions, each with a short answer."""
    messages: list[dict[str, object]] = []
    for number in range(turns):
        before = f"a{number - 1}" if number else None
        answer: dict[str, object] = {
            "id": f"a{number}",
            "parent_id": f"q{number}",
            "role": "assistant",
            "content": SHORT,
            "run": RUN,
        }
        messages += [{"id": f"q{number}", "parent_id": before, "role": "user", "content": "short"}, answer]
    return {"format": "qwen-chat", "version": 1, "title": "A long chat", "messages": messages}
