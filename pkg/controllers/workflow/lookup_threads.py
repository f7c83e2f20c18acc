"""Threads that look something up for reconciles, so that no worker waits for it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from pkg.kube.limiter import TokenBucket

THREADS: Final = 2


class LookupThreads(ABC):
    """name: of the threads; limit: how many calls there are per second; clock: in seconds."""

    def __init__(self, name: str, limit: TokenBucket, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._changed = threading.Condition()
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(THREADS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        """For a health check."""
        return tuple(self._threads)

    @abstractmethod
    def _run(self) -> None:
        """What each thread does until the end."""

    def _wait_for_turn(self) -> bool:
        """Waits until one more call is allowed; True if the threads are to end."""
        pause = self._limit.reserve(self._clock())
        return bool(pause) and self._wait(pause)

    def _wait(self, seconds: float) -> bool:
        """Waits; True if the threads are to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping, seconds)
            return self._is_stopping
