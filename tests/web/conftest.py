"""Logins of which the tests make hundreds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qwen_app.web import passwords


@pytest.fixture(autouse=True, scope="package")
def quick_hashes() -> Iterator[None]:
    """A password's hash takes 50 ms of a core, on purpose, and an app with two logins makes three. Not here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(passwords, "COST", 2**4)
        yield
