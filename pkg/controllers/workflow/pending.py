"""The last Warning event about jobs that stay pending: often the only place that says why nothing happens.

Events are not watched: there are too many of them. A thread of its own asks for those of a job that has been pending
for a while (and if it has none, for those of its pods that are pending too), seldom, and only a few jobs at a time;
where nothing is pending it costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec
import structlog

from pkg.apis.meta import PartialObject
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import Told
from pkg.controllers.workflow.pod_finder import PODS
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, Stopped
from pkg.kube.event_recorder import EVENTS

_log = structlog.get_logger("workflow.warnings")
PATIENCE: Final = 15.0
"""Seconds that a job may be pending before anybody asks why."""
ROUND_SECONDS: Final = 5.0
ROUND_JOBS: Final = 10
JOB_PODS: Final = 3
"""Of this many pending pods of a job the events are looked at: what holds one up mostly holds up all."""
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
    attempt: int = 0
    gvr: str = ""


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
    """wake(uid, task, key) is called when there is something new about a job; from the thread of this. pods_of(job) is
    the label selector of a job's pods, empty if these cannot be told.
    """

    def __init__(
        self,
        client: Client,
        wake: Callable[[str, TaskKey, str], None],
        *,
        pods_of: Callable[[PendingJob], str] = lambda job: "",
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._wake = wake
        self._pods_of = pods_of
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
        namespace = job.key.partition("/")[0]
        try:
            found = newest(self._events(namespace, job.job_uid)) or self._of_pods(namespace, job)
        except Stopped:
            return
        except KubeError as error:
            _log.info("events of a pending job cannot be read", key=job.key, error=str(error))
            return
        known = self._told.get(job.workflow_uid, _NONE)
        if found is not None and known.get(job.job_uid) != found:
            self._told[job.workflow_uid] = {**known, job.job_uid: found}
            self._wake(job.workflow_uid, job.task, job.key)

    def _of_pods(self, namespace: str, job: PendingJob) -> Told | None:
        """The newest Warning about a pod of the job that is pending itself."""
        selector = self._pods_of(job)
        if not selector:
            return None
        pods = self._client.list_page(
            PODS,
            namespace,
            PartialObject,
            label_selector=selector,
            field_selector="status.phase=Pending",
            limit=JOB_PODS,
            metadata_only=True,
        )
        found: list[tuple[str, Told]] = []
        for pod in pods.items[:JOB_PODS]:
            name = pod.metadata.name
            for event in self._events(namespace, pod.metadata.uid):
                told = Told(event.reason or "Warning", f"pod {name}: {event.message or ''}")
                found.append((event.at, told))
        return max(found, key=lambda pair: pair[0], default=("", None))[1]

    def _events(self, namespace: str, uid: str) -> Sequence[Event]:
        """The Warnings about one object."""
        selector = f"involvedObject.uid={uid},type=Warning"
        return self._client.list_page(EVENTS, namespace, Event, field_selector=selector, limit=50).items

    def _run(self, pending: Callable[[], Iterable[PendingJob]]) -> None:
        while not self._stopping.wait(ROUND_SECONDS):
            try:
                self.round(pending())
            except Exception:
                _log.exception("looking for events failed unexpectedly, it is tried again")
