"""The shortest legal completion of a half-written answer, found by asking its grammar.

Work is done a byte at a time, because every byte-level vocabulary has a token for each byte that text can hold; the
completion is then encoded as the model would write it. Objects and arrays are closed greedily. Strings and numbers that
a pattern, a format or a bound holds open are searched breadth first, and strings so found are remembered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from llguidance import LLMatcher

from qwen_app.structured.json_text import QUOTE, StringTracker
from qwen_app.structured.vocabulary import Vocabulary

# Closing comes first, then what closes soonest. Digits come after the comma, or a number never ends; a quote comes
# after the literals, or a string is opened where null would do.
CLOSERS = b"}],:"
OUTSIDE = CLOSERS + b'nft01"{['
NUMBER = b"0123456789-+.eE"
INSIDE = b'"a0A'
LAST = b" \t\n\r\\"
ANY = bytes(byte for byte in range(0x21, 0x100) if byte not in LAST) + LAST
ASCII_FIRST = bytes(byte for byte in ANY if byte < 0x80) + bytes(byte for byte in ANY if byte >= 0x80)
ORDER_OUTSIDE = OUTSIDE + bytes(byte for byte in ASCII_FIRST if byte not in OUTSIDE)
ORDER_INSIDE = INSIDE + bytes(byte for byte in ASCII_FIRST if byte not in INSIDE)

FEW_STEPS = 40
GREEDY_STEPS = 512
BEAM = 4
KEPT_COMPLETIONS = 32
MORE_DIGITS = 20  # that a number gets at most to become a multiple of its step
FEW_MULTIPLES = 4  # of a step that are tried with so many digits: bounds may refuse the first
LIMIT_NUMBER = 256  # characters of a number that are looked at
BEGUN_NUMBER = re.compile(rb"(?<![0-9.])([0-9]*+)(\.?)([0-9]*+)$")


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a search may be: ``nodes`` states looked at (some 50 us each), ``steps`` greedy bytes."""

    nodes: int = 2_000
    steps: int = 4_096


PATIENT = Effort(nodes=8_000, steps=8_192)


class CompletionSearch:
    """Finds completions for the answers of one grammar and remembers those of its strings. One thread at a time.

    ``string_completions`` are guesses at first: how a string, or a text that is not JSON, may end. ``steps`` are what
    its numbers may have to be multiples of.
    """

    def __init__(
        self, vocabulary: Vocabulary, string_completions: Sequence[bytes], steps: Sequence[Fraction] = ()
    ) -> None:
        self._vocabulary = vocabulary
        self._steps = steps
        self.string_completions = list(string_completions)

    def shortest(
        self, matcher: LLMatcher, text: bytes, tracker: StringTracker | None, effort: Effort = Effort()
    ) -> bytes | None:
        """Bytes that end the answer from ``text`` on; empty when it may end now; None when ``effort`` was not enough.

        ``tracker`` is where JSON text stands, None for text that is not JSON. The matcher is left as it was.
        """
        start = Node(self._vocabulary, matcher.deep_copy(), b"", tracker)
        begun = text[-LIMIT_NUMBER:]
        if tracker is None:
            found = (
                self._known_completion(start, _is_whole)
                or _by_layers(start, _is_whole, effort.nodes)
                or _greedily(start.copy(), _is_whole, effort.steps)
            )
        else:
            found = (
                self._document(start.copy(), begun, effort, GREEDY_STEPS)
                or _by_layers(start, _is_whole, effort.nodes)
                or self._document(start.copy(), begun, effort, effort.steps)
            )
        return None if found is None else found.written

    def _document(self, node: Node, begun: bytes, effort: Effort, steps: int) -> Node | None:
        for _ in range(steps):
            if not node.follow_forced():
                return None
            if node.matcher.is_accepting():
                return node
            inside, first = node.inside, node.first_allowed_byte()
            if first is None:
                return None
            if (inside and first != QUOTE) or (not inside and first in NUMBER):
                ended = self._end_string(node, effort) if inside else self._end_number(node, begun, effort)
                if ended is None:
                    return None
                node = ended
            elif not node.take(first):
                return None
        return None

    def _end_string(self, node: Node, effort: Effort) -> Node | None:
        left_string = _left_string_of(node)
        known = self._known_completion(node, left_string)
        if known is not None:
            return known
        ended = _ended(node, left_string, effort)
        if ended is not None:
            self.string_completions.append(node.string_end(ended.written[len(node.written) :]))
            self.string_completions.sort(key=len)
            del self.string_completions[KEPT_COMPLETIONS:]
        return ended

    def _end_number(self, node: Node, begun: bytes, effort: Effort) -> Node | None:
        left = _left_number_of(node)
        return (
            _greedily(node.copy(), left, FEW_STEPS)
            or self._by_multiples(node, (begun + node.written)[-LIMIT_NUMBER:], left)
            or _ended(node, left, effort)
        )

    def _by_multiples(self, node: Node, text: bytes, goal: Goal) -> Node | None:
        """Digits are counted out: to a search, places from which only multiples of a step lead on look alike."""
        for count in range(1, MORE_DIGITS + 1):
            for step in self._steps:
                for digits in _digits_to_multiples(text, step, count):
                    if node.follows(digits):
                        ended = node.copy()
                        if ended.write(digits) and goal(ended):
                            return ended
        return None

    def _known_completion(self, node: Node, goal: Goal) -> Node | None:
        """The shortest end of a known completion that leads from ``node`` to the goal."""
        if goal(node):
            return node
        ends = {known[start:] for known in self.string_completions for start in range(len(known))}
        for end in sorted(ends, key=lambda end: (len(end), end)):
            if node.follows(end):
                ended = node.copy()
                if ended.write(end) and goal(ended):
                    return ended
        return None


