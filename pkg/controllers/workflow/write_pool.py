"""Threads for calls to the API server, shared fairly among groups of calls, such as the creations of one namespace.

Groups take turns, and so do the owners of calls within a group, such as its workflows. One group never has more than
its share of the threads: where each of its calls hangs (an admission webhook that does not answer), the other threads
still serve the other groups.
"""

from __future__ import annotations

import contextvars
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Call(NamedTuple):
    """context: that of the caller, so that the log lines of the call name the same workflow."""

    function: Callable[[], Any]
    future: Future[Any]
    context: contextvars.Context

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.context.run(self.function)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class _Waiting:
    """The calls of one group that wait, by owner, in the order of their turns."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, deque[_Call]] = OrderedDict()

    @property
    def is_empty(self) -> bool:
        return not self._by_owner

    def add(self, owner: str, call: _Call) -> None:
        self._by_owner.setdefault(owner, deque()).append(call)

    def take(self) -> _Call:
        owner, calls = self._by_owner.popitem(last=False)
        call = calls.popleft()
        if calls:
            self._by_owner[owner] = calls  # behind the others
        return call

    def calls(self) -> list[_Call]:
        return [call for calls in self._by_owner.values() for call in calls]


class WritePool:
    """threads: how many calls run at once; share: how many of them for one group, by default a quarter."""

    def __init__(self, threads: int, share: int | None = None) -> None:
        self._limit = threads
        self._share = share if share is not None else max(1, threads // 4)
        self._lock = threading.Lock()
        self._wanted = threading.Condition(self._lock)
        self._waiting: dict[str, _Waiting] = {}
        self._running: Counter[str] = Counter()
        self._turns: deque[str] = deque()  # groups that have a waiting call and are below their share, each once
        self._threads = 0
        self._idle = 0
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
            if group not in self._waiting:
                self._waiting[group] = _Waiting()
                if self._running[group] < self._share:
                    self._turns.append(group)
            self._waiting[group].add(owner, _Call(function, future, contextvars.copy_context()))
            if self._idle:
                self._idle -= 1  # here, so that the next call finds another thread
                self._wanted.notify()
            elif self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._run, name=f"write-{self._threads}", daemon=True).start()
        return future

    def stop(self) -> None:
        """Starts no other call; returns at once, and running calls go on."""
        with self._lock:
            self._is_stopped = True
            left = [call for waiting in self._waiting.values() for call in waiting.calls()]
            self._waiting.clear()
            self._turns.clear()
            self._wanted.notify_all()
        for call in left:
            call.future.cancel()

    def is_full(self, group: str) -> bool:
        """Whether a group has its whole share of the threads, so that its next call waits."""
        with self._lock:
            return self._running[group] >= self._share

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            group, call = taken
            call.run()
            self._finish(group)

    def _take(self) -> tuple[str, _Call] | None:
        with self._lock:
            while not self._turns:
                if self._is_stopped:
                    return None
                self._idle += 1
                self._wanted.wait()
            group = self._turns.popleft()
            waiting = self._waiting[group]
            call = waiting.take()
            self._running[group] += 1
            if waiting.is_empty:
                del self._waiting[group]
            elif self._running[group] < self._share:
                self._turns.append(group)
            return group, call

    def _finish(self, group: str) -> None:
        with self._lock:
            was_full = self._running[group] >= self._share
            self._running[group] -= 1
            if not self._running[group]:
                del self._running[group]
            if was_full and group in self._waiting:
                self._turns.append(group)
