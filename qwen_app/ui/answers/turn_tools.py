"""What can be done with a turn, in a line under its answer: going on, other variants, a fork, pinning, shorter."""

from __future__ import annotations

from qwen_app.ui.conversations.conversation import HOLDS, Conversation, Turn, variants
from qwen_app.ui.shared.strings import Texts

HELD = {"pinned": "hold_pinned", "dropped": "hold_dropped"}
CUT = ("length", "cancelled", "deadline", "interrupted", "unwatched", "failed")  # ends after which an answer goes on


def turn_tools(conversation: Conversation, number: int, texts: Texts, *, continues: bool = True) -> str:
    """The line's HTML. The page's script sends what is clicked; copying an answer leaves the line out (clipboard.js).

    ``continues`` says that the engine goes on with an answer that was begun.
    """
    turn, last = conversation.turns[number], number == len(conversation.turns) - 1
    tools: list[str] = []
    if last and can_go_on(turn) and (continues or not turn.answer):
        tools.append(tool_button("go_on", texts("go_on"), texts("go_on_info"), number))
    tools += _pager(conversation, number, texts)
    if turn.run is not None:
        tools.append(tool_button("fork", texts("fork"), texts("fork_info"), number))
    if last and turn.run is not None and turn.answer:
        tools.append(tool_button("shorter", texts("shorter"), texts("ask_shorter"), number))
        tools.append(tool_button("as_json", texts("as_json"), texts("ask_json"), number))
    if turn.run is not None:  # last, for they are not seen before one points at the answer
        tools += _holds(turn, number, texts)
    return f'<div class="run-tools">{"".join(tools)}</div>' if tools else ""


def can_go_on(turn: Turn) -> bool:
    """Whether the answer was cut where the model can go on. In JSON mode it cannot: the grammar would begin anew."""
    run = turn.run
    if run is None or run.closed or run.reason not in CUT:
        return False
    if turn.summary is not None and not turn.summary.ready:  # reading goes on, whatever comes of it
        return True
    return bool(turn.answer) and not turn.json_mode


def _pager(conversation: Conversation, number: int, texts: Texts) -> list[str]:
    places = variants(conversation, number)
    if len(places) < 2:
        return []
    place = places.index(conversation.turns[number]) + 1
    return [
        f'<span class="pager">{tool_button("variant", "‹", texts("variant_before"), number, -1, off=place == 1)}'
        f"<span>{place}/{len(places)}</span>"
        f"{tool_button('variant', '›', texts('variant_after'), number, 1, off=place == len(places))}</span>"
    ]


def _holds(turn: Turn, number: int, texts: Texts) -> list[str]:
    """Pin the turn or leave it out; or, where that was done, take it back."""
    auto, pinned, dropped = range(len(HOLDS))
    if turn.hold != "auto":
        return [tool_button("hold", texts(HELD[turn.hold]), texts("hold_undo_info"), number, auto, held=True)]
    return [
        tool_button("hold", texts("hold_pin"), texts("hold_pin_info"), number, pinned),
        tool_button("hold", texts("hold_drop"), texts("hold_drop_info"), number, dropped),
    ]


def tool_button(
    do: str, sign: str, name: str, number: int, step: int = 0, *, off: bool = False, held: bool = False
) -> str:
    """What to do stands in ``name`` and ``value``: of other attributes the page's sanitizer leaves few."""
    state = (" disabled" if off else "") + (' class="held"' if held else "")
    unseen = f'<span class="unseen">{name}</span>'
    return f'<button type="button" name="{do}" value="{number}:{step}" title="{name}"{state}>{sign}{unseen}</button>'
