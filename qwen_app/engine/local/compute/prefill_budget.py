"""Chunked prefill: how many prompt tokens to read in one step, so that a running answer never pauses long."""

from __future__ import annotations

from qwen_app.models.memory_plan import PREFILL_CHUNK_TOKENS

LONGEST_STEP_FACTOR = 2.2  # a step that also reads a prompt may take so many times an undisturbed one
SMOOTHING = 0.2
CHUNKS_BEFORE_REGAIN = 64  # chunks read without trouble before more is tried again after a lack of memory


class PrefillBudget:
    """``max_tokens`` while nobody decodes, else what measured speed allows, from ``min_tokens`` up.

    A step may always take ``pause_s``, however short an undisturbed one is. ``first_tokens`` are tried beside answers
    before anything was measured.
    """

    def __init__(
        self, *, min_tokens: int = 8, max_tokens: int = 256, first_tokens: int = 16, pause_s: float = 0.0
    ) -> None:
        self._min_tokens = min_tokens
        self._pause_s = pause_s
        self._max_tokens = max_tokens  # lowered for lack of memory, and raised again later
        self._configured_max_tokens = max_tokens
        self._chunks_since_halved = 0
        self._tokens_beside_decode = float(min(first_tokens, max_tokens))
        self._decode_step_s: dict[int, float] = {}  # by rows
        self._prefill_s_per_token = 0.0

    def tokens(self, decoding_rows: int) -> int:
        """Prompt tokens the next step may read beside so many answers."""
        return max(self._min_tokens, int(self._tokens_beside_decode)) if decoding_rows else self._max_tokens

    @classmethod
    def on(cls, device_type: str, max_tokens: int = 0) -> PrefillBudget:
        """What suits a device; 0 ``max_tokens`` are the usual ones.

        On a card a step that also reads is no captured one, and 4-bit weights are unpacked for it, however short its
        piece is: many short pieces would take a prompt several times as long.
        """
        most = max_tokens or PREFILL_CHUNK_TOKENS[device_type]
        if device_type == "cuda":
            return cls(min_tokens=128, max_tokens=most, first_tokens=256, pause_s=0.12)
        return cls(max_tokens=most)

    @property
    def prefill_s_per_token(self) -> float:
        """Seconds to read one prompt token, measured; 0.0 before anything was read."""
        return self._prefill_s_per_token

    def measured(self, duration_s: float, *, decoding_rows: int, chunk_tokens: int) -> None:
        """Learn from a step that decoded so many rows and read so many prompt tokens."""
        if chunk_tokens:
            self._regain()
        if not chunk_tokens:
            self._decode_step_s[decoding_rows] = smoothed(self._decode_step_s.get(decoding_rows), duration_s)
        elif not decoding_rows:
            self._prefill_s_per_token = smoothed(self._prefill_s_per_token or None, duration_s / chunk_tokens)
        elif chunk_tokens >= self.tokens(decoding_rows) and self._decode_step_s:
            undisturbed_s = self._decode_step_s.get(decoding_rows) or max(self._decode_step_s.values())
            factor = max(LONGEST_STEP_FACTOR * undisturbed_s, self._pause_s) / duration_s
            wanted = self._tokens_beside_decode * min(1.25, max(0.5, factor))
            self._tokens_beside_decode = min(max(wanted, self._min_tokens), self._max_tokens)

    def halve(self) -> bool:
        """Read less at once for a good while, for lack of memory. False when it is the least already."""
        self._chunks_since_halved = 0
        if self._max_tokens <= self._min_tokens:
            return False
        self._max_tokens = max(self._min_tokens, self._max_tokens // 2)
        self._tokens_beside_decode = min(self._tokens_beside_decode, float(self._max_tokens))
        return True

    def _regain(self) -> None:
        self._chunks_since_halved += 1
        if self._chunks_since_halved >= CHUNKS_BEFORE_REGAIN and self._max_tokens < self._configured_max_tokens:
            self._max_tokens = min(self._configured_max_tokens, self._max_tokens * 2)
            self._chunks_since_halved = 0


def smoothed(old: float | None, new: float) -> float:
    """``old`` moved a share of the way to ``new``."""
    return new if old is None else old + SMOOTHING * (new - old)
