"""Looks up how the pods of failed jobs ended, so that a message can say which container ended how.

A job that disappeared is looked up as well: was it deleted, or taken off its task?

Workers never wait for it. Two threads of their own list the pods of a job, once per failed attempt: those that failed,
and if none did, any. How many are listed, how often, and how large a list may be is bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec
import structlog

from pkg.apis.meta import GVR, Job
from pkg.controllers.engine.rotation import Rotation
from pkg.controllers.workflow.lookup_threads import LookupThreads
from pkg.controllers.workflow.planner.actions import FailedJob
from pkg.controllers.workflow.planner.job_identity import WorkflowId, what_changed
from pkg.controllers.workflow.planner.progress import JobEnding, TaskKey
from pkg.controllers.workflow.planner.status.failures import taken_off, was_deleted
from pkg.controllers.workflow.pod_finder import PODS, belongs_to
from pkg.kube.client import Client, Page
from pkg.kube.discovery import Discovery
from pkg.kube.errors import Forbidden, KubeError, NotFound, Stopped, may_mean_not_served
from pkg.kube.limiter import TokenBucket
from pkg.workloads import names_its_pods, rules_for
from pkg.workloads.pod_failure import EndedPod, PodStatus, failure_words

_log = structlog.get_logger("workflow.failures")
PODS_LISTED: Final = 20
"""Pods of one job that are listed."""
MAX_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one list. Pods that do not fit are listed in smaller pages."""
RATE: Final = 20.0
BURST: Final = 50.0
"""Lookups per second, and how many at once."""
MAX_TASKS: Final = 500
"""Failed tasks of one workflow that are looked up. Of more than that nothing is said."""
TRIES: Final = 3
RETRY_SECONDS: Final = 1.0
_NONE: Final[Mapping[TaskKey, JobEnding]] = MappingProxyType({})
GONE: Final = "its pods are gone, so how they ended is not known"


@dataclass(frozen=True, slots=True)
class _Asked:
    workflow: WorkflowId
    job: FailedJob
    tries: int = 0


class Failures:
    """What a reconcile asks for. This base class looks up nothing."""

    def want(self, workflow: WorkflowId, jobs: Iterable[FailedJob]) -> None:
        """Looks up these failed jobs as well, each once; never blocks."""

    def endings(self, workflow: WorkflowId) -> Mapping[TaskKey, JobEnding]:
        """What was asked of a workflow: the words, empty if there is nothing to say, or None while they are sought."""
        return _NONE

    def forget(self, workflow: WorkflowId) -> None:
        """Drops a workflow: nobody needs its words any more."""

    def forget_answered(self, workflow: WorkflowId) -> None:
        """Drops a workflow whose words are all written, unless some are still sought."""
        if not any(ending.words is None for ending in self.endings(workflow).values()):
            self.forget(workflow)


