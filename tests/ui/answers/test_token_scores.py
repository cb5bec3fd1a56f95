from __future__ import annotations

from qwen_app.ui.answers.token_scores import token_scores_html
from qwen_app.ui.scores.scored_token import LIMIT_TOKENS, ScoredToken
from qwen_app.ui.shared.strings import Texts

EN = Texts("en")


def test_each_word_says_what_else_it_could_have_been() -> None:
    html = token_scores_html((ScoredToken("a<", 0.7, (("b\n", 0.2),)), ScoredToken("\n", 0.1)), EN)
    assert '<span class="token sure" title="“a&lt;” 70.0 % · “b⏎” 20.0 %">a&lt;</span>' in html
    assert '<span class="token rare" title="“⏎” 10.0 %">⏎<br></span>' in html
    assert "\n" not in html  # a blank line would end the HTML


def test_only_so_many_are_kept_and_that_is_said() -> None:
    assert token_scores_html((), EN) == ""
    assert "the first 300 tokens" in token_scores_html((ScoredToken("a", 1.0),) * LIMIT_TOKENS, EN)
