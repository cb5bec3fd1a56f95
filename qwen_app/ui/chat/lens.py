"""The context lens: one bar of what the next request holds, before it is sent, and of what it leaves out.

It says what a prompt's plan says (``qwen_app.prompting``) and computes nothing of its own. The page's script dims what
is left out, by ``data-out``, and switches Send off while ``data-over`` says that too much is asked (browser/lens.js).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from html import escape
from typing import Literal

from qwen_app.errors import TextTooLong
from qwen_app.prompting import PromptPlan
from qwen_app.ui.conversations.conversation import HOLDS, Conversation, Hold, Turn, sendable
from qwen_app.ui.shared.strings import Texts

TIGHT = 0.85  # share of the context from which the bar warns
MOST_OUT_SHARE = 0.25  # of the bar, for what is left out
QUESTION_CHARS = 60  # of a turn's question in its tooltip

TurnState = Literal["kept", "pinned", "trimmed", "dropped"]
# What a turn's tooltip says, what it says of a click, and what a click makes of the turn.
SAID: dict[TurnState, tuple[str, str, Hold]] = {
    "kept": ("lens_kept", "lens_click_pin", "pinned"),
    "trimmed": ("lens_trimmed", "lens_click_pin", "pinned"),
    "pinned": ("lens_pinned", "lens_click_drop", "dropped"),
    "dropped": ("lens_dropped", "lens_click_auto", "auto"),
}


@dataclass(frozen=True, slots=True)
class LensTurn:
    """A turn of the chat, by its number on the path. ``trimmed`` is left out for want of room, ``dropped`` by hand."""

    number: int
    tokens: int
    state: TurnState
    question: str = ""

    @property
    def sent(self) -> bool:
        return self.state in ("kept", "pinned")


@dataclass(frozen=True, slots=True)
class Lens:
    """Tokens: ``system`` of all that is sent beside turns, ``draft`` in the composer, ``reserve`` kept free for the
    answer, ``over`` too many. ``unsent`` are the numbers of all turns that the request leaves out, ``edge`` is the
    last of those for want of room, or -1.
    """

    context: int
    system: int
    turns: tuple[LensTurn, ...] = ()
    draft: int = 0
    reserve: int = 0
    over: int = 0
    exact: bool = True
    unsent: tuple[int, ...] = ()
    edge: int = -1
    draft_characters: int = 0

    @property
    def used(self) -> int:
        return self.system + sum(turn.tokens for turn in self.turns if turn.sent)


def lens_of(plan: PromptPlan, drafted: Conversation, context_tokens: int, *, exact: bool, attached_tokens: int) -> Lens:
    """The lens over ``drafted``, whose last turn is the draft, as ``plan`` would send it.

    ``attached_tokens`` are the draft's documents, for which the plan keeps room beside the answer's.
    """
    *places, _ = sendable(drafted)
    *sizes, draft = plan.turn_tokens
    left_out = frozenset(plan.planned.left_out)
    turns = tuple(
        LensTurn(number, tokens, _state(drafted.turns[number], place in left_out), drafted.turns[number].question)
        for place, (number, tokens) in enumerate(zip(places, sizes, strict=True))
    )
    reserve, over = max(0, context_tokens - plan.budget_tokens), plan.over_tokens
    if attached_tokens:
        kept_free = plan.request.policy.reserve_tokens or 0
        reserve, over = kept_free - attached_tokens, max(0, plan.prompt_tokens + kept_free - context_tokens)
        draft += attached_tokens
    unsent, edge = unsent_turns(drafted, left_out)
    fixed, characters = plan.fixed_tokens, len(drafted.last.question)
    return Lens(context_tokens, fixed, turns, draft, reserve, over, exact, unsent, edge, characters)


def unsent_turns(drafted: Conversation, left_out: Collection[int]) -> tuple[tuple[int, ...], int]:
    """The numbers of the turns that are not sent, those that failed among them, and the last for want of room, or -1.

    ``left_out`` are places in the prompt.
    """
    numbers = sendable(drafted)
    sent = {number for place, number in enumerate(numbers) if place not in left_out}
    unsent = tuple(number for number in range(len(drafted.turns)) if number not in sent)
    trimmed = [number for number in unsent if number in numbers and drafted.turns[number].hold != "dropped"]
    return unsent, max(trimmed, default=-1)


def lens_html(lens: Lens, texts: Texts) -> str:
    """The bar and a line of its figures."""
    level = "over" if lens.over else "tight" if lens.used + lens.draft >= TIGHT * lens.context else "easy"
    free = max(0, lens.context - lens.used - lens.draft - lens.reserve)
    sent = [turn for turn in lens.turns if turn.sent]
    parts = [
        _part("system", lens.system, texts("lens_system", tokens=f"{lens.system:,}")),
        *(_turn_part(turn, texts) for turn in sent),
        _part("draft", lens.draft, texts("meter_draft", draft=f"{lens.draft:,}")),
        _part("free", free, texts("lens_free", tokens=f"{free:,}")),
        _part("reserve", lens.reserve, texts("meter_reserve", reserve=f"{lens.reserve:,}")),
    ]
    numbers = ",".join(map(str, lens.unsent))
    return (
        f'<div class="meter {level}" data-out="{numbers}" data-edge="{lens.edge}" data-over="{lens.over}" '
        f'data-length="{lens.draft_characters}">'
        f'<div role="meter" aria-label="{texts("meter_label")}" aria-valuemin="0" aria-valuemax="{lens.context}" '
        f'aria-valuenow="{min(lens.used + lens.draft, lens.context)}"></div><div class="meter-bar">'
        f'{_out_part(lens, texts)}<div class="lens-frame">{"".join(parts)}</div></div>'
        f'<span class="meter-text">{_sentence(lens, texts)}</span></div>'
    )


def unread_html(refused: TextTooLong, draft: str, texts: Texts) -> str:
    """In the lens's place: the text is so long that nobody counts its tokens, and it is not sent."""
    sizes = {"characters": f"{refused.characters:,}", "limit": f"{refused.limit_characters:,}"}
    over = max(1, refused.prompt_tokens - refused.limit_tokens)
    return (
        f'<div class="meter over" data-out="" data-edge="-1" data-over="{over}" data-length="{len(draft)}">'
        f'<div class="meter-bar"></div>'
        f'<span class="meter-text"><b role="alert">{texts("lens_unread", **sizes)}</b></span></div>'
    )


