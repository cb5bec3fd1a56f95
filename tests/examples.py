"""How many examples a property is tried with: all of them in the whole suite, a part in the quick loop."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

QUICK_PART = 5
_part = 1


def set_examples(*, quick: bool) -> None:
    """Before any test is imported. ``quick``: a fifth of what a test says, or else Hypothesis. How long one takes is
    the machine's business and fails nothing.
    """
    global _part
    _part = QUICK_PART if quick else 1
    settings.register_profile(
        "project",
        max_examples=examples(settings.default.max_examples),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("project")


def examples(all_of_them: int) -> int:
    """How many of them are tried now."""
    return max(1, all_of_them // _part)
