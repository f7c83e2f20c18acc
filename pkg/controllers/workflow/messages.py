"""Looks up the termination messages that outputs are read from.

Workers never wait for it. Two threads of their own list the pods of a job that has succeeded, again and again until the
pod shows how its container ended, for 30 s at most. Only looks that the API server answered count for this: while it
cannot be reached, no output is given up. How many lists there are per second is bounded, and namespaces take turns.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import structlog

from pkg.apis.meta import GVR, Job
from pkg.controllers.engine.rotation import Rotation
from pkg.controllers.workflow.failures import MAX_BYTES
from pkg.controllers.workflow.lookup_threads import LookupThreads
from pkg.controllers.workflow.planner.actions import AwaitedMessages
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import PodMessages
from pkg.controllers.workflow.pod_finder import PODS, belongs_to
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError, Stopped
from pkg.kube.limiter import TokenBucket
from pkg.workloads import has_role, lead_rank, rules_for
from pkg.workloads.pod_failure import EndedPod
from pkg.workloads.termination import containers_of, has_ended, message_in

_log = structlog.get_logger("workflow.messages")
PATIENCE: Final = 30.0
"""Seconds for which a pod may take to show the end of its container, after its job has succeeded."""
FIRST_PAUSE: Final = 0.25
MAX_PAUSE: Final = 2.0
"""Seconds between two looks at the pods of one job. The pause doubles."""
PODS_LISTED: Final = 500
RATE: Final = 50.0
BURST: Final = 100.0
"""Lists per second, and how many at once."""
_NONE: Final[Mapping[TaskKey, PodMessages]] = MappingProxyType({})
Asked = tuple[str, str]  # role and container


@dataclass(frozen=True, slots=True)
class _Search:
    """The messages of one task. since: when it was first asked for; pause: before the next look, in seconds."""

    workflow: WorkflowId
    wanted: AwaitedMessages
    since: float
    pause: float


class Messages:
    """What a reconcile asks for. This base class looks up nothing."""

    def want(self, workflow: WorkflowId, awaited: Iterable[AwaitedMessages]) -> None:
        """Looks up exactly these of a workflow from now on; what was found of others is forgotten. Never blocks."""

    def answers(self, workflow: WorkflowId) -> Mapping[TaskKey, PodMessages]:
        """What was found of what the workflow asked for."""
        return _NONE


class MessageFinder(LookupThreads, Messages):
    """job_of, selector: as for FailureFinder; on_found(workflow, task) is called from a thread of this class; pause:
    seconds between the first two looks at the pods of one job.
    """

    def __init__(
        self,
        client: Client,
        job_of: Callable[[WorkflowId, TaskKey, int], Job | None],
        selector: Callable[[WorkflowId, TaskKey, int, str], str],
        on_found: Callable[[WorkflowId, TaskKey], None],
        clock: Callable[[], float] = time.monotonic,
        pause: float = FIRST_PAUSE,
    ) -> None:
        super().__init__("messages", TokenBucket(RATE, BURST), clock)
        self._client = client
        self._job_of = job_of
        self._selector = selector
        self._on_found = on_found
        self._pause = pause
        self._wanted: dict[WorkflowId, dict[TaskKey, AwaitedMessages]] = {}
        self._answers: dict[WorkflowId, dict[TaskKey, PodMessages]] = {}
        # Searches that wait for their time, and those that wait for a thread.
        self._later: list[tuple[float, int, _Search]] = []
        self._ready: Rotation[_Search] = Rotation()
        self._numbers = itertools.count()

    def want(self, workflow: WorkflowId, awaited: Iterable[AwaitedMessages]) -> None:
        asked = {one.task: one for one in awaited}
        if not asked and workflow not in self._wanted:
            return
        with self._changed:
            before = self._wanted.get(workflow, {})
            answers = self._answers.get(workflow, {})
            for task, one in asked.items():
                if before.get(task) != one:
                    answers.pop(task, None)
                    self._ready.add(workflow.namespace, _Search(workflow, one, self._clock(), self._pause))
            kept = {task: answer for task, answer in answers.items() if task in asked}
            for table, value in ((self._wanted, asked), (self._answers, kept)):
                if value:
                    table[workflow] = value  # type: ignore[assignment]
                else:
                    table.pop(workflow, None)
            self._changed.notify_all()

    def answers(self, workflow: WorkflowId) -> Mapping[TaskKey, PodMessages]:
        with self._changed:
            return dict(self._answers.get(workflow, _NONE))

    def _run(self) -> None:
        while (search := self._take()) is not None:
            if self._wait_for_turn():
                return
            try:
                answer = self.look(search)
            except Stopped:
                return
            except Forbidden as error:
                answer = _without(search, f"the controller may not list the pods: {error}")
            except KubeError as error:
                _log.debug("pods with an output not listed", workflow=search.workflow.key, error=str(error))
                answer = None
            except Exception:
                _log.exception("looking up an output failed unexpectedly", workflow=search.workflow.key)
                answer = None
            if answer is None:
                self._again(search)
            else:
                self._answer(search, answer)

    def _take(self) -> _Search | None:
        """The next search that is still wanted; None at the end."""
        with self._changed:
            while not self._is_stopping:
                now = self._clock()
                while self._later and self._later[0][0] <= now:
                    due = heapq.heappop(self._later)[2]
                    self._ready.add(due.workflow.namespace, due)
                if not self._ready:
                    self._changed.wait(self._later[0][0] - now if self._later else None)
                elif self._is_wanted(search := self._ready.take()):
                    return search
        return None

    def _is_wanted(self, search: _Search) -> bool:
        return self._wanted.get(search.workflow, {}).get(search.wanted.task) == search.wanted

    def _again(self, search: _Search) -> None:
        later = _Search(search.workflow, search.wanted, search.since, min(2 * search.pause, MAX_PAUSE))
        with self._changed:
            heapq.heappush(self._later, (self._clock() + search.pause, next(self._numbers), later))
            self._changed.notify()

    def _answer(self, search: _Search, answer: PodMessages) -> None:
        with self._changed:
            if not self._is_wanted(search):
                return
            self._answers.setdefault(search.workflow, {})[search.wanted.task] = answer
        self._on_found(search.workflow, search.wanted.task)

    def look(self, search: _Search) -> PodMessages | None:
        """One look at the pods of a job; None if it is too early to give up. Raises KubeError."""
        wanted, workflow = search.wanted, search.workflow
        is_late = self._clock() - search.since >= PATIENCE
        job = self._job_of(workflow, wanted.task, wanted.attempt)
        selector = self._selector(workflow, wanted.task, wanted.attempt, wanted.gvr) if job is not None else ""
        if job is None or not selector:
            return _without(search, "the job is gone" if job is None else "its pods cannot be found by their labels")
        page = self._client.list_page(
            PODS, workflow.namespace, EndedPod, label_selector=selector, limit=PODS_LISTED, max_bytes=MAX_BYTES
        )
        gvr = GVR.parse(wanted.gvr)
        return messages_of([pod for pod in page.items if belongs_to(pod, job, gvr)], wanted, is_late=is_late)


def messages_of(pods: Iterable[EndedPod], wanted: AwaitedMessages, *, is_late: bool) -> PodMessages | None:
    """The messages that these pods show; None while one of them has not ended and it is not late."""
    row = rules_for(GVR.parse(wanted.gvr))
    found = sorted(
        pods, key=lambda pod: (lead_rank(row, pod.metadata.labels), pod.status.phase != "Succeeded", pod.metadata.name)
    )
    texts: dict[Asked, str] = {}
    missing: dict[Asked, str] = {}
    for role, container in wanted.wanted:
        pod = next((pod for pod in found if not role or has_role(row, pod.metadata.labels, role)), None)
        if (pod is None or not has_ended(pod.status, container)) and not is_late:
            return None
        text = message_in(pod.status, container) if pod is not None else None
        if text is not None:
            texts[role, container] = text
        else:
            missing[role, container] = _why(pod, role, container)
    return PodMessages(wanted.attempt, texts, missing)


def _why(pod: EndedPod | None, role: str, container: str) -> str:
    """Why there is no message."""
    if pod is None:
        return f"no pod of role {role} was found" if role else "none of its pods was found"
    what = f"container {container}" if container else "the first container"
    names = containers_of(pod.status)
    if container and names and container not in names:
        return f"pod {pod.metadata.name} has no container {container}; it has {', '.join(names)}"
    if not has_ended(pod.status, container):
        return f"{what} of pod {pod.metadata.name} did not show its end within {PATIENCE:g}s"
    return f"{what} of pod {pod.metadata.name} has no termination message"


def _without(search: _Search, why: str) -> PodMessages:
    wanted = search.wanted
    return PodMessages(wanted.attempt, {}, dict.fromkeys(wanted.wanted, why))
