"""How many prompt tokens to read in one step, so that a running answer never pauses long."""

from __future__ import annotations

STRETCH = 2.2  # a step that also reads a prompt may take so many times an undisturbed one
SMOOTHING = 0.2
CALM_CHUNKS = 64  # chunks read without trouble before more is tried again after a lack of memory


class ChunkSize:
    """``largest`` tokens while nobody decodes, else what measured speed allows, from ``smallest`` up."""

    def __init__(self, *, smallest: int = 8, largest: int = 256) -> None:
        self._smallest = smallest
        self._largest = largest
        self._wanted = largest
        self._calm = 0
        self._beside = float(min(16, largest))
        self._decode_s: dict[int, float] = {}  # by rows
        self._token_s = 0.0

    def tokens(self, decoding_rows: int) -> int:
        return max(self._smallest, int(self._beside)) if decoding_rows else self._largest

    @property
    def token_s(self) -> float:
        """Seconds to read one prompt token, measured; 0.0 before anything was read."""
        return self._token_s

    def measured(self, duration_s: float, *, decoding_rows: int, chunk_tokens: int) -> None:
        """Learn from a step that decoded so many rows and read so many prompt tokens."""
        if chunk_tokens:
            self._regain()
        if not chunk_tokens:
            self._decode_s[decoding_rows] = _smoothed(self._decode_s.get(decoding_rows), duration_s)
        elif not decoding_rows:
            self._token_s = _smoothed(self._token_s or None, duration_s / chunk_tokens)
        elif chunk_tokens >= self.tokens(decoding_rows) and self._decode_s:
            undisturbed = self._decode_s.get(decoding_rows) or max(self._decode_s.values())
            factor = STRETCH * undisturbed / duration_s
            self._beside *= min(1.25, max(0.5, factor))
            self._beside = min(max(self._beside, self._smallest), self._largest)

    def halve(self) -> bool:
        """Read less at once for a good while, for lack of memory. False when it is the least already."""
        self._calm = 0
        if self._largest <= self._smallest:
            return False
        self._largest = max(self._smallest, self._largest // 2)
        self._beside = min(self._beside, float(self._largest))
        return True

    def _regain(self) -> None:
        self._calm += 1
        if self._calm >= CALM_CHUNKS and self._largest < self._wanted:
            self._largest = min(self._wanted, self._largest * 2)
            self._calm = 0


def _smoothed(old: float | None, new: float) -> float:
    return new if old is None else old + SMOOTHING * (new - old)
