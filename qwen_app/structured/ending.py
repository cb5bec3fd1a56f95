"""The shortest legal ending of a half-written answer, found by asking its grammar.

Work is done a byte at a time, because every byte-level vocabulary has a token for each byte that text can hold; the
ending is then encoded as the model would write it.
"""

from __future__ import annotations

from dataclasses import dataclass

from llguidance import LLMatcher

from qwen_app.structured.json_text import StringTracker
from qwen_app.structured.vocabulary import Vocabulary

# Closing comes first, then what closes soonest. Digits come after the comma, or a number never ends; a quote comes
# after the literals, or a string is opened where null would do.
OUTSIDE = b'}],:nft01"{['
LAST = b" \t\n\r\\"
INSIDE = b'"a0A'
ANY = bytes(byte for byte in range(0x21, 0x100) if byte not in LAST) + LAST
ORDER_OUTSIDE = OUTSIDE + bytes(byte for byte in ANY if byte not in OUTSIDE)
ORDER_INSIDE = INSIDE + bytes(byte for byte in ANY if byte not in INSIDE)

GREEDY_STEPS = 512
BEAM = 4


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a search may be: ``nodes`` states looked at (some 50 us each), ``steps`` greedy bytes."""

    nodes: int = 2_000
    steps: int = 4_096


PATIENT = Effort(nodes=20_000, steps=65_536)


def shortest_ending(
    matcher: LLMatcher, vocabulary: Vocabulary, tracker: StringTracker | None, effort: Effort = Effort()
) -> bytes | None:
    """Bytes that end the answer from here; empty when it may end now; None when none was found with ``effort``.

    ``tracker`` is where JSON text stands, None for text that is not JSON. The matcher is left as it was.
    """
    if tracker is None:
        return _by_layers(matcher, vocabulary, None, effort.nodes) or _greedily(matcher, vocabulary, None, effort.steps)
    ending = _greedily(matcher, vocabulary, tracker, min(GREEDY_STEPS, effort.steps))
    if ending is None:
        ending = _by_layers(matcher, vocabulary, tracker, effort.nodes)
    if ending is None and effort.steps > GREEDY_STEPS:
        ending = _greedily(matcher, vocabulary, tracker, effort.steps)
    return ending


def encode_ending(matcher: LLMatcher, vocabulary: Vocabulary, ending: bytes) -> list[int]:
    """``ending`` as token ids that ``matcher`` accepts: the usual ones, or one a byte where those are refused."""
    usual = vocabulary.encode(ending)
    if vocabulary.decode(usual) == ending and matcher.validate_tokens(usual) == len(usual):
        return usual
    return [vocabulary.byte_ids[byte] for byte in ending]


def _greedily(matcher: LLMatcher, vocabulary: Vocabulary, tracker: StringTracker | None, steps: int) -> bytes | None:
    node = _Node(matcher.deep_copy(), b"", tracker.copy() if tracker else None)
    for _ in range(steps):
        if not node.follow_forced(vocabulary):
            return None
        if node.matcher.is_accepting():
            return node.written
        allowed = node.allowed_bytes(vocabulary)
        if not allowed or not node.take(allowed[0], vocabulary):
            return None
    return None


def _by_layers(matcher: LLMatcher, vocabulary: Vocabulary, tracker: StringTracker | None, budget: int) -> bytes | None:
    """Breadth first over single bytes, keeping at each depth a few states that allow different things."""
    layer = [_Node(matcher.deep_copy(), b"", tracker.copy() if tracker else None)]
    met: set[int] = set()
    while layer:
        grown: dict[int, _Node] = {}
        for node in layer:
            if not node.follow_forced(vocabulary):
                continue
            if node.matcher.is_accepting():
                return node.written
            for byte in node.allowed_bytes(vocabulary):
                budget -= 1
                child = node.copy()
                if child.take(byte, vocabulary):
                    if child.matcher.is_accepting():
                        return child.written
                    grown.setdefault(child.signature(), child)
            if budget <= 0:
                return None
        fresh = [child for signature, child in grown.items() if signature not in met]
        known = [child for signature, child in grown.items() if signature in met]
        met.update(grown)
        layer = (fresh + known)[:BEAM] if len(fresh) < BEAM else fresh[: 4 * BEAM]
    return None


@dataclass(slots=True)
class _Node:
    matcher: LLMatcher
    written: bytes
    tracker: StringTracker | None

    def copy(self) -> _Node:
        return _Node(self.matcher.deep_copy(), self.written, self.tracker.copy() if self.tracker else None)

    def take(self, byte: int, vocabulary: Vocabulary) -> bool:
        return self._consume(bytes([byte]), [vocabulary.byte_ids[byte]])

    def follow_forced(self, vocabulary: Vocabulary) -> bool:
        """Write all that has no alternative. False when the grammar gave up or the vocabulary lacks a byte."""
        while not self.matcher.is_accepting() and (forced := self.matcher.compute_ff_bytes()):
            if any(byte not in vocabulary.byte_ids for byte in forced):
                return False
            if not self._consume(forced, [vocabulary.byte_ids[byte] for byte in forced]):
                return False
        return not self.matcher.is_error()

    def _consume(self, text: bytes, token_ids: list[int]) -> bool:
        self.written += text
        if self.tracker:
            self.tracker.feed(text)
        return bool(self.matcher.consume_tokens(token_ids))

    def allowed_bytes(self, vocabulary: Vocabulary) -> list[int]:
        """Bytes that may come next, in order of preference. Beyond ASCII only where nothing else is legal."""
        mask = self.matcher.compute_bitmask()
        ids = vocabulary.byte_ids
        order = ORDER_INSIDE if self.tracker is not None and self.tracker.inside else ORDER_OUTSIDE
        allowed = [byte for byte in order if byte in ids and mask[ids[byte] >> 3] >> (ids[byte] & 7) & 1]
        ascii_only = [byte for byte in allowed if byte < 0x80]
        return ascii_only or allowed

    def signature(self) -> int:
        inside = self.tracker is not None and self.tracker.inside
        return hash((self.matcher.compute_bitmask(), inside))
