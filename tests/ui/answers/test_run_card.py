from __future__ import annotations

import re

from qwen_app.ui.answers.run_card import live_line_html, run_card_html
from qwen_app.ui.shared.run_line import Run
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

EN, ZH = Texts("en"), Texts("zh")
RUN = Run("stop", 1200, 34, 1000, first_token_s=0.5, total_s=2.14, tokens_per_s=20.04, seed=7)


def brief(run: Run, texts: Texts = EN) -> str:
    found = re.search("<summary>(.*)</summary>", run_card_html(run, texts))
    assert found
    return found[1]


def test_folded_it_is_short() -> None:
    assert brief(RUN) == "2.1 s · 20 tokens/s"
    assert brief(RUN, ZH) == "2.1 秒 · 20 词元/秒"


def test_an_end_that_surprises_is_said_first() -> None:
    assert brief(Run("cancelled")) == "Stopped"
    assert brief(Run("deadline", total_s=3)) == "Out of time · 3.0 s"
    assert brief(Run("length", closed=True)).endswith("closed to valid JSON")


def test_unfolded_it_says_everything() -> None:
    card = run_card_html(RUN, EN)
    for name, value in [
        ("Ended", "Finished"),
        ("Tokens read", "1,200"),
        ("of them reused", "1,000"),
        ("Tokens written", "34"),
        ("First token after", "0.50 s"),
        ("Speed", "20.0 tokens/s"),
        ("Seed", "7"),
    ]:
        assert f"<dt>{name}</dt><dd>{value}</dd>" in card
    assert "\n" not in card  # a blank line would end the HTML


def test_while_it_is_written() -> None:
    writing = Progress("writing", "abc", completion_tokens=11, first_token_s=1.0, elapsed_s=3.0)
    assert live_line_html(writing, EN) == '<div class="run-live">5 tokens/s · 3.0 s · 11 tokens</div>'
    assert live_line_html(Progress("writing", "a", completion_tokens=1, first_token_s=1, elapsed_s=1), EN) == ""
