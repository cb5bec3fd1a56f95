from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.chat.meter import Meter, meter_html
from qwen_app.ui.shared.strings import Texts

tokens = st.integers(0, 200_000)


def test_what_it_says() -> None:
    html = meter_html(Meter(1234, 8192, draft=5, reserve=512), Texts("en"))
    assert "1,234 of 8,192 tokens · draft 5" in html
    assert "512 kept for the answer" in html
    assert "1,234 / 8,192 个词元" in meter_html(Meter(1234, 8192), Texts("zh"))
    assert "about 7 of 10" in meter_html(Meter(7, 10, exact=False), Texts("en"))


def test_it_warns_when_it_gets_tight() -> None:
    assert "easy" in meter_html(Meter(84, 100), Texts("en"))
    assert "tight" in meter_html(Meter(80, 100, draft=5), Texts("en"))


@given(tokens, tokens, tokens, tokens)
def test_widths_are_shares(used: int, context: int, draft: int, reserve: int) -> None:
    widths = re.findall(r"width:([\d.]+)%", meter_html(Meter(used, context, draft, reserve), Texts("en")))
    assert len(widths) == 3
    assert all(0 <= float(width) <= 100 for width in widths)