def encode_completion(matcher: LLMatcher, vocabulary: Vocabulary, completion: bytes) -> list[int] | None:
    """``completion`` as token ids that ``matcher`` accepts: the usual ones, or one a byte where those are refused."""
    single = [vocabulary.byte_ids[byte] for byte in completion if byte in vocabulary.byte_ids]
    for token_ids in (vocabulary.encode(completion), single):
        if vocabulary.decode(token_ids) == completion and matcher.validate_tokens(token_ids) == len(token_ids):
            return token_ids
    return None


class Node:
    """A place in a search: the grammar's state, what was written to get there, and whether that is inside a string."""

    __slots__ = ("_tracker", "_vocabulary", "matcher", "written")

    def __init__(
        self, vocabulary: Vocabulary, matcher: LLMatcher, written: bytes, tracker: StringTracker | None
    ) -> None:
        self.matcher = matcher
        self.written = written
        self._vocabulary = vocabulary
        self._tracker = tracker

    @property
    def inside(self) -> bool:
        return self._tracker is not None and self._tracker.inside

    @property
    def ended_strings(self) -> int:
        return self._tracker.ended if self._tracker else 0

    def string_end(self, text: bytes) -> bytes:
        """What of ``text``, which goes on from here, belongs to the string that is open here, its quote included."""
        tracker = self._tracker.copy() if self._tracker else StringTracker()
        for length, byte in enumerate(text, 1):
            tracker.feed(bytes([byte]))
            if tracker.ended > self.ended_strings:
                return text[:length]
        return text

    def copy(self) -> Node:
        tracker = self._tracker.copy() if self._tracker else None
        return Node(self._vocabulary, self.matcher.deep_copy(), self.written, tracker)

    def take(self, byte: int) -> bool:
        return self.write(bytes([byte]))

    def write(self, text: bytes) -> bool:
        """Go on by ``text``. False when the grammar refuses it."""
        self.written += text
        if self._tracker:
            self._tracker.feed(text)
        return bool(self.matcher.consume_tokens([self._vocabulary.byte_ids[byte] for byte in text]))

    def follows(self, text: bytes) -> bool:
        """Whether ``text`` may come next."""
        ids = self._vocabulary.byte_ids
        known = all(byte in ids for byte in text)
        return known and bool(self.matcher.validate_tokens([ids[byte] for byte in text]) == len(text))

    def follow_forced(self) -> bool:
        """Write all that has no alternative. False when the grammar gave up or the vocabulary lacks a byte."""
        while not self.matcher.is_accepting() and (forced := self.matcher.compute_ff_bytes()):
            if any(byte not in self._vocabulary.byte_ids for byte in forced) or not self.write(forced):
                return False
        return not self.matcher.is_error()

    def allowed_bytes(self) -> list[int]:
        """Bytes that may come next, in order of preference. Beyond ASCII only where nothing else is legal."""
        allowed = list(self._allowed())
        return [byte for byte in allowed if byte < 0x80] or allowed

    def first_allowed_byte(self) -> int | None:
        return next(self._allowed(), None)

    def _allowed(self) -> Iterator[int]:
        mask = self.matcher.compute_bitmask()
        ids = self._vocabulary.byte_ids
        order = ORDER_INSIDE if self.inside else ORDER_OUTSIDE
        return (byte for byte in order if byte in ids and mask[ids[byte] >> 3] >> (ids[byte] & 7) & 1)

    def signature(self) -> int:
        """Equal for places that look alike from here: the same tokens may come next."""
        return hash((self.matcher.compute_bitmask(), self.inside))


