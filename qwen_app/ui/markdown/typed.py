"""What a visitor typed, drawn letter by letter: a question is no document, and its stars and dollars are its own."""

from __future__ import annotations

import re

_OTHER_THAN_WORDS = re.compile(r"[^\w ]")
LONG_LINES = 12
LONG_CHARACTERS = 900


def typed_html(text: str, show_all: str) -> str:
    """``text`` as HTML in which markdown and KaTeX find nothing to do.

    A long text starts folded; ``show_all`` is the name of the button that unfolds it.
    """
    letters = letters_html(text)
    if text.count("\n") < LONG_LINES and len(text) < LONG_CHARACTERS:
        return f'<div class="typed">{letters}</div>'
    button = f'<button type="button" class="unfold" aria-expanded="false">{show_all}</button>'
    return f'<div class="typed folded">{letters}</div>{button}'


def letters_html(text: str) -> str:
    """``text`` with every character that could mean something written as its number (HTML 13.5), line ends too, for a
    blank line would end the HTML."""
    return _OTHER_THAN_WORDS.sub(lambda found: f"&#{ord(found[0])};", text)
