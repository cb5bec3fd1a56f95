from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.chat.lens import Lens, LensTurn, lens_html, unsent_turns
from qwen_app.ui.conversations.conversation import Conversation, Turn, hold
from qwen_app.ui.shared.run_line import Run
from qwen_app.ui.shared.strings import Texts

EN, ZH = Texts("en"), Texts("zh")
tokens = st.integers(0, 200_000)
states = st.sampled_from(["kept", "pinned", "trimmed", "dropped"])
turns = st.lists(st.builds(LensTurn, st.integers(0, 300), tokens, states, st.text(max_size=80)), max_size=30).map(tuple)


def test_what_it_says() -> None:
    html = lens_html(Lens(8192, 34, (LensTurn(0, 1200, "kept"),), draft=5, reserve=512), EN)
    assert "1,234 of 8,192 tokens · draft 5" in html
    assert "512 kept for the answer" in html
    assert "1,234 / 8,192 个词元" in lens_html(Lens(8192, 1234), ZH)
    assert "about 7 of 10" in lens_html(Lens(10, 7, exact=False), EN)


def test_it_warns_when_it_gets_tight() -> None:
    assert 'class="meter easy"' in lens_html(Lens(100, 84), EN)
    assert 'class="meter tight"' in lens_html(Lens(100, 80, draft=5), EN)


def test_too_much_is_said_with_its_number_and_what_can_be_done() -> None:
    html = lens_html(Lens(1000, 4, draft=1300, over=1200), EN)
    assert '<b role="alert">1,200 too many</b>' in html
    assert 'data-over="1200"' in html
    pinned = Lens(1000, 4, (LensTurn(0, 900, "pinned"),), over=10)
    assert "10 too many: shorten it, or unpin a turn" in lens_html(pinned, EN)


def test_each_turn_is_a_part_that_says_what_a_click_does() -> None:
    turns = (
        LensTurn(0, 5, "trimmed", "old"),
        LensTurn(1, 6, "pinned", "<b>"),
        LensTurn(2, 7, "dropped", "x" * 99),
        LensTurn(3, 8, "kept", "new"),
    )
    html = lens_html(Lens(100, 4, turns), EN)
    assert re.findall('name="hold" value="([^"]*)"', html) == ["0:1", "2:0", "1:2", "3:1"]
    assert "Turn 2, pinned · 6 tokens · &lt;b&gt;\nClick: leave it out" in html
    assert "2 turns left out (12)" in html
    assert "x" * 60 not in html


@given(turns, tokens, tokens, tokens, tokens)
def test_parts_are_as_wide_as_what_they_hold(
    turns: tuple[LensTurn, ...], context: int, system: int, draft: int, reserve: int
) -> None:
    lens = Lens(context, system, turns, draft, reserve)
    html = lens_html(lens, EN)
    frame = html[html.index("lens-frame") : html.index("meter-text")]
    grown = sum(map(int, re.findall(r"flex-grow:(\d+)", frame)))
    empty = sum(turn.sent and not turn.tokens for turn in turns)
    assert grown - empty == max(context, lens.used + draft + reserve)
    assert all(0 <= float(share) <= 25 for share in re.findall(r"flex-basis:([\d.]+)%", html))
    assert html.count("<button") == len(turns)


def test_what_is_not_sent_and_where_the_room_ended() -> None:
    run = Run("stop")
    chat = Conversation(
        "c", (Turn("a", "A", run=run), Turn("b", run=Run("failed")), Turn("c", "C", run=run), Turn("d"))
    )
    assert unsent_turns(chat, set()) == ((1,), -1)
    assert unsent_turns(chat, {0}) == ((0, 1), 0)
    assert unsent_turns(hold(chat, 2, "dropped"), {1}) == ((1, 2), -1)