Goal = Callable[[Node], bool]


def _is_whole(node: Node) -> bool:
    return bool(node.matcher.is_accepting())


def _left_string_of(start: Node) -> Goal:
    """The string that is open at ``start`` has ended; what is forced behind it may have opened the next."""
    return lambda node: node.ended_strings > start.ended_strings


def _left_number_of(start: Node) -> Goal:
    """The number that begins or goes on at ``start`` has ended, or may; behind it the next may have begun."""

    def left(node: Node) -> bool:
        behind = any(byte not in NUMBER for byte in node.written[len(start.written) :])
        return behind or _is_whole(node) or node.first_allowed_byte() in tuple(CLOSERS)

    return left


def _digits_to_multiples(text: bytes, step: Fraction, count: int) -> Iterator[bytes]:
    """What makes of the number that ``text`` ends with, by ``count`` more digits, one of the next multiples."""
    number = BEGUN_NUMBER.search(text)
    whole, point, places = number.groups() if number else (b"", b"", b"")
    unit = Fraction(1, 10 ** (len(places) + count)) if point else Fraction(1)
    multiple = (step / unit).numerator  # of which the digits, read as one number without its point, have to be one
    begun = int(whole + places or b"0") * 10**count
    least = begun if whole else 10 ** (count - 1)
    first = -(-least // multiple) * multiple
    for value in range(first, min(begun + 10**count, first + FEW_MULTIPLES * multiple), multiple):
        yield b"%0*d" % (count, value - begun)


def _ended(node: Node, goal: Goal, effort: Effort) -> Node | None:
    return (
        _greedily(node.copy(), goal, FEW_STEPS)
        or _by_layers(node, goal, effort.nodes)
        or _greedily(node.copy(), goal, effort.steps)
    )


def _greedily(node: Node, goal: Goal, steps: int) -> Node | None:
    for _ in range(steps):
        if not node.follow_forced():
            return None
        if goal(node):
            return node
        first = node.first_allowed_byte()
        if first is None or not node.take(first):
            return None
    return None


def _by_layers(start: Node, goal: Goal, budget: int) -> Node | None:
    """Breadth first over single bytes, keeping at each depth a few places that look different, new ones first."""
    layer, met = [start.copy()], set[int]()
    while layer and budget > 0:
        grown: dict[int, Node] = {}
        for node in layer:
            if not node.follow_forced():
                continue
            if goal(node):
                return node
            for byte in node.allowed_bytes():
                budget -= 1
                child = node.copy()
                if child.take(byte):
                    if goal(child):
                        return child
                    grown.setdefault(child.signature(), child)
        ranked = sorted(grown, key=lambda signature: signature in met)
        met.update(grown)
        layer = [grown[signature] for signature in ranked[:BEAM]]
    return None
