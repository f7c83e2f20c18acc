"""Asks for the admission of a Workflow again and again, from several threads, and notes what fails."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

from hack.cluster import Cluster
from hack.cluster.api import Api

_PATH = "/apis/flow.workflow.sh/v1alpha1/namespaces/default/workflows?dryRun=All"
_BODY = {
    "apiVersion": "flow.workflow.sh/v1alpha1",
    "kind": "Workflow",
    "metadata": {"generateName": "asked-"},
    "spec": {"flows": [{"name": "a", "template": "missing"}]},
}
_PAUSE_SECONDS = 0.05


class Requests:
    """They are made within the `with` block; nothing is stored. `failed`: what went wrong, one text for each."""

    def __init__(self, cluster: Cluster, threads: int) -> None:
        self.failed: list[str] = []
        self._counts = [0] * threads
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, cluster.api()), daemon=True) for number in range(threads)
        ]

    @property
    def count(self) -> int:
        """How many have been answered so far."""
        return sum(self._counts)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, number: int, api: Api) -> None:
        body: dict[str, Any] = _BODY
        while not self._end.wait(_PAUSE_SECONDS):
            try:
                api.request("POST", _PATH, body)
            except Exception as error:  # whatever it is, a person would have seen it
                self.failed.append(f"{time.strftime('%H:%M:%S')} {error}")
            else:
                self._counts[number] += 1
