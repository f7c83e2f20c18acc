"""Threads for calls to the API server, shared fairly among groups of calls, such as the creations of one namespace.

`write_turns.py` decides whose turn it is. Where the calls of some groups hang (an admission webhook that does not
answer), the other threads still serve the other groups.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from pkg.controllers.workflow.write_turns import Turn, Turns

T = TypeVar("T")


class _Call(NamedTuple):
    """context: that of the caller, so that the log lines of the call name the same workflow."""

    function: Callable[[], Any]
    future: Future[Any]
    context: contextvars.Context

    def run(self) -> Callable[[], None]:
        """Makes the call; what is returned puts the answer into the future."""
        if not self.future.set_running_or_notify_cancel():
            return lambda: None
        try:
            result = self.context.run(self.function)
        except BaseException as error:
            return functools.partial(self.future.set_exception, error)
        return functools.partial(self.future.set_result, result)


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
        # One per thread that waits for a call; set to wake that thread. Watchers also wake by time.
        self._idle: list[threading.Event] = []
        self._watchers: set[threading.Event] = set()
        self._is_stopped = False

    def submit(self, group: str, owner: str, function: Callable[[], T]) -> Future[T]:
        """Calls a function in a thread of the pool, when it is the turn of the group and, within it, of the owner.

        The future is cancelled if the pool is stopped.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._is_stopped:
                future.cancel()
                return future
            now = self._clock()
            self._turns.add(group, owner, _Call(function, future, contextvars.copy_context()), now)
            self._wake_if_needed(now)
        return future

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
            for idle in self._idle:
                idle.set()
        for call in left:
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
            woken = self._idle.pop()
            self._watchers.discard(woken)
            woken.set()
        elif self._threads < self._limit:
            self._threads += 1
            threading.Thread(target=self._run, name=f"write-{self._threads}", daemon=True).start()

    def _run(self) -> None:
        turn: Turn[_Call] | None = None
        answer: Callable[[], None] | None = None
        while True:
            with self._lock:
                now = self._clock()
                if turn is not None:
                    self._turns.finish(turn.group, turn.number, now)
                turn = self._turns.take(now)
                if turn is not None:
                    self._wake_if_needed(now)  # one answer can make room for several calls
                elif not self._is_stopped:
                    woken, seconds = self._enter_idle(now)
            if answer is not None:
                answer()
                answer = None
            if turn is not None:
                answer = turn.call.run()
            elif self._is_stopped:
                return
            elif not woken.wait(seconds):
                self._leave_idle(woken)

    def _enter_idle(self, now: float) -> tuple[threading.Event, float | None]:
        """What wakes this thread, and after how many seconds it wakes by itself. Call with the lock held."""
        woken = threading.Event()
        self._idle.append(woken)
        seconds = self._turns.next_change(now)
        if seconds is not None:
            self._watchers.add(woken)
        return woken, seconds

    def _leave_idle(self, woken: threading.Event) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._watchers.discard(woken)
            self._idle.remove(woken)
