"""The last Warning event about jobs that stay pending: often the only place that says why nothing happens.

Events are not watched: there are too many of them. A thread of its own asks for those of a job that has been pending
for a while, seldom, and only a few jobs at a time; where nothing is pending it costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec
import structlog

from pkg.apis.meta import GVR
from pkg.controllers.workflow.progress import TaskKey
from pkg.controllers.workflow.snapshot import Told
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, Stopped

_log = structlog.get_logger("workflow.warnings")
EVENTS: Final = GVR("", "v1", "events")
PATIENCE: Final = 15.0
"""Seconds that a job may be pending before anybody asks why."""
ROUND_SECONDS: Final = 5.0
ROUND_JOBS: Final = 10
MAX_PAUSE: Final = 300.0
_NONE: Final[Mapping[str, Told]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job that has not run yet: whose it is, and since when it exists (seconds since the epoch)."""

    workflow_uid: str
    key: str
    task: TaskKey
    job_uid: str
    since: float


class EventMeta(msgspec.Struct, frozen=True, rename="camel"):
    creation_timestamp: str = ""
    resource_version: str = ""


class _Series(msgspec.Struct, frozen=True, rename="camel"):
    last_observed_time: str | None = ""


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """As much of an Event as is told on."""

    metadata: EventMeta = EventMeta()
    reason: str | None = ""
    message: str | None = ""
    last_timestamp: str | None = ""
    event_time: str | None = ""
    series: _Series | None = None

    @property
    def at(self) -> str:
        """When it last happened, as RFC 3339, which sorts by time among events of one writer."""
        latest = self.series.last_observed_time if self.series is not None else ""
        return latest or self.last_timestamp or self.event_time or self.metadata.creation_timestamp


def newest(events: Iterable[Event]) -> Told | None:
    """The event that happened last, None if there is none."""
    found = max(events, key=lambda event: event.at, default=None)
    return None if found is None else Told(found.reason or "Warning", found.message or "")


class Warnings:
    """wake(uid, task, key) is called when there is something new about a job; from the thread of this."""

    def __init__(
        self,
        client: Client,
        wake: Callable[[str, TaskKey, str], None],
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._wake = wake
        self._clock = wall_clock
        self._told: dict[str, Mapping[str, Told]] = {}
        self._asks: dict[str, tuple[float, float]] = {}  # job uid: when to ask next, and the pause after that
        self._stopping = threading.Event()

    def start(self, pending: Callable[[], Iterable[PendingJob]]) -> None:
        """pending() gives all jobs that are pending now."""
        threading.Thread(target=self._run, args=(pending,), name="warnings", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def of(self, uid: str) -> Mapping[str, Told]:
        """What is known about the pending jobs of a workflow, by the uid of the job."""
        return self._told.get(uid, _NONE)

    def round(self, pending: Iterable[PendingJob]) -> None:
        """One look: asks for the jobs that are due, at most ROUND_JOBS of them, and forgets those that run."""
        now = self._clock()
        late = {job.job_uid: job for job in pending if now - job.since >= PATIENCE}
        self._asks = {uid: self._asks.get(uid, (0.0, PATIENCE)) for uid in late}
        for uid in list(self._told):
            kept = {job: told for job, told in self._told[uid].items() if job in late}
            if kept:
                self._told[uid] = kept
            else:
                del self._told[uid]
        due = sorted((at, uid) for uid, (at, _) in self._asks.items() if at <= now)
        for _, uid in due[:ROUND_JOBS]:
            pause = self._asks[uid][1]
            self._asks[uid] = (now + pause, min(MAX_PAUSE, pause * 2))
            self._ask(late[uid])

    def _ask(self, job: PendingJob) -> None:
        selector = f"involvedObject.uid={job.job_uid},type=Warning"
        namespace = job.key.partition("/")[0]
        try:
            page = self._client.list_page(EVENTS, namespace, Event, field_selector=selector, limit=50)
        except Stopped:
            return
        except KubeError as error:
            _log.info("events of a pending job cannot be read", key=job.key, error=str(error))
            return
        found = newest(page.items)
        known = self._told.get(job.workflow_uid, _NONE)
        if found is not None and known.get(job.job_uid) != found:
            self._told[job.workflow_uid] = {**known, job.job_uid: found}
            self._wake(job.workflow_uid, job.task, job.key)

    def _run(self, pending: Callable[[], Iterable[PendingJob]]) -> None:
        while not self._stopping.wait(ROUND_SECONDS):
            try:
                self.round(pending())
            except Exception:
                _log.exception("looking for events failed unexpectedly, it is tried again")
