"""Worker: the one thread that owns torch. Takes requests in, steps the model, sends events out, survives what fails."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable

from qwen_app.engine.local.compute.recovery import Failure, StickyDeviceError, failure_of
from qwen_app.engine.local.scheduler import Scheduler, Ticket
from qwen_app.engine.local.steps.acceptance import REQUEST_FAILED
from qwen_app.engine.local.steps.event_queue import Outbox
from qwen_app.engine.local.steps.sequence import SequenceState
from qwen_app.engine.local.steps.step_executor import NO_MEMORY, StepExecutor
from qwen_app.engine.local.watchdog import Watchdog
from qwen_app.errors import AppError, EngineError, EngineUnavailable, OutOfDeviceMemory
from qwen_app.messages import Delta, Event, Failed, Prefill, Queued

log = logging.getLogger(__name__)

IDLE_WAIT_S = 0.2
JOIN_S = 4.0  # at the end, for the step that runs; a thread that takes longer hangs
SWITCH_INTERVAL_S = 0.0005  # Python's 5 ms would be waited out on every return from torch while the web server is busy
STALLED = "The engine does not move. It is started anew if it stays so; try again in a minute."


class Worker:
    """Runs sequences to their end on its own thread. All public methods may be called from any thread.

    ``on_fatal`` is called, not on the caller's thread, when only a new process can help: the device is lost, or no step
    has ended for twice ``watchdog_s``. After ``watchdog_s`` alone the worker counts as stalled and its requests fail.
    """

    def __init__(
        self,
        executor: StepExecutor,
        scheduler: Scheduler,
        *,
        on_fatal: Callable[[str], None],
        watchdog_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._executor = executor
        self._scheduler = scheduler
        self._on_fatal = on_fatal
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._sequences: dict[str, SequenceState] = {}
        self._cancelled: set[str] = set()
        self._positions: dict[str, int] = {}
        self._outbox = Outbox()
        self._stopping = False
        self._heartbeat = clock()
        self._turns = 0
        self.stopped_reason = ""
        self._watchdog = Watchdog(
            lambda: self._turns, limit_s=watchdog_s, on_stall=self._fail_all, on_fatal=self._hangs_for_good
        )
        self._thread = threading.Thread(target=self._run, name="generation-worker", daemon=True)

    def start(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread.start()
        self._watchdog.start()

    def now(self) -> float:
        """Seconds on its clock, which deadlines of sequences are on."""
        return self._clock()

    def submit(self, sequence: SequenceState) -> int:
        """Queue a sequence and return how many wait before it. Raises TooManyRequests or EngineUnavailable."""
        with self._lock:
            if self._stopping or self.stopped_reason:
                raise EngineUnavailable(self.stopped_reason or "The engine is stopping. Try again in a minute.")
            if self.stalled:
                raise EngineUnavailable(STALLED)
            position = self._scheduler.submit(Ticket(sequence.id, sequence.user, sequence.deadline))
            self._sequences[sequence.id] = sequence
            self._positions[sequence.id] = position
        self._wake.set()
        return position

    def cancel(self, sequence_id: str) -> None:
        """End a sequence within a step. Nothing happens when it has ended already."""
        with self._lock:
            if sequence_id in self._sequences:
                self._cancelled.add(sequence_id)
        self._wake.set()

    def load(self) -> tuple[int, int]:
        """Running and waiting sequences."""
        return self._scheduler.running, self._scheduler.waiting

    @property
    def idle(self) -> bool:
        """Nothing runs or waits, and nothing is kept of any request."""
        with self._lock:
            return not (self._sequences or self._cancelled or self._positions)

    @property
    def stalled(self) -> bool:
        """No step has begun or ended for ``watchdog_s``."""
        return self._watchdog.stalled

    def heartbeat_age_s(self) -> float:
        """Seconds since the worker last began a step."""
        return self._clock() - self._heartbeat

    def stop(self) -> None:
        """Cancel what is left and end the thread. A thread that hangs is left behind, and its requests fail."""
        self._watchdog.stop()
        with self._lock:
            self._stopping = True
            self._cancelled.update(self._sequences)
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=JOIN_S)
        if self._thread.is_alive():
            log.warning("The worker's thread does not end.")
            self._fail_all()

    def _fail_all(self) -> None:
        """Tell everybody who waits, from a thread that is not the worker's; that one still holds what it holds."""
        with self._lock:
            waiting = list(self._sequences.values())
        for sequence in waiting:
            sequence.events.fail_from_thread(EngineUnavailable(STALLED))

    def _hangs_for_good(self, reason: str) -> None:
        self.stopped_reason = "The engine hangs."
        self._on_fatal(reason)

    def _run(self) -> None:
        try:
            while not self._stopping or self._sequences:
                self._heartbeat = self._clock()
                self._turns += 1
                if not self._guarded_turn():
                    self._wake.wait(IDLE_WAIT_S)
                    self._wake.clear()
        except BaseException as lost:  # the device, or a panic in native code: only a new process can help
            log.critical("the worker ends: %r", lost)
            self._give_up(lost)

    def _guarded_turn(self) -> bool:
        """A turn; whatever fails in it, its requests end and the loop lives. False when there was nothing to do."""
        try:
            return self._turn()
        except StickyDeviceError:
            raise
        except Exception as broken:
            if failure_of(broken) is Failure.STICKY:
                raise StickyDeviceError(str(broken)) from broken
            log.exception("step failed")
            error = EngineError(f"The engine failed on this request: {type(broken).__name__}.")
        self._end_all(error, waiting=False)
        self._executor.reset()
        return True

    def _give_up(self, lost: BaseException) -> None:
        sticky = isinstance(lost, StickyDeviceError)
        with self._lock:
            self.stopped_reason = "The GPU failed." if sticky else "The engine failed."
        self._end_all(
            EngineUnavailable(f"{self.stopped_reason} The server restarts; try again in a minute."), waiting=True
        )
        self._watchdog.stop()
        self._on_fatal(str(lost))

    def _turn(self) -> bool:
        """One step. False when there was nothing to do."""
        self._sweep()
        self._admit()
        running = self._running()
        if running:
            output = self._executor.step(running, self._clock)
            for sequence, event in output.events:
                self._outbox.add(sequence.events, event)
            for sequence in output.preempted:
                self._requeue(sequence)
            for sequence, error in output.failed:
                self._end(sequence, Failed(error, sequence.text))
            for sequence in running:
                if sequence.reason is not None:
                    self._end(sequence, sequence.finished(self._clock()))
        self._outbox.send()
        return bool(running)

    def _sweep(self) -> None:
        """End what was cancelled or is out of time."""
        with self._lock:
            cancelled, self._cancelled = self._cancelled, set()
            expired = self._scheduler.expired(self._clock())
        for sequence_id in (*cancelled, *expired):
            sequence = self._sequences.get(sequence_id)
            if sequence is not None:
                self._end(sequence, self._ended_early(sequence, cancelled=sequence_id in cancelled))

    def _ended_early(self, sequence: SequenceState, *, cancelled: bool) -> Event:
        """Send what the sequence still holds back, and return its terminal event."""
        now, before = self._clock(), len(sequence.token_ids)
        try:
            rest = sequence.end("cancelled") if cancelled else sequence.run_out(now)
            token_ids, logprobs = tuple(sequence.token_ids[before:]), sequence.answer.logprobs()
        except Exception:  # what is wrong with one request's text or grammar must not end the others
            log.exception("a request could not be ended")
            return Failed(EngineError(REQUEST_FAILED), sequence.text)
        if rest or token_ids or logprobs:
            self._outbox.add(sequence.events, Delta(rest, token_ids, logprobs))
        return sequence.finished(now)

    def _admit(self) -> None:
        with self._lock:
            giving_way = self._scheduler.give_way()
            if giving_way is not None:  # its user has every slot, and another waits: it goes on when there is room
                self._executor.pause(self._sequences[giving_way])
            admitted = [self._sequences[ticket.id] for ticket in self._scheduler.admit()]
            moved = self._moved()
        for sequence in admitted:
            cached = self._executor.place(sequence, self._clock())
            if cached is None:
                self._end(sequence, Failed(OutOfDeviceMemory(NO_MEMORY), sequence.text))
                continue
            if not sequence.begun_before:
                self._outbox.add(sequence.events, Prefill(cached, sequence.prompt_tokens, cached))
        for sequence, position in moved:
            if not sequence.begun_before:  # it has begun to answer: its place in the queue comes too late
                self._outbox.add(sequence.events, Queued(position))

    def _moved(self) -> list[tuple[SequenceState, int]]:
        """Waiting sequences whose place changed since it was last sent."""
        positions = self._scheduler.positions()
        moved = [
            (self._sequences[sequence_id], position)
            for sequence_id, position in positions.items()
            if self._positions.get(sequence_id) != position
        ]
        self._positions = positions
        return moved

    def _running(self) -> list[SequenceState]:
        with self._lock:  # submit may come at any moment
            return [sequence for sequence in self._sequences.values() if sequence.slot >= 0]

    def _requeue(self, sequence: SequenceState) -> None:
        with self._lock:
            self._scheduler.requeue(sequence.id)

    def _end(self, sequence: SequenceState, event: Event) -> None:
        """Free everything the sequence holds and send its terminal event."""
        with self._lock:
            self._scheduler.finish(sequence.id)
            self._sequences.pop(sequence.id, None)
            self._cancelled.discard(sequence.id)
            self._positions.pop(sequence.id, None)
        self._executor.release(sequence)
        self._outbox.add(sequence.events, event)

    def _end_all(self, error: AppError, *, waiting: bool) -> None:
        with self._lock:
            spared = set() if waiting else set(self._scheduler.positions())
            ended = [sequence for sequence in self._sequences.values() if sequence.id not in spared]
        for sequence in ended:
            self._end(sequence, Failed(error, sequence.text))
        self._outbox.send()
