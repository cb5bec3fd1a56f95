"""The ids that the model wrote its answers with."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence

REMEMBERED_ANSWERS = 512
REMEMBERED_TOKENS = 1 << 20  # of all of them together: 4 MB


class RememberedAnswers:
    """The newest answers by their text, bounded in number and in tokens. Thread-safe."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, array[int]] = OrderedDict()
        self._tokens = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def tokens(self) -> int:
        """Of all of them together."""
        return self._tokens

    def add(self, text: str, ids: Sequence[int]) -> None:
        with self._lock:
            self._tokens += len(ids) - len(self._answers.pop(text, ()))
            self._answers[text] = array("I", ids)
            while len(self._answers) > REMEMBERED_ANSWERS or self._tokens > REMEMBERED_TOKENS:
                self._tokens -= len(self._answers.popitem(last=False)[1])

    def ids_of(self, text: str) -> array[int] | None:
        with self._lock:
            return self._answers.get(text)