def _out_part(lens: Lens, texts: Texts) -> str:
    """What is left out stands before the frame of the context, no wider than a share of it."""
    out = [turn for turn in lens.turns if not turn.sent]
    tokens = sum(turn.tokens for turn in out)
    share = min(MOST_OUT_SHARE, tokens / max(1, tokens + lens.context))
    parts = "".join(_turn_part(turn, texts) for turn in out)
    return f'<div class="lens-out" style="flex-basis:{100 * share:.2f}%">{parts}</div>' if out else ""


def _turn_part(turn: LensTurn, texts: Texts) -> str:
    """A button that says in ``value`` what a click makes of its turn: the turn's number, a place in HOLDS."""
    key, click, after = SAID[turn.state]
    question = " ".join(turn.question.split())
    question = question if len(question) <= QUESTION_CHARS else question[: QUESTION_CHARS - 1] + "…"
    facts = texts(key, number=turn.number + 1, tokens=f"{turn.tokens:,}", question=question)
    title = escape(f"{facts}\n{texts(click)}", quote=True)
    return (
        f'<button type="button" class="lens-turn {turn.state}" name="hold" value="{turn.number}:{HOLDS.index(after)}" '
        f'tabindex="-1" aria-hidden="true" style="flex-grow:{max(1, turn.tokens)}" title="{title}"></button>'
    )


def _part(kind: str, tokens: int, title: str) -> str:
    return f'<i class="{kind}" style="flex-grow:{tokens}" title="{escape(title, quote=True)}"></i>' if tokens else ""


def _sentence(lens: Lens, texts: Texts) -> str:
    key = "meter" if lens.exact else "meter_about"
    facts = [texts(key, used=f"{lens.used:,}", context=f"{lens.context:,}")]
    if lens.draft:
        facts.append(texts("meter_draft", draft=f"{lens.draft:,}"))
    if lens.over:
        pinned = any(turn.state == "pinned" for turn in lens.turns)
        over = texts("lens_over_pinned" if pinned else "lens_over", tokens=f"{lens.over:,}")
        facts.append(f'<b role="alert">{over}</b>')
    if out := [turn for turn in lens.turns if not turn.sent]:
        facts.append(texts("lens_out", turns=len(out), tokens=f"{sum(turn.tokens for turn in out):,}"))
    extra = " · " + texts("meter_reserve", reserve=f"{lens.reserve:,}") if lens.reserve else ""
    return f'{" · ".join(facts)}<span class="meter-extra">{extra}</span>'


def _state(turn: Turn, left_out: bool) -> TurnState:
    if left_out:
        return "dropped" if turn.hold == "dropped" else "trimmed"
    return "pinned" if turn.hold == "pinned" else "kept"
