"""Finds the pods of a task's job, and the lead pod: the addresses that probes may contact.

A pod counts only if it belongs to the job of the attempt: by namespace, labels, and owner where the kind shows it.
Pods are watched only once a workflow asks for addresses. The pod templates of flows whose address is asked for get a
label of ours, and pods with that label are watched. For kinds whose pod templates are out of reach, the pods with the
labels of the kind's own operator are watched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

import msgspec

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import PodChoice
from pkg.apis.meta import GVR, ForeignObject, Job, ObjectMeta
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.store import Indexers
from pkg.controllers.workflow.planner.job_identity import MAX_DIGITS, WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.relevance import is_same_state
from pkg.workloads import KindRow, has_role, lead_rank, pod_selector, reaches_pods, rules_for, watch_selector
from pkg.workloads.pod_failure import EndedPod

PODS = GVR(version="v1", resource="pods")
SELECTOR = f"{labels.PROBED}=true"
# Built-in kinds whose controller is the direct owner of their pods.
_OWN_THEIR_PODS = frozenset(
    {
        ("batch", "jobs"),
        ("apps", "statefulsets"),
        ("apps", "daemonsets"),
        ("apps", "replicasets"),
        ("", "replicationcontrollers"),
    }
)
# Names of pods that are kept for messages.
MAX_NAMES = 20_000
TASK_INDEX = "task"
JOB_INDEX = "job"


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")


class Pod(msgspec.Struct, frozen=True):
    """The fields of a pod that probes need."""

    metadata: ObjectMeta
    status: PodStatus = PodStatus()

    @property
    def has_address(self) -> bool:
        return self.status.phase == "Running" and bool(self.status.pod_ip) and not self.metadata.is_deleting


def task_value(workflow: WorkflowId, task: TaskKey, attempt: int) -> str:
    """The index value of one attempt's pods; with the namespace, so that pods elsewhere never count."""
    return f"{workflow.namespace}/{workflow.uid}/{task.flow}/{task.index}/{attempt}"


def belongs_to(pod: Pod | EndedPod, job: Job, resource: GVR) -> bool:
    """Whether a pod with the labels of an attempt is one of its job's pods.

    Labels can be copied, owners too, but not the UID of an owner that exists. Kinds whose pods have another owner in
    between (a ReplicaSet, a RayCluster) show no more than the labels.
    """
    if pod.metadata.namespace != job.metadata.namespace:
        return False
    if (resource.group, resource.resource) == (PODS.group, PODS.resource):
        return pod.metadata.uid == job.metadata.uid
    owner = pod.metadata.controller
    if owner is not None and owner.uid == job.metadata.uid:
        return True
    if (resource.group, resource.resource) in _OWN_THEIR_PODS:
        return False
    return owner is None or (owner.api_version.rpartition("/")[0], owner.kind) != (resource.group, job.kind)


def by_task(pod: Pod) -> Iterable[str]:
    tags = pod.metadata.labels
    task = f"{tags.get(labels.FLOW)}/{tags.get(labels.INDEX, '0')}/{tags.get(labels.ATTEMPT)}"
    return (f"{pod.metadata.namespace}/{tags.get(labels.WORKFLOW_UID)}/{task}",)


POD_INDEXERS: Indexers[Pod] = {TASK_INDEX: by_task}


def choose_pods(row: KindRow, pods: Iterable[Pod], *, role: str, choice: PodChoice) -> list[Pod]:
    """Those of a job's pods that are asked: the running lead pod (or the first of a role), or all (of a role)."""
    found = [pod for pod in pods if pod.has_address]
    if role:
        found = [pod for pod in found if has_role(row, pod.metadata.labels, role)]
    found.sort(key=lambda pod: (lead_rank(row, pod.metadata.labels), pod.metadata.name))
    return found[:1] if choice is PodChoice.LEAD else found