class FailureFinder(LookupThreads, Failures):
    """job_of(workflow, task, attempt): the job of an attempt, None if there is none; selector(workflow, task, attempt,
    gvr): the label selector of its pods, empty if they cannot be selected; on_found(workflow, task) is called from a
    thread of this class when there is an answer.
    """

    def __init__(
        self,
        client: Client,
        job_of: Callable[[WorkflowId, TaskKey, int], Job | None],
        selector: Callable[[WorkflowId, TaskKey, int, str], str],
        on_found: Callable[[WorkflowId, TaskKey], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("failures", TokenBucket(RATE, BURST), clock)
        self._client = client
        self._job_of = job_of
        self._selector = selector
        self._on_found = on_found
        # What was asked, by workflow and task; and of it what no thread has taken yet, a queue per namespace in turn.
        self._endings: dict[WorkflowId, dict[TaskKey, JobEnding]] = {}
        self._shown: dict[WorkflowId, Mapping[TaskKey, JobEnding]] = {}
        self._queue: Rotation[_Asked] = Rotation()

    def want(self, workflow: WorkflowId, jobs: Iterable[FailedJob]) -> None:
        asked = [job for job in jobs if not self._is_asked(workflow, job)]
        if not asked:
            return
        with self._changed:
            endings = self._endings.setdefault(workflow, {})
            for job in asked:
                if job.task not in endings and len(endings) >= MAX_TASKS:
                    endings[job.task] = JobEnding(job.attempt, "")
                    continue
                endings[job.task] = JobEnding(job.attempt)
                self._put(_Asked(workflow, job))
            self._shown[workflow] = dict(endings)
            self._changed.notify_all()

    def endings(self, workflow: WorkflowId) -> Mapping[TaskKey, JobEnding]:
        return self._shown.get(workflow, _NONE)

    def forget(self, workflow: WorkflowId) -> None:
        if workflow not in self._endings:
            return
        with self._changed:
            self._endings.pop(workflow, None)
            self._shown.pop(workflow, None)

    def _is_asked(self, workflow: WorkflowId, job: FailedJob) -> bool:
        known = self._shown.get(workflow, _NONE).get(job.task)
        return known is not None and known.attempt >= job.attempt

    def _put(self, asked: _Asked) -> None:
        """Call with the lock held."""
        self._queue.add(asked.workflow.namespace, asked)

    def _take(self) -> _Asked | None:
        """The next job to look up, one of each namespace in turn; None at the end."""
        with self._changed:
            while not self._is_stopping:
                if not self._queue:
                    self._changed.wait()
                elif self._is_wanted(asked := self._queue.take()):
                    return asked
        return None

    def _is_wanted(self, asked: _Asked) -> bool:
        known = self._endings.get(asked.workflow, {}).get(asked.job.task)
        return known is not None and known.attempt == asked.job.attempt and known.words is None

    def _run(self) -> None:
        while (asked := self._take()) is not None:
            if self._wait_for_turn():
                return
            try:
                words = self.look_up(asked.workflow, asked.job)
            except Stopped:
                return
            except KubeError as error:
                if not isinstance(error, Forbidden) and asked.tries + 1 < TRIES:
                    if self._wait(RETRY_SECONDS):
                        return
                    with self._changed:
                        self._put(_Asked(asked.workflow, asked.job, asked.tries + 1))
                    continue
                _log.warning(
                    "pods of a failed job not listed", workflow=asked.workflow.key, job=str(asked.job), error=str(error)
                )
                words = ""
            except Exception:
                _log.exception("looking up a failed job failed unexpectedly", workflow=asked.workflow.key)
                words = ""
            self._answer(asked, words)

    def _answer(self, asked: _Asked, words: str) -> None:
        with self._changed:
            if not self._is_wanted(asked):
                return
            endings = self._endings[asked.workflow]
            endings[asked.job.task] = JobEnding(asked.job.attempt, words)
            self._shown[asked.workflow] = dict(endings)
        self._on_found(asked.workflow, asked.job.task)

    def look_up(self, workflow: WorkflowId, asked: FailedJob) -> str:
        """How the pods of a failed job ended; empty if there is nothing to say. Raises KubeError."""
        if asked.lost is not None:
            return self._look_for(workflow, asked.lost, GVR.parse(asked.gvr))
        job = self._job_of(workflow, asked.task, asked.attempt)
        gvr = GVR.parse(asked.gvr) if asked.gvr else GVR()
        if job is None:
            return ""
        if (gvr.group, gvr.resource) == (PODS.group, PODS.resource):
            return _words_of_pod(job)
        selector = self._selector(workflow, asked.task, asked.attempt, asked.gvr)
        if not selector:
            return ""
        words = ""
        for field_selector in ("status.phase=Failed", ""):
            page = self._list(workflow.namespace, selector, field_selector)
            own = [pod for pod in page.items if belongs_to(pod, job, gvr)]
            words = failure_words(own, more=bool(page.continue_))
            if words:
                return words
            if not field_selector and not own and names_its_pods(rules_for(gvr)):
                return GONE
        return words

    def _look_for(self, workflow: WorkflowId, lost: Job, gvr: GVR) -> str:
        """Whether a job that disappeared was deleted or taken off its task."""
        name = lost.metadata.name
        try:
            found = self._client.get(gvr, workflow.namespace, name, Job)
        except NotFound:
            return was_deleted(name)
        except KubeError as error:
            if may_mean_not_served(error) and Discovery(self._client).is_gone(gvr):
                return was_deleted(name)  # with its kind
            raise
        if found.metadata.uid != lost.metadata.uid or found.metadata.is_deleting:
            return was_deleted(name)
        return taken_off(name, what_changed(lost, found))

    def _list(self, namespace: str, selector: str, field_selector: str) -> Page[EndedPod]:
        return self._client.list_page(
            PODS,
            namespace,
            EndedPod,
            label_selector=selector,
            field_selector=field_selector,
            limit=PODS_LISTED,
            max_bytes=MAX_BYTES,
        )


def _words_of_pod(pod: Job) -> str:
    """The words of a job that is a pod itself: the cache has its status."""
    try:
        status = msgspec.convert(pod.status, PodStatus)
    except msgspec.ValidationError:
        return ""
    return failure_words([EndedPod(pod.metadata, status=status)])
