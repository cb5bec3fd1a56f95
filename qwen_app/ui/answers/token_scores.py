"""The words of an answer, each with what might have stood in its place, as a fold of its run card."""

from __future__ import annotations

from html import escape

from qwen_app.ui.scores.scored_token import LIMIT_TOKENS, ScoredToken
from qwen_app.ui.shared.strings import Texts

SURE, UNSURE = 0.6, 0.2  # probabilities from which a token is not marked, and below which it is marked most


def token_scores_html(tokens: tuple[ScoredToken, ...], texts: Texts) -> str:
    """One line of HTML; empty where no probabilities were asked for."""
    if not tokens:
        return ""
    words = "".join(_span(token) for token in tokens)
    end = f" {texts('scores_first', tokens=LIMIT_TOKENS)}" if len(tokens) >= LIMIT_TOKENS else ""
    return f'<details class="run-scores"><summary>{texts("scores")}</summary><p>{words}{end}</p></details>'


def _span(token: ScoredToken) -> str:
    level = "sure" if token.probability >= SURE else "unsure" if token.probability >= UNSURE else "rare"
    choices = dict([(token.text, token.probability), *token.others])
    title = " · ".join(f"“{_shown(text)}” {100 * probability:.1f} %" for text, probability in choices.items())
    text = escape(token.text).replace("\n", "⏎<br>")
    return f'<span class="token {level}" title="{escape(title, quote=True)}">{text}</span>'


def _shown(text: str) -> str:
    return text.replace("\n", "⏎")