def claimed_task(pod: Pod) -> tuple[tuple[str, str], TaskKey] | None:
    """The namespace and workflow UID, and the task, that our labels on a pod name; None without such labels."""
    tags = pod.metadata.labels
    uid, index = tags.get(labels.WORKFLOW_UID), tags.get(labels.INDEX, "0")
    if not uid or not (index.isascii() and index.isdecimal() and len(index) <= MAX_DIGITS):
        return None
    return (pod.metadata.namespace, uid), TaskKey(tags.get(labels.FLOW, ""), int(index))


OnPods: TypeAlias = Callable[[GVR, Sequence[Delta[Pod]]], None]
#: Tasks whose pods changed, by workflow.
ChangedPods: TypeAlias = Mapping[WorkflowId, Collection[TaskKey]]
MakeInformers: TypeAlias = Callable[[str, Indexers[Pod], OnPods], InformerSet[Pod]]


class _Lead(NamedTuple):
    """The address of the pod that leads the job of one attempt."""

    attempt: int
    gvr: str
    address: str


class PodFinder:
    """The pods of attempts, from watches that start with the first question.

    make(label selector, indexers, on_deltas) makes informers; job_of(workflow, task, attempt) is the attempt's job;
    on_changed(tasks by workflow) is called from the thread of a watch when pods of these tasks change. It names only
    workflows that have asked.
    """

    def __init__(
        self,
        make: MakeInformers,
        job_of: Callable[[WorkflowId, TaskKey, int], Job | None],
        on_changed: Callable[[ChangedPods], None],
    ) -> None:
        self._make = make
        self._job_of = job_of
        self._on_changed = on_changed
        self._lock = threading.Lock()
        self._labelled = make(SELECTOR, POD_INDEXERS, self._labelled_changed)
        self._by_kind: dict[str, InformerSet[Pod]] = {}  # by the label selector of the kind's pods
        self._by_selector: dict[str, InformerSet[Pod]] = {}  # by the selector of an applied object
        self._users: dict[str, set[tuple[WorkflowId, TaskKey]]] = {}  # by the index value of their job
        self._asked: dict[WorkflowId, set[tuple[str, TaskKey]]] = {}  # the reverse
        self._workflows: dict[tuple[str, str], WorkflowId] = {}  # namespace and UID -> the workflow that asks
        # Lead addresses, until a pod of the task changes: every reconcile asks for all of a workflow.
        self._leads: dict[WorkflowId, dict[TaskKey, _Lead]] = {}
        self._names: dict[tuple[str, str], str] = {}  # namespace and address -> name of the pod
        self._changes = 0

    def addresses(
        self, workflow: WorkflowId, task: TaskKey, attempt: int, gvr: str, *, role: str, choice: PodChoice
    ) -> tuple[str, ...]:
        """Addresses of one attempt's pods; empty while there are none. Reads caches only."""
        row = _row(gvr)
        applied = self._job_of(workflow, task, attempt)
        if isinstance(applied, ForeignObject):
            found = self._selected(workflow, task, applied, GVR.parse(gvr))
        elif _is_labelled(row):
            # Registered before the read, so that no later change is missed.
            self._workflows[workflow.namespace, workflow.uid] = workflow
            pods = self._labelled.ensure(PODS).by_index(TASK_INDEX, task_value(workflow, task, attempt))
            job, resource = applied, GVR.parse(gvr) if gvr else GVR()
            found = tuple(pod for pod in pods if job is not None and belongs_to(pod, job, resource))
        else:
            found = self._marked_by_kind(row, workflow, task, attempt, GVR.parse(gvr))
        chosen = choose_pods(row, found, role=role, choice=choice)
        for pod in chosen:
            if len(self._names) >= MAX_NAMES:
                self._names.clear()
            self._names[workflow.namespace, pod.status.pod_ip] = pod.metadata.name
        return tuple(pod.status.pod_ip for pod in chosen)

    def pod_name(self, workflow: WorkflowId, address: str) -> str:
        """The pod that had the address when it was last asked for, for messages; empty if that is not known."""
        return self._names.get((workflow.namespace, address), "")

    def lead_address(self, workflow: WorkflowId, task: TaskKey, attempt: int, gvr: str) -> str:
        """The address of the pod that leads the attempt's job, empty if there is none yet."""
        known = self._leads.get(workflow, {}).get(task)
        if known is not None and (known.attempt, known.gvr) == (attempt, gvr):
            return known.address
        before = self._changes
        found = next(iter(self.addresses(workflow, task, attempt, gvr, role="", choice=PodChoice.LEAD)), "")
        is_applied = isinstance(self._job_of(workflow, task, attempt), ForeignObject)
        if found and not is_applied and _is_labelled(_row(gvr)):
            with self._lock:
                if before == self._changes:  # otherwise the address may be out of date
                    self._leads.setdefault(workflow, {})[task] = _Lead(attempt, gvr, found)
        return found

    def selector(self, workflow: WorkflowId, task: TaskKey, attempt: int, gvr: str) -> str:
        """The label selector of one attempt's pods, as a LIST takes it; empty if they cannot be selected."""
        job = self._job_of(workflow, task, attempt)
        resource = GVR.parse(gvr) if gvr else GVR()
        if job is None or resource == PODS:
            return ""
        row = rules_for(resource)
        if isinstance(job, ForeignObject):
            found = job.selector
        elif reaches_pods(row):
            ours = (labels.WORKFLOW_UID, labels.FLOW, labels.INDEX, labels.ATTEMPT)
            found = {name: job.metadata.labels[name] for name in ours if name in job.metadata.labels}
        else:
            found = pod_selector(row, job) or {}
        return ",".join(f"{name}={value}" for name, value in found.items())

    def forget(self, workflow: WorkflowId) -> None:
        """Drops a workflow: its pods are no longer asked for."""
        with self._lock:
            self._leads.pop(workflow, None)
            self._workflows.pop((workflow.namespace, workflow.uid), None)
            for value, task in self._asked.pop(workflow, ()):
                users = self._users[value]
                users.discard((workflow, task))
                if not users:
                    del self._users[value]
                    self._stop_unused(value.partition("/")[2])

    def _stop_unused(self, text: str) -> None:
        """Ends the watch of a selector that nobody asks for any more. Call with the lock held."""
        if text in self._by_selector and not any(value.partition("/")[2] == text for value in self._users):
            self._by_selector.pop(text).stop()

    def sweep(self) -> None:
        """Forget what no store needs any more."""
        for informers in self._all():
            informers.sweep()

    def dead(self) -> tuple[GVR, ...]:
        """Resources whose watch ended without having been stopped."""
        return tuple(gvr for informers in self._all() for gvr in informers.dead())

    def stop(self) -> None:
        """Stop every watch; returns at once."""
        for informers in self._all():
            informers.stop()

    def _all(self) -> tuple[InformerSet[Pod], ...]:
        with self._lock:
            return (self._labelled, *self._by_kind.values(), *self._by_selector.values())

    def _marked_by_kind(
        self, row: KindRow, workflow: WorkflowId, task: TaskKey, attempt: int, resource: GVR
    ) -> tuple[Pod, ...]:
        """The pods that the kind's operator has labelled as the attempt's job's."""
        job = self._job_of(workflow, task, attempt)
        selector = pod_selector(row, job) if job is not None else None
        if job is None or selector is None:
            return ()
        value = _job_value(job.metadata.namespace, selector)
        with self._lock:
            # Registered before the read, so that no later change is missed.
            self._users.setdefault(value, set()).add((workflow, task))
            self._asked.setdefault(workflow, set()).add((value, task))
        pods = self._watch(row).ensure(PODS).by_index(JOB_INDEX, value)
        # Pods of an earlier job of the same name may still exist; a job's own pods are not older than the job.
        since = job.metadata.creation_timestamp
        return tuple(
            pod
            for pod in pods
            if not _is_before(pod.metadata.creation_timestamp, since) and belongs_to(pod, job, resource)
        )

    def _selected(self, workflow: WorkflowId, task: TaskKey, applied: ForeignObject, resource: GVR) -> tuple[Pod, ...]:
        """The pods that an applied object selects. Each selector has a watch of its own, while a workflow asks."""
        text = ",".join(f"{name}={value}" for name, value in sorted(applied.selector.items()))
        if not text:
            return ()
        value = f"{applied.metadata.namespace}/{text}"
        with self._lock:
            self._users.setdefault(value, set()).add((workflow, task))
            self._asked.setdefault(workflow, set()).add((value, task))
            informers = self._by_selector.get(text)
            if informers is None:

                def value_of(pod: Pod) -> str:
                    return f"{pod.metadata.namespace}/{text}"

                index: Indexers[Pod] = {JOB_INDEX: lambda pod: (value_of(pod),)}
                informers = self._by_selector[text] = self._make(
                    text,
                    index,
                    lambda _gvr, deltas: self._changed({value_of(pod) for one in deltas for pod in one.objects}),
                )
        pods = informers.ensure(PODS).by_index(JOB_INDEX, value)
        return tuple(pod for pod in pods if belongs_to(pod, applied, resource))

    def _watch(self, row: KindRow) -> InformerSet[Pod]:
        """The informers of all pods with the labels of the kind."""
        text = watch_selector(row)
        with self._lock:
            found = self._by_kind.get(text)
            if found is None:
                names = tuple(row.pods.selector)
                index: Indexers[Pod] = {JOB_INDEX: lambda pod: (_value_of(pod, names),)}
                found = self._by_kind[text] = self._make(
                    text, index, lambda _gvr, deltas: self._marked_changed(names, deltas)
                )
            return found

    def _labelled_changed(self, _gvr: GVR, deltas: Sequence[Delta[Pod]]) -> None:
        claimed = {of for delta in deltas for pod in delta.objects if (of := claimed_task(pod)) is not None}
        found = [(workflow, task) for at, task in claimed if (workflow := self._workflows.get(at)) is not None]
        with self._lock:
            self._changes += 1
            for workflow, task in found:
                self._leads.get(workflow, {}).pop(task, None)
        self._notify(found)

    def _marked_changed(self, names: tuple[str, ...], deltas: Sequence[Delta[Pod]]) -> None:
        self._changed({_value_of(pod, names) for delta in deltas for pod in delta.objects})

    def _changed(self, values: Iterable[str]) -> None:
        with self._lock:
            found = {of for value in values for of in self._users.get(value, ())}
        self._notify(found)

    def _notify(self, changed: Iterable[tuple[WorkflowId, TaskKey]]) -> None:
        by_workflow: dict[WorkflowId, list[TaskKey]] = {}
        for workflow, task in changed:
            by_workflow.setdefault(workflow, []).append(task)
        if by_workflow:
            self._on_changed(by_workflow)


def _row(gvr: str) -> KindRow:
    return rules_for(GVR.parse(gvr) if gvr else GVR())


def _is_labelled(row: KindRow) -> bool:
    """Whether the pods of the kind carry our labels."""
    return reaches_pods(row) or not row.pods.selector


def _job_value(namespace: str, selector: Mapping[str, str]) -> str:
    return "/".join((namespace, *selector.values()))


def _value_of(pod: Pod, names: Iterable[str]) -> str:
    return _job_value(pod.metadata.namespace, {name: pod.metadata.labels.get(name, "") for name in names})


def _is_before(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other


def is_pod_relevant(delta: Delta[Pod]) -> bool:
    """Whether the cache keeps something of what changed of a pod."""
    return delta.old is None or delta.new is None or not is_same_state(delta.old, delta.new)
