"""Finds the pods of a task's job, and which of them leads: the addresses that probes may contact.

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
from pkg.apis.meta import GVR, Job, ObjectMeta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.store import Delta, Indexers
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.workloads import KindRow, has_role, lead_rank, pod_selector, reaches_pods, rules_for, watch_selector

PODS = GVR(version="v1", resource="pods")
SELECTOR = f"{labels.PROBED}=true"
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


def task_value(namespace: str, uid: str, task: TaskKey, attempt: int) -> str:
    """The index value of one attempt's pods; with the namespace, so that pods elsewhere never count."""
    return f"{namespace}/{uid}/{task.flow}/{task.index}/{attempt}"


def by_task(pod: Pod) -> Iterable[str]:
    tags = pod.metadata.labels
    task = f"{tags.get(labels.FLOW)}/{tags.get(labels.INDEX, '0')}/{tags.get(labels.ATTEMPT)}"
    return (f"{pod.metadata.namespace}/{tags.get(labels.WORKFLOW_UID)}/{task}",)


POD_INDEXERS: Indexers[Pod] = {TASK_INDEX: by_task}


def choose_addresses(row: KindRow, pods: Iterable[Pod], *, role: str, choice: PodChoice) -> tuple[str, ...]:
    """Addresses among a job's running pods: of the lead pod (or the first of a role), or of all (of a role)."""
    found = [pod for pod in pods if pod.has_address]
    if role:
        found = [pod for pod in found if has_role(row, pod.metadata.labels, role)]
    found.sort(key=lambda pod: (lead_rank(row, pod.metadata.labels), pod.metadata.name))
    chosen = found[:1] if choice is PodChoice.LEAD else found
    return tuple(pod.status.pod_ip for pod in chosen)


def task_of(pod: Pod) -> tuple[str, TaskKey] | None:
    """The workflow UID and task that a pod belongs to by our labels; None without such labels."""
    tags = pod.metadata.labels
    uid, index = tags.get(labels.WORKFLOW_UID), tags.get(labels.INDEX, "0")
    if not uid or not (index.isascii() and index.isdecimal()):
        return None
    return uid, TaskKey(tags.get(labels.FLOW, ""), int(index))


OnPods: TypeAlias = Callable[[GVR, Sequence[Delta[Pod]]], None]
#: Tasks whose pods changed, by the UID of their workflow.
ChangedPods: TypeAlias = Mapping[str, Collection[TaskKey]]
MakeInformers: TypeAlias = Callable[[str, Indexers[Pod], OnPods], InformerSet[Pod]]


class _Lead(NamedTuple):
    """The address of the pod that leads the job of one attempt."""

    attempt: int
    gvr: str
    address: str


