"""Dates and times as patterns (RFC 3339): what the formats allow beyond them is no date in any calendar.

llguidance takes the 29th of February of every year, the year 0, a 60th second at any minute and durations of any number
of digits; whoever reads the answer by a library's ``datetime`` gets an error for them.
"""

from __future__ import annotations

from qwen_app.structured.schema_check import Schema

_YEAR = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_FOURTH = "(0[48]|[2468][048]|[13579][26])"  # of a century's years, those divisible by four but the first
_LEAP_YEAR = f"([0-9]{{2}}{_FOURTH}|{_FOURTH}00)"
_DAY = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
_DATE = f"({_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)"
_HOUR_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf"{_HOUR_MINUTE}:[0-5][0-9](\.[0-9]{{1,6}})?(Z|[+-]{_HOUR_MINUTE})"
_COUNT = "[0-9]{1,4}"
_DAYS = f"({_COUNT}Y({_COUNT}M({_COUNT}D)?)?|{_COUNT}M({_COUNT}D)?|{_COUNT}D)"
_HOURS = f"T({_COUNT}H({_COUNT}M({_COUNT}S)?)?|{_COUNT}M({_COUNT}S)?|{_COUNT}S)"
PATTERNS = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "duration": f"^P({_COUNT}W|{_DAYS}({_HOURS})?|{_HOURS})$",
}
_NAMED = frozenset({"enum", "const"})


def pattern_of(part: Schema) -> str | None:
    """The pattern to ask for in place of the format of ``part``; None where it has none of these, and where its values
    are named one by one. What is no string it allows as the format does."""
    return None if _NAMED & part.keys() else PATTERNS.get(str(part.get("format")))
