"""Threads that wait for what a lock guards."""

from __future__ import annotations

import threading
import time

from pkg.controllers.engine.waiters import Waiters
from tests.waiting import until


class _Thread:
    """Waits once, in a thread of its own."""

    def __init__(self, lock: threading.Lock, waiters: Waiters) -> None:
        self._lock, self._waiters = lock, waiters
        self.is_asleep = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with self._lock:
            self.is_asleep = True
            self._waiters.wait(None)


def _sleeping(lock: threading.Lock, waiters: Waiters) -> _Thread:
    made = _Thread(lock, waiters)
    until(lambda: made.is_asleep)
    with lock:  # which it has released by now
        return made


def test_who_has_waited_longest_is_woken_first() -> None:
    lock = threading.Lock()
    waiters = Waiters(lock)
    first, second = _sleeping(lock, waiters), _sleeping(lock, waiters)
    with lock:
        waiters.notify()
    first.thread.join(10)
    assert (first.thread.is_alive(), second.thread.is_alive()) == (False, True)
    with lock:
        waiters.notify()
    second.thread.join(10)
    assert not second.thread.is_alive()


def test_all_are_woken_at_once() -> None:
    lock = threading.Lock()
    waiters = Waiters(lock)
    threads = [_sleeping(lock, waiters) for _ in range(3)]
    with lock:
        waiters.notify_all()
    for one in threads:
        one.thread.join(10)
    assert not any(one.thread.is_alive() for one in threads)


def test_who_waits_for_a_time_holds_the_lock_again_afterwards_and_is_not_woken_later() -> None:
    lock = threading.Lock()
    waiters = Waiters(lock)
    with lock:
        began = time.monotonic()
        waiters.wait(0.01)
        assert time.monotonic() - began >= 0.01
        assert lock.locked()
    other = _sleeping(lock, waiters)
    with lock:
        waiters.notify()  # for the other: the first does not wait any more
    other.thread.join(10)
    assert not other.thread.is_alive()


def test_nobody_waits_and_nothing_is_kept() -> None:
    lock = threading.Lock()
    waiters = Waiters(lock)
    with lock:
        waiters.notify()
        waiters.notify_all()
        began = time.monotonic()
        waiters.wait(0.01)
    assert time.monotonic() - began >= 0.01
