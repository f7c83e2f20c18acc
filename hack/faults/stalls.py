"""Measures how busy this machine is while a fault runs. On a machine that stands still a missed bound shows nothing."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Self

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError

MAX_SECONDS = 0.5
"""A longer stall leaves a controller too little of the time that it has to renew a Lease."""
_PERIOD = 0.05


class Stalls:
    """A context manager with a thread that reads from the API server, directly, all the time.

    worst: the longest time, in seconds, that one read took beyond its due time.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._api = cluster.api()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stalls", daemon=True)
        self.worst = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)

    def take(self) -> float:
        """The worst one since the last call."""
        worst, self.worst = self.worst, 0.0
        return worst

    @property
    def is_quiet(self) -> bool:
        """Whether the machine and its API server were always quick enough for bounds on time to mean something."""
        return self.worst <= MAX_SECONDS

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self._stopping.wait(_PERIOD)
            with contextlib.suppress(ApiStatusError, OSError):
                self._api.get("/api/v1/namespaces/default")
            self.worst = max(self.worst, time.monotonic() - began - _PERIOD)
