from __future__ import annotations

import math

from qwen_app.messages import TokenLogprob
from qwen_app.ui.scores.scored_token import LIMIT_CHARS, LIMIT_TOKENS, ScoredToken, scored


def token(text: str, probability: float, *top: TokenLogprob) -> TokenLogprob:
    return TokenLogprob(1, text, text.encode(), math.log(probability), top)


def test_probabilities_and_alternatives() -> None:
    (found,) = scored((), [token("a", 0.25, token("b", 0.5), token("a", 0.25))])
    assert found == ScoredToken("a", 0.25, (("b", 0.5), ("a", 0.25)))


def test_what_is_kept_is_bounded() -> None:
    found = scored((), [token("x" * 100, 0.5)] * (LIMIT_TOKENS - 1))
    found = scored(found, [token("y", 0.5)] * 5)
    assert len(found) == LIMIT_TOKENS
    assert len(found[0].text) == LIMIT_CHARS


def test_numbers_that_are_none() -> None:
    odd = [TokenLogprob(1, "a", b"a", value) for value in (math.nan, -math.inf, 3.0)]
    assert [one.probability for one in scored((), odd)] == [0.0, 0.0, 1.0]
