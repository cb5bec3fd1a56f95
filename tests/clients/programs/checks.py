"""What every program of a client shares: where the server is, and how it says what worked.

A program runs in its client's own environment, so nothing here may import what is not Python's own.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable

URL = os.environ["SERVER_URL"]  # without a slash at its end
V1 = f"{URL}/v1"
QUESTION = "What is the weather in Berlin?"
TOKENS = 120


def run(**features: Callable[[], object]) -> None:
    """Try each feature: its function raises, or returns something false, where it does not work."""
    for feature, check in features.items():
        try:
            problem = "" if check() else "it returned nothing"
        except Exception as error:
            traceback.print_exc()
            problem = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps({"feature": feature, "problem": problem}), flush=True)  # noqa: T201
