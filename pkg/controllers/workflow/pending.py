"""Finds out why jobs stay pending: by the last Warning event, which often is all that says what a job waits for.

Events are not watched, because there are too many. A thread of its own lists those of a job that has been pending for
a while, and if there are none, its pending pods and their events. It does so seldom, and for a few jobs at a time. A
job without a status, of which nothing else is known, is reported as such: mostly its operator does not run.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec
import structlog

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import JobWarning
from pkg.controllers.workflow.pod_finder import PODS
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, Stopped
from pkg.kube.event_recorder import EVENTS
from pkg.workloads.pod_failure import EndedPod, unscheduled, waits_because

_log = structlog.get_logger("workflow.pending")
PATIENCE: Final = 15.0
"""Seconds that a job may be pending before its events are read."""
ROUND_SECONDS: Final = 5.0
ROUND_JOBS: Final = 10
LOOK_SHARE: Final = 0.002
"""So much of a core goes into looking which jobs are pending: with many, that is looked at less often."""
MAX_LOOK_SECONDS: Final = 60.0
JOB_PODS: Final = 3
"""The events of at most so many pending pods of a job are read: all mostly wait for the same thing."""
MAX_PAUSE: Final = 300.0
MAX_BYTES: Final = 1024 * 1024
"""Bytes of one list of pods. Pods that do not fit are listed in smaller pages."""
_BARE: Final = re.compile(r"Error: \w+")
_NONE: Final[Mapping[str, JobWarning]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job that has not run yet. since: when it was created, in seconds since the epoch."""

    workflow: WorkflowId
    task: TaskKey
    job_uid: str
    since: float
    attempt: int = 0
    gvr: str = ""


class WarningEventMeta(msgspec.Struct, frozen=True, rename="camel"):
    creation_timestamp: str = ""
    resource_version: str = ""


class _Series(msgspec.Struct, frozen=True, rename="camel"):
    last_observed_time: str | None = ""


class WarningEvent(msgspec.Struct, frozen=True, rename="camel"):
    """The fields of a Warning event that are read."""

    metadata: WarningEventMeta = WarningEventMeta()
    reason: str | None = ""
    message: str | None = ""
    last_timestamp: str | None = ""
    event_time: str | None = ""
    series: _Series | None = None

    @property
    def at(self) -> str:
        """When it last happened, in RFC 3339; the strings of one writer sort by time."""
        latest = self.series.last_observed_time if self.series is not None else ""
        return latest or self.last_timestamp or self.event_time or self.metadata.creation_timestamp


def newest(events: Iterable[WarningEvent]) -> JobWarning | None:
    """The event that happened last, None if there is none.

    A kubelet follows the event that says what is wrong by one that says no more than `Error: ImagePullBackOff`.
    """
    found = max(events, key=lambda event: (_BARE.fullmatch(event.message or "") is None, event.at), default=None)
    return None if found is None else JobWarning(found.reason or "Warning", found.message or "")


def in_turns(jobs: Iterable[PendingJob]) -> list[PendingJob]:
    """The jobs with one of each namespace in turn, so that a namespace with many delays no other."""
    of_namespace: Counter[str] = Counter()
    ranked: list[tuple[int, PendingJob]] = []
    for job in jobs:
        ranked.append((of_namespace[job.workflow.namespace], job))
        of_namespace[job.workflow.namespace] += 1
    return [job for _, job in sorted(ranked, key=lambda pair: pair[0])]


