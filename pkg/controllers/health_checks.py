"""What /healthz and /readyz ask: do all threads run that the work needs, is none stuck, are the caches complete?"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pkg.apis.meta import GVR
from pkg.controllers.engine.activity import Activity
from pkg.telemetry.health import Checks

STUCK_SECONDS = 60.0
"""A thread that has been at one task for longer than this counts as stuck."""


class Informers(Protocol):
    """The part of an InformerSet that a check needs."""

    def dead(self) -> tuple[GVR, ...]:
        """Resources whose thread has ended without `stop`."""


@dataclass(slots=True)
class HealthChecks:
    """threads: those that must run, by the name of their check; activities: the same for threads that report what they
    do, which must not be stuck either.

    Set `has_started` once the workers run, and `is_stopping` before they are stopped.
    """

    informers: Sequence[Informers]
    threads: Mapping[str, Sequence[threading.Thread]]
    activities: Mapping[str, Sequence[Activity]]
    has_started: bool = False
    is_stopping: bool = False

    def healthz(self) -> Checks:
        """The checks of a process that need not be restarted."""
        checks = Checks({"informers": self._check_informers})
        for name, threads in self.threads.items():
            checks.add(name, lambda threads=threads: self._check_threads(threads))  # type: ignore[misc]
        for name, activities in self.activities.items():
            checks.add(name, lambda activities=activities: self._check_activities(activities))  # type: ignore[misc]
        return checks

    def readyz(self) -> Checks:
        """The checks of a process whose caches are complete."""
        return Checks({"caches": self._check_caches})

    def _check_informers(self) -> str | None:
        dead = [gvr for informers in self.informers for gvr in informers.dead()]
        return f"informers have ended: {', '.join(map(str, dead))}" if dead else None

    def _check_threads(self, threads: Sequence[threading.Thread]) -> str | None:
        if self.is_stopping:
            return None
        ended = [thread.name for thread in threads if thread.ident is not None and not thread.is_alive()]
        return f"threads have ended: {', '.join(ended)}" if ended else None

    def _check_activities(self, activities: Sequence[Activity]) -> str | None:
        if ended := self._check_threads([activity.thread for activity in activities]):
            return ended
        for activity in activities:
            task, seconds = activity.task, activity.busy_seconds()
            if task is not None and seconds > STUCK_SECONDS:
                return f"thread {activity.thread.name} has been at {task.name} for {seconds:.0f} s"
        return None

    def _check_caches(self) -> str | None:
        return None if self.has_started else "the caches are not complete yet"
