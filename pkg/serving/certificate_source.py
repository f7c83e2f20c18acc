"""Where the serving certificate comes from: a thread that looks again and again, and takes what is new into use."""

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

Use = Callable[[bytes, bytes], None]
"""Takes a certificate and its key (PEM) into use. Raises BadCertificate."""


class Source(ABC, Generic[T]):
    """use: takes a certificate into use; problem: why there is none before the first look."""

    def __init__(self, use: Use, problem: str) -> None:
        self._use = use
        self._used: T | None = None
        self._problem: str | None = problem
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="certificates", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for a call that runs."""
        self._stopping.set()

    def lacks(self) -> str | None:
        """None if there is a certificate in use, else why not: a health check."""
        return None if self._used is not None else self._problem

    @abstractmethod
    def look(self) -> float:
        """Looks once, and takes what is new into use. Returns the seconds until the next look. Does not raise."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            # The replicas of a Deployment start together, and should not go on together.
            self._stopping.wait(self.look() * random.uniform(0.5, 1.5))
