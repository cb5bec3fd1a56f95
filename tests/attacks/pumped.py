"""Long texts that make a backtracking pattern go back: made of what the pattern speaks of, again and again."""

from __future__ import annotations

import gc
import re
import signal
import time
from collections.abc import Callable, Iterator
from itertools import product
from types import FrameType

LETTERS_MOST = 12
SIZES = (24, 200, 2_000)  # characters; the first is harmless even where the cost doubles with each of them
GROWS = 8  # times the cost for four times the text: linear is 4, quadratic 16
GIVE_UP_S = 2.0
_CLASSES = {r"\s": " \n", r"\S": "x", r"\d": "1", r"\w": "a", r"\W": ". ", r"\b": "", r"\Z": ""}

Reading = Callable[[str], object]
Sized = Callable[[int], str]


def texts_for(pattern: str) -> Iterator[Sized]:
    """For a number of characters each: a beginning the pattern may take, a word of its letters again and again."""
    letters = _letters(pattern)
    words = ["".join(word) for length in (1, 2) for word in product(letters, repeat=length)]
    yield from (repeated("", word, end) for word, end in product(words, ("", "\0")))
    beginnings = [*(letter * 3 for letter in letters), *re.findall(r"[\w<]{2,20}", pattern)]
    yield from (repeated(beginning, letter, "\0") for beginning, letter in product(beginnings, letters))


def repeated(beginning: str, word: str, end: str) -> Sized:
    return lambda size: beginning + word * (size // len(word)) + end


def growing_runs(letter: str) -> Sized:
    """Runs of one letter, each longer than the one before: none closes what another opened."""

    def text(size: int) -> str:
        runs: list[str] = []
        while sum(map(len, runs)) < size:
            runs.append(letter * (len(runs) + 1) + "a ")
        return "".join(runs)

    return text


def cost_grows(reads: Reading, text: Sized, slow_s: float) -> bool:
    """Whether a text four times as long costs far more than four times as much, from where ``slow_s`` are passed."""
    size = next((size for size in SIZES if cost_s(reads, text(size)) > slow_s), 0)
    return bool(size) and _least_s(reads, text(4 * size)) > GROWS * max(_least_s(reads, text(size)), slow_s)


def cost_s(reads: Reading, text: str) -> float:
    """CPU seconds of this thread; at GIVE_UP_S it is stopped."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    gc.disable()  # looks through all that the tests hold are no cost of the text's
    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, GIVE_UP_S)
    started = time.thread_time()
    try:
        reads(text)
    except TimeoutError:
        return 10 * GIVE_UP_S
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        gc.enable()
    return time.thread_time() - started


def _least_s(reads: Reading, text: str) -> float:
    return min(cost_s(reads, text) for _ in range(5))


def _letters(pattern: str) -> list[str]:
    """Characters that stand in the pattern, or for its classes."""
    named = [letter for name, letters in _CLASSES.items() if name in pattern for letter in letters]
    plain = re.sub(r"\\([sSdDwWbBZAu]|x[0-9a-f]{2})|\{\d*,?\d*\}|\(\?[:=!<]+", "", pattern)
    return list(dict.fromkeys([*named, *plain.replace("\\n", "\n").replace("\\", ""), " ", "a"]))[:LETTERS_MOST]
