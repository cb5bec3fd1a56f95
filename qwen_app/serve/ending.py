"""How the process ends, whatever its threads do: at a signal, after the last answer, or because the engine is lost."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

log = logging.getLogger(__name__)

LOST_ENGINE_EXIT = 70
LAST_WORDS_S = 2.0  # for the error to reach those who wait for an answer
END_S = 40.0  # from the first signal to the end, at the most; `stop` waits longer (pidfile.py)
LINGER_S = 1.0  # for threads that are about to end


def end_process(reason: str) -> None:
    """End at once: the engine is lost and answers nothing more in this process, and only a new one can help."""
    _within(LAST_WORDS_S, lambda: log.critical("The process ends (exit %d): %s", LOST_ENGINE_EXIT, reason))
    time.sleep(LAST_WORDS_S)
    _exit(LOST_ENGINE_EXIT)


def leave(code: int) -> int:
    """``code``, where this is the only thread; else the process ends here with it.

    The interpreter's own end is no way out: it waits for the threads of pools, daemons too, and a thread that comes
    back from C++ meanwhile aborts the process.
    """
    deadline = time.monotonic() + LINGER_S
    hanging = [thread.name for thread in _others() if not thread.daemon and not _ends(thread, deadline)]
    if hanging:
        _within(LAST_WORDS_S, lambda: log.warning("Left behind, for they do not end: %s.", ", ".join(hanging)))
    if _others():
        _exit(code)
    return code


class ForcedEnd:
    """Ends the process END_S seconds from ``begin``, unless it has ended by then."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        threading.Thread(target=self._watch, name="forced-end", daemon=True).start()

    def begin(self) -> None:
        """May be called again, and in a signal's handler: it starts no thread and logs nothing."""
        self._begun.set()

    def _watch(self) -> None:
        self._begun.wait()
        time.sleep(END_S)
        _within(LAST_WORDS_S, lambda: log.error("Not all could be ended within %.0f s; it ends now.", END_S))
        _exit(0)


def set_at_signal(stop: asyncio.Event) -> ForcedEnd:
    """Set ``stop`` at the first SIGTERM or SIGINT, after which the end is forced in time; the next one ends at once.

    So does SIGHUP, of a terminal that closes, but for the haste: it comes more than once. ``nohup`` keeps it away.
    The loop is told, and the handler runs by itself too: between any two steps of a loop that is busy with one of them.
    """
    forced = ForcedEnd()
    signalled = False

    def note(number: int, _: FrameType | None) -> None:
        nonlocal signalled
        if signalled and number != signal.SIGHUP:
            os._exit(128 + number)
        signalled = True
        forced.begin()

    hangup = () if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else (signal.SIGHUP,)
    for number in (signal.SIGTERM, signal.SIGINT, *hangup):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
        signal.signal(number, note)
    return forced


def _others() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread is not threading.current_thread()]


def _ends(thread: threading.Thread, deadline: float) -> bool:
    thread.join(max(0.0, deadline - time.monotonic()))
    return not thread.is_alive()


def _within(limit_s: float, work: Callable[[], None]) -> None:
    """Do ``work`` aside and wait no longer than that: a console nobody reads or a hung thread's lock may block it."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit_s)


def _exit(code: int) -> None:
    _within(LAST_WORDS_S, logging.shutdown)
    _within(LAST_WORDS_S, sys.stdout.flush)
    os._exit(code)
