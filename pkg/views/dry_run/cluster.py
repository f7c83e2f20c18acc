"""The cluster of a dry run: jobs that take as long, and end, as was assumed. Time is simulated."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import API_VERSION, Completion, TemplateGVR, Workflow, WorkTemplate, WorkTemplateSpec
from pkg.apis.meta import GVR, Job, ObjectMeta, OwnerReference
from pkg.controllers.workflow.planner.actions import CreateJob, DeleteJob, ProbeRequest
from pkg.controllers.workflow.planner.progress import ProbeKey, TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob
from pkg.views.dry_run.assumptions import Assumptions
from pkg.workloads.template_rules import TemplateRules, compile_rules

RUNNING: Final = "Running"
READY: Final = "Ready"
SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
#: Where a simulated job has its state, and how it is read, whatever its kind.
_STATE: Final = "dryRun"
OUTPUTS: Final = "dryRunOutputs"
_RULES: Final = {
    "fail": [{"path": f"status.{_STATE}", "eq": FAILED}],
    "ok": [{"path": f"status.{_STATE}", "eq": SUCCEEDED}],
    "ready": [{"path": f"status.{_STATE}", "eq": READY}],
    "running": [{"path": f"status.{_STATE}", "in": [RUNNING, READY]}],
}
ADDRESS: Final = "10.0.0.1"


@dataclass(slots=True)
class Attempt:
    """One attempt of one task. Times: seconds since the start of the dry run; end: None while the job goes on.

    result: of the job, or why its task gave it up.
    """

    task: TaskKey
    attempt: int
    start: float
    end: float | None = None
    result: str = ""


@dataclass(slots=True)
class _Pod:
    attempt: Attempt
    observed: ObservedJob
    answers_at: float | None


class SimulatedCluster:
    """Jobs, and what becomes of them as time passes. services: flows whose jobs are done once they are ready; indexed:
    flows with `for`; outputs: the values of a flow's outputs, in their order.

    `now`: seconds since the epoch; `dirty`, `gone`: what changed since they were last taken.
    """

    def __init__(
        self,
        workflow: Workflow,
        assumptions: Assumptions,
        start: float,
        *,
        services: frozenset[str],
        indexed: frozenset[str],
        outputs: Mapping[str, tuple[str, ...]],
    ) -> None:
        meta = workflow.metadata
        self._owner = (OwnerReference(API_VERSION, "Workflow", meta.name, meta.uid, controller=True),)
        self._workflow = meta
        self._assumptions = assumptions
        self._services = services
        self._indexed = indexed
        self._outputs = outputs
        self._start = self.now = start
        self._pods: dict[TaskKey, list[_Pod]] = {}
        self._ends: list[tuple[float, int, str, TaskKey, int]] = []
        self._serial = 0
        self.jobs: dict[TaskKey, tuple[ObservedJob, ...]] = {}
        self.dirty: set[TaskKey] = set()
        self.gone: dict[TaskKey, tuple[ObservedJob, ...]] = {}
        self.attempts: list[Attempt] = []

    @property
    def elapsed(self) -> float:
        return self.now - self._start

    def create(self, creation: CreateJob) -> None:
        """Makes a job, which runs at once."""
        key = creation.task
        self._serial += 1
        meta = ObjectMeta(
            name=creation.name,
            namespace=creation.namespace,
            uid=f"dry-run-{self._serial}",
            generation=1,
            creation_timestamp=datetime.fromtimestamp(self.now, UTC),
            labels=labels.for_task(
                workflow=self._workflow.name,
                uid=self._workflow.uid,
                flow=key.flow,
                index=key.index if key.flow in self._indexed else None,
                attempt=creation.attempt,
            ),
            owner_references=self._owner,
        )
        job = Job(meta, creation.gvr.api_version, creation.kind, status=self._status(key, RUNNING))
        attempt = Attempt(key, creation.attempt, self.elapsed)
        self.attempts.append(attempt)
        after = self._assumptions.answers_after(key)
        answers_at = None if after is None else self.now + after
        observed = ObservedJob(creation.gvr, job, creation.attempt)
        self._pods.setdefault(key, []).append(_Pod(attempt, observed, answers_at))
        is_failure = self._assumptions.fails(key, creation.attempt)
        end = FAILED if is_failure else READY if key.flow in self._services else SUCCEEDED
        at = self.now + self._assumptions.duration(key)
        heapq.heappush(self._ends, (at, self._serial, end, key, creation.attempt))
        self._show(key)

    def delete(self, deletion: DeleteJob, result: str) -> None:
        """Takes a job away at once. result: why, if it had not ended before."""
        key = deletion.task
        for pod in self._pods.get(key, ()):
            if pod.observed.job.metadata.uid == deletion.uid:
                self._pods[key].remove(pod)
                self.gone[key] = (*self.gone.get(key, ()), pod.observed)
                if pod.attempt.end is None:
                    pod.attempt.end, pod.attempt.result = self.elapsed, result
                break
        self._show(key)

    def next_at(self) -> float:
        """When the next job ends or the next pod begins to answer; infinite if none does."""
        while self._ends and self._pod(self._ends[0][3], self._ends[0][4]) is None:
            heapq.heappop(self._ends)  # its job was deleted
        return self._ends[0][0] if self._ends else float("inf")

    def advance(self, now: float) -> None:
        """Time passes; jobs that are due end."""
        self.now = max(self.now, now)
        while self._ends and self._ends[0][0] <= self.now:
            _, _, state, key, number = heapq.heappop(self._ends)
            pod = self._pod(key, number)
            if pod is None:
                continue
            job = msgspec.structs.replace(pod.observed.job, status=self._status(key, state))
            pod.observed = ObservedJob(pod.observed.gvr, job, number)
            pod.attempt.end, pod.attempt.result = self.elapsed, state
            self._show(key)

    def passed(self, probes: Iterable[ProbeRequest]) -> tuple[frozenset[ProbeKey], float]:
        """The probes that pass now, and when the next one will."""
        found = set()
        later = float("inf")
        for probe in probes:
            pod = self._pod(probe.asked, probe.attempt)
            if pod is None or pod.answers_at is None or pod.attempt.result in (SUCCEEDED, FAILED):
                continue
            if pod.answers_at <= self.now:
                found.add(probe.key)
            else:
                later = min(later, pod.answers_at)
        return frozenset(found), later

    def addresses(self) -> dict[TaskKey, str]:
        """The pod addresses of all tasks that have a job."""
        return dict.fromkeys((key for key, pods in self._pods.items() if pods), ADDRESS)

    def take_changes(self) -> tuple[frozenset[TaskKey], Mapping[TaskKey, tuple[ObservedJob, ...]]]:
        """The tasks whose jobs changed since the last call, and the jobs that went."""
        found = frozenset(self.dirty), self.gone
        self.dirty, self.gone = set(), {}
        return found

    def _pod(self, key: TaskKey, attempt: int) -> _Pod | None:
        return next((pod for pod in self._pods.get(key, ()) if pod.attempt.attempt == attempt), None)

    def _status(self, key: TaskKey, state: str) -> dict[str, Any]:
        # Deployments and the like count only once their controller has seen the generation.
        return {_STATE: state, OUTPUTS: list(self._outputs.get(key.flow, ())), "observedGeneration": 1}

    def _show(self, key: TaskKey) -> None:
        self.dirty.add(key)
        pods = self._pods.get(key)
        if pods:
            self.jobs[key] = tuple(pod.observed for pod in pods)
        else:
            self.jobs.pop(key, None)


def simulated_rules(gvr: GVR) -> TemplateRules:
    """The rules by which simulated jobs of a kind are read."""
    raw = msgspec.Raw(msgspec.json.encode(_RULES))
    spec = WorkTemplateSpec(gvr=TemplateGVR(gvr.version, gvr.resource, gvr.group), raw_status_rules=raw)
    return compile_rules(WorkTemplate(metadata=ObjectMeta(name="dry-run"), spec=spec))


def stand_in(name: str) -> WorkTemplate:
    """A template for one that is not known: a batch Job without variables."""
    spec = WorkTemplateSpec(gvr=TemplateGVR("v1", "jobs", "batch"))
    return WorkTemplate(metadata=ObjectMeta(name=name), spec=spec)


def is_service(template: WorkTemplate, default: Completion) -> bool:
    """Whether jobs of a template are done once they are ready. default: the completion of its kind."""
    return (template.spec.completion or default) is Completion.READY
