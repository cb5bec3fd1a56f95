"""The page's script is whole: every file is in it, and every word it says it has."""

from __future__ import annotations

import re
from pathlib import Path

import qwen_app.ui.browser
from qwen_app.ui.browser.script import DEVELOPERS, FILES, GUESTS, WORDS, page_script

FOLDER = Path(qwen_app.ui.browser.__file__).parent


def test_every_file_is_served() -> None:
    assert {path.name for path in FOLDER.glob("*.js")} == {*FILES, *DEVELOPERS, *GUESTS}
    for guest, own in ((False, DEVELOPERS), (True, GUESTS)):
        for name in (*FILES, *own):
            assert (FOLDER / name).read_text(encoding="utf-8") in page_script(guest=guest)


def test_the_page_of_guests_asks_for_no_figures() -> None:
    assert "status/stream" not in page_script(guest=True)


def test_every_word_that_is_said_comes_along() -> None:
    said = set(re.findall(r'say\("(\w+)"\)', page_script()))
    assert said
    assert said <= set(WORDS)
