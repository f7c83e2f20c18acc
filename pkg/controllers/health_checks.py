"""The checks of /healthz (are all threads alive?) and /readyz (are the caches complete?)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pkg.apis.meta import GVR
from pkg.controllers.engine.worker import Worker
from pkg.telemetry.health import Checks


class Informers(Protocol):
    """The part of an InformerSet that a check needs."""

    def dead(self) -> tuple[GVR, ...]:
        """Resources whose thread has ended without `stop`."""


@dataclass(slots=True)
class HealthChecks:
    """`started` is set once the workers run, `stopping` once they are stopped."""

    informers: Sequence[Informers]
    workers: Sequence[Worker]
    started: bool = field(default=False)
    stopping: bool = field(default=False)

    def healthz(self) -> Checks:
        """The checks that fail if the process must be restarted."""
        return Checks({"informers": self._check_informers, "workers": self._check_workers})

    def readyz(self) -> Checks:
        """The checks that fail until the caches are complete."""
        return Checks({"caches": self._check_caches})

    def _check_informers(self) -> str | None:
        dead = [gvr for informers in self.informers for gvr in informers.dead()]
        return f"informers have ended: {', '.join(map(str, dead))}" if dead else None

    def _check_workers(self) -> str | None:
        dead = sum(self.started and not self.stopping and not worker.is_alive for worker in self.workers)
        return f"{dead} workers have ended" if dead else None

    def _check_caches(self) -> str | None:
        return None if self.started else "the caches are not complete yet"