class PodFinder:
    """The pods of attempts, from watches that start with the first question.

    make(label selector, indexers, on_deltas) makes informers; job_of(uid, task, attempt) is the attempt's job;
    on_changed(tasks by workflow UID) is called from the thread of a watch when pods of these tasks change.
    """

    def __init__(
        self,
        make: MakeInformers,
        job_of: Callable[[str, TaskKey, int], Job | None],
        on_changed: Callable[[ChangedPods], None],
    ) -> None:
        self._make = make
        self._job_of = job_of
        self._on_changed = on_changed
        self._lock = threading.Lock()
        self._labelled = make(SELECTOR, POD_INDEXERS, self._labelled_changed)
        self._by_kind: dict[str, InformerSet[Pod]] = {}  # by the label selector of the kind's pods
        self._users: dict[str, set[tuple[str, TaskKey]]] = {}  # index value of a job -> who asks for its pods
        self._asked: dict[str, set[tuple[str, TaskKey]]] = {}  # workflow UID -> the reverse
        # Lead addresses by UID and task, until a pod of the task changes: every reconcile asks for all of a workflow.
        self._leads: dict[str, dict[TaskKey, _Lead]] = {}
        self._changes = 0

    def addresses(
        self, namespace: str, uid: str, task: TaskKey, attempt: int, gvr: str, *, role: str, choice: PodChoice
    ) -> tuple[str, ...]:
        """Addresses of one attempt's pods; empty while there are none. Reads caches only."""
        row = _row(gvr)
        if _is_labelled(row):
            store = self._labelled.ensure(PODS)
            found = store.by_index(TASK_INDEX, task_value(namespace, uid, task, attempt))
        else:
            found = self._marked_by_kind(row, uid, task, attempt)
        return choose_addresses(row, found, role=role, choice=choice)

    def lead_address(self, namespace: str, uid: str, task: TaskKey, attempt: int, gvr: str) -> str:
        """The address of the pod that leads the attempt's job, empty if there is none yet."""
        known = self._leads.get(uid, {}).get(task)
        if known is not None and (known.attempt, known.gvr) == (attempt, gvr):
            return known.address
        before = self._changes
        found = next(iter(self.addresses(namespace, uid, task, attempt, gvr, role="", choice=PodChoice.LEAD)), "")
        if found and _is_labelled(_row(gvr)):
            with self._lock:
                if before == self._changes:  # otherwise the address may be out of date
                    self._leads.setdefault(uid, {})[task] = _Lead(attempt, gvr, found)
        return found

    def selector(self, uid: str, task: TaskKey, attempt: int, gvr: str) -> str:
        """The label selector of one attempt's pods, as a LIST takes it; empty if they cannot be selected."""
        job = self._job_of(uid, task, attempt)
        resource = GVR.parse(gvr) if gvr else GVR()
        if job is None or resource == PODS:
            return ""
        row = rules_for(resource)
        if reaches_pods(row):
            ours = (labels.WORKFLOW_UID, labels.FLOW, labels.INDEX, labels.ATTEMPT)
            found = {name: job.metadata.labels[name] for name in ours if name in job.metadata.labels}
        else:
            found = pod_selector(row, job) or {}
        return ",".join(f"{name}={value}" for name, value in found.items())

    def forget(self, uid: str) -> None:
        """Drops a workflow: its pods are no longer asked for."""
        with self._lock:
            self._leads.pop(uid, None)
            for value, task in self._asked.pop(uid, ()):
                users = self._users[value]
                users.discard((uid, task))
                if not users:
                    del self._users[value]

    def dead(self) -> tuple[GVR, ...]:
        """Resources whose watch ended without having been stopped."""
        return tuple(gvr for informers in self._all() for gvr in informers.dead())

    def stop(self) -> None:
        """Stop every watch; returns at once."""
        for informers in self._all():
            informers.stop()

    def _all(self) -> tuple[InformerSet[Pod], ...]:
        with self._lock:
            return (self._labelled, *self._by_kind.values())

    def _marked_by_kind(self, row: KindRow, uid: str, task: TaskKey, attempt: int) -> tuple[Pod, ...]:
        """The pods that the kind's operator has labelled as the attempt's job's."""
        job = self._job_of(uid, task, attempt)
        selector = pod_selector(row, job) if job is not None else None
        if job is None or selector is None:
            return ()
        value = _job_value(job.metadata.namespace, selector)
        with self._lock:
            # Registered before the read, so that no later change is missed.
            self._users.setdefault(value, set()).add((uid, task))
            self._asked.setdefault(uid, set()).add((value, task))
        pods = self._watch(row).ensure(PODS).by_index(JOB_INDEX, value)
        # Pods of an earlier job of the same name may still exist; a job's own pods are not older than the job.
        since = job.metadata.creation_timestamp
        return tuple(pod for pod in pods if not _is_before(pod.metadata.creation_timestamp, since))

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
        found = {of for delta in deltas for pod in delta.objects if (of := task_of(pod)) is not None}
        with self._lock:
            self._changes += 1
            for uid, task in found:
                self._leads.get(uid, {}).pop(task, None)
        self._notify(found)

    def _marked_changed(self, names: tuple[str, ...], deltas: Sequence[Delta[Pod]]) -> None:
        values = {_value_of(pod, names) for delta in deltas for pod in delta.objects}
        with self._lock:
            found = {of for value in values for of in self._users.get(value, ())}
        self._notify(found)

    def _notify(self, changed: Iterable[tuple[str, TaskKey]]) -> None:
        by_uid: dict[str, list[TaskKey]] = {}
        for uid, task in changed:
            by_uid.setdefault(uid, []).append(task)
        if by_uid:
            self._on_changed(by_uid)


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