class PendingJobWarnings:
    """on_warning(workflow, task) is called from this thread when a job of that task has a new warning.
    pods_of(job): the label selector of a job's pods, empty if they cannot be selected; status_of(job): the status
    of a job as the cache shows it, None if it is not there.
    """

    def __init__(
        self,
        client: Client,
        on_warning: Callable[[WorkflowId, TaskKey], None],
        *,
        pods_of: Callable[[PendingJob], str] = lambda job: "",
        status_of: Callable[[PendingJob], Mapping[str, Any] | None] = lambda job: None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._on_warning = on_warning
        self._pods_of = pods_of
        self._status_of = status_of
        self._clock = wall_clock
        self._warnings: dict[WorkflowId, Mapping[str, JobWarning]] = {}
        self._asks: dict[str, tuple[float, float]] = {}  # job uid: when to ask next, and the pause after that
        self._due: deque[PendingJob] = deque()
        self._stopping = threading.Event()

    def start(self, pending: Callable[[], Iterable[PendingJob]]) -> None:
        """pending(): all jobs that are pending now."""
        threading.Thread(target=self._run, args=(pending,), name="pending-jobs", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def of(self, workflow: WorkflowId) -> Mapping[str, JobWarning]:
        """The last warnings about the pending jobs of a workflow, by job UID."""
        return self._warnings.get(workflow, _NONE)

    def look(self, pending: Iterable[PendingJob]) -> None:
        """Finds the jobs that are due; forgets those that are no longer pending."""
        now = self._clock()
        late = {job.job_uid: job for job in pending if now - job.since >= PATIENCE}
        self._asks = {uid: self._asks.get(uid, (job.since + PATIENCE, PATIENCE)) for uid, job in late.items()}
        for workflow in list(self._warnings):
            kept = {job: warning for job, warning in self._warnings[workflow].items() if job in late}
            if kept:
                self._warnings[workflow] = kept
            else:
                del self._warnings[workflow]
        due = sorted((at, uid) for uid, (at, _) in self._asks.items() if at <= now)
        self._due = deque(in_turns(late[uid] for _, uid in due))

    def ask(self) -> None:
        """Reads the events of the next jobs that are due, at most ROUND_JOBS."""
        now = self._clock()
        for _ in range(min(ROUND_JOBS, len(self._due))):
            job = self._due.popleft()
            pause = self._asks[job.job_uid][1]
            self._asks[job.job_uid] = (now + pause, min(MAX_PAUSE, pause * 2))
            self._ask(job)

    def _ask(self, job: PendingJob) -> None:
        namespace = job.workflow.namespace
        try:
            found = newest(self._events(namespace, job.job_uid)) or self._of_pods(namespace, job) or self._silent(job)
        except Stopped:
            return
        except KubeError as error:
            _log.info("events of a pending job cannot be read", key=job.workflow.key, error=str(error))
            return
        known = self._warnings.get(job.workflow, _NONE)
        if known.get(job.job_uid) == found:
            return
        others = {uid: warning for uid, warning in known.items() if uid != job.job_uid}
        self._warnings[job.workflow] = others if found is None else {**others, job.job_uid: found}
        self._on_warning(job.workflow, job.task)

    def _of_pods(self, namespace: str, job: PendingJob) -> JobWarning | None:
        """The newest Warning about a pod of the job that is pending itself, else what such a pod says of itself."""
        selector = self._pods_of(job)
        if not selector:
            return None
        pods = self._client.list_page(
            PODS,
            namespace,
            EndedPod,
            label_selector=selector,
            field_selector="status.phase=Pending",
            limit=JOB_PODS,
            max_bytes=MAX_BYTES,
        )
        found: list[tuple[str, JobWarning]] = []
        for pod in pods.items[:JOB_PODS]:
            name = pod.metadata.name
            events = self._events(namespace, pod.metadata.uid)
            if (warning := newest(events)) is not None:
                latest = max(event.at for event in events)
                found.append((latest, JobWarning(warning.reason, f"pod {name}: {warning.message}")))
            elif said := waits_because(pod):
                found.append(("", JobWarning(said[0], f"pod {name}: {said[1]}")))
        return max(found, key=lambda pair: pair[0], default=("", None))[1]

    def _silent(self, job: PendingJob) -> JobWarning | None:
        """What there is to say of a job about which nobody says anything."""
        status = self._status_of(job)
        if status is None:
            return None
        if job.gvr == str(PODS):
            is_known = status.get("conditions") or status.get("containerStatuses")
            return None if is_known else JobWarning(*unscheduled(""))
        if status:
            return None
        kind = job.gvr or "its kind"
        return JobWarning(Reasons.NO_STATUS, f"it has no status yet; does the operator of {kind} run in the cluster?")

    def _events(self, namespace: str, uid: str) -> Sequence[WarningEvent]:
        """The Warning events about one object."""
        selector = f"involvedObject.uid={uid},type=Warning"
        return self._client.list_page(EVENTS, namespace, WarningEvent, field_selector=selector, limit=50).items

    def _run(self, pending: Callable[[], Iterable[PendingJob]]) -> None:
        pause = 0.0
        while not self._stopping.wait(ROUND_SECONDS):
            try:
                if pause <= 0:
                    began = time.thread_time()
                    self.look(pending())
                    pause = min(MAX_LOOK_SECONDS, (time.thread_time() - began) / LOOK_SHARE)
                pause -= ROUND_SECONDS
                self.ask()
            except Exception:
                _log.exception("reading events of pending jobs failed unexpectedly, will be retried")
