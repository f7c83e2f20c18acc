"""Threads for calls to the API server, shared fairly among groups of calls, such as the creations of one namespace.

`write_turns.py` decides whose turn it is. Where the calls of some groups hang (an admission webhook that does not
answer), the other threads still serve the other groups.
"""

from __future__ import annotations

import contextvars
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from pkg.controllers.workflow.write_turns import Turn, Turns

_log = structlog.get_logger("workflow.write_pool")

T = TypeVar("T")


class _Call(NamedTuple):
    """context: that of the caller, so that the log lines of the call name the same workflow; future: for what it
    returns, None where nobody waits for that.
    """

    function: Callable[[], Any]
    future: Future[Any] | None
    context: contextvars.Context

    def run(self) -> Callable[[], None] | None:
        """Makes the call; what is returned, if anything, puts the answer into the future."""
        if self.future is None:
            try:
                self.context.run(self.function)
            except BaseException:
                self.context.run(_log.exception, "a call failed unexpectedly")
            return None
        if not self.future.set_running_or_notify_cancel():
            return None
        try:
            result = self.context.run(self.function)
        except BaseException as error:
            return functools.partial(self.future.set_exception, error)
        return functools.partial(self.future.set_result, result)


class Calls(Protocol):
    """What the executor needs of a pool: see `WritePool`."""

    @property
    def in_flight(self) -> int: ...

    def submit(self, group: str, owner: str, function: Callable[[], T]) -> Future[T]: ...

    def begin(self, group: str, owner: str, function: Callable[[], None]) -> None: ...

    def run_here(self, group: str, function: Callable[[], None]) -> bool: ...

    def is_delayed(self, group: str) -> bool: ...


class WritePool:
    """threads: how many calls run at once; share: how many of them for one group, by default a quarter.

    There are up to twice as many threads while calls hang.
    """

    def __init__(self, threads: int, share: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = 2 * threads
        self._clock = clock
        self._lock = threading.Lock()
        self._turns: Turns[_Call] = Turns(threads, share if share is not None else max(1, threads // 4), spare=threads)
        self._threads = 0
        # One per thread that waits for a call, released to wake that thread. Watchers also wake by time.
        self._idle: list[threading.Lock] = []
        self._watchers: set[threading.Lock] = set()
        self._is_stopped = False

    def submit(self, group: str, owner: str, function: Callable[[], T]) -> Future[T]:
        """Calls a function in a thread of the pool, when it is the turn of the group and, within it, of the owner.

        The future is cancelled if the pool is stopped.
        """
        future: Future[T] = Future()
        if not self._add(group, owner, _Call(function, future, contextvars.copy_context())):
            future.cancel()
        return future

    def begin(self, group: str, owner: str, function: Callable[[], None]) -> None:
        """The same for a function that returns nothing and raises nothing; a pool that is stopped does not call it."""
        self._add(group, owner, _Call(function, None, contextvars.copy_context()))

    def _add(self, group: str, owner: str, call: _Call) -> bool:
        """Whether the call runs some time: not in a pool that is stopped."""
        with self._lock:
            if self._is_stopped:
                return False
            now = self._clock()
            self._turns.add(group, owner, call, now)
            self._wake_if_needed(now)
        return True

    def run_here(self, group: str, function: Callable[[], None]) -> bool:
        """Calls a function in this thread, if no call waits and the group is likely to answer at once; else False.

        It counts as a call of the pool. No other thread has to be woken, and none has to wake this one.
        """
        with self._lock:
            number = None if self._is_stopped else self._turns.start(group, self._clock())
        if number is None:
            return False
        try:
            function()
        finally:
            with self._lock:
                now = self._clock()
                self._turns.finish(group, number, now)
                self._wake_if_needed(now)
        return True

    def stop(self) -> None:
        """Starts no other call; returns at once, and running calls go on."""
        with self._lock:
            self._is_stopped = True
            left = self._turns.clear()
            self._watchers.clear()
            while self._idle:
                self._idle.pop().release()
        for call in left:
            if call.future is not None:
                call.future.cancel()

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        with self._lock:
            return len(self._turns)

    @property
    def in_flight(self) -> int:
        """How many calls run or wait for a thread."""
        with self._lock:
            return self._turns.unanswered

    def is_delayed(self, group: str) -> bool:
        """Whether the answer to the next call of a group is likely to be late."""
        with self._lock:
            return self._turns.is_delayed(group, self._clock())

    def _wake_if_needed(self, now: float) -> None:
        """Lets another thread look for a call, or for the time when one may run. Call with the lock held."""
        if not self._turns.may_take(now) and (self._watchers or self._turns.next_change(now) is None):
            return
        if self._idle:
            sleeper = self._idle.pop()
            self._watchers.discard(sleeper)
            sleeper.release()
        elif self._threads < self._limit:
            self._threads += 1
            threading.Thread(target=self._run, name=f"write-{self._threads}", daemon=True).start()

    def _run(self) -> None:
        turn: Turn[_Call] | None = None
        answer: Callable[[], None] | None = None
        sleeper = threading.Lock()
        sleeper.acquire()
        seconds: float | None = None
        while True:
            with self._lock:
                now = self._clock()
                if turn is not None:
                    self._turns.finish(turn.group, turn.number, now)
                turn = self._turns.take(now)
                if turn is not None:
                    self._wake_if_needed(now)  # one answer can make room for several calls
                elif not self._is_stopped:
                    seconds = self._enter_idle(sleeper, now)
            if answer is not None:
                answer()
                answer = None
            if turn is not None:
                answer = turn.call.run()
            elif self._is_stopped:
                return
            elif not sleeper.acquire(True, -1 if seconds is None else seconds):
                self._leave_idle(sleeper)

    def _enter_idle(self, sleeper: threading.Lock, now: float) -> float | None:
        """Lets a thread be woken; after how many seconds it wakes by itself. Call with the lock held."""
        self._idle.append(sleeper)
        seconds = self._turns.next_change(now)
        if seconds is not None:
            self._watchers.add(sleeper)
        return seconds

    def _leave_idle(self, sleeper: threading.Lock) -> None:
        """The thread has woken by itself; it may have been woken at the same moment."""
        with self._lock:
            self._watchers.discard(sleeper)
            if sleeper in self._idle:
                self._idle.remove(sleeper)
            else:
                sleeper.acquire(False)
