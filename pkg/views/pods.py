"""The pods of a flow, of any kind of job: by our labels where these reach the pods, else by the operator's labels.

Where a kind has neither, and for objects that a flow has applied, they are found by their owners.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.records import kinds_of
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Action, Workflow
from pkg.apis.meta import GVR, Job, ObjectMeta
from pkg.kube.client import Client
from pkg.kube.errors import NotFound
from pkg.kube.pod_logs import PODS
from pkg.views.applied import objects_of
from pkg.views.attempts import read_jobs
from pkg.views.owners import pods_of
from pkg.views.paging import read_all
from pkg.workloads import pod_selector, reaches_pods, rules_for

DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"


class _Container(msgspec.Struct, frozen=True):
    name: str = ""


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    containers: tuple[_Container, ...] = ()
    init_containers: tuple[_Container, ...] | None = None


class _PodStatus(msgspec.Struct, frozen=True):
    phase: str = ""


class Pod(msgspec.Struct, frozen=True):
    """The fields of a pod that its log needs."""

    metadata: ObjectMeta
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()

    @property
    def containers(self) -> tuple[str, ...]:
        """The names of its containers, the one to look at first at the front."""
        names = [one.name for one in self.spec.containers]
        first = self.metadata.annotations.get(DEFAULT_CONTAINER, "")
        return tuple(sorted(names, key=lambda name: name != first))

    @property
    def has_ended(self) -> bool:
        return self.status.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class PodOf:
    """A pod, and the task and attempt that it works for."""

    flow: str
    index: int
    attempt: int
    pod: Pod


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of the newest attempts, or of the one that was asked for, in the order of flow, index and name.

    unread: what could not be read of jobs whose pods only their operator labels, with the reason.
    """

    found: tuple[PodOf, ...]
    unread: tuple[str, ...] = ()


def read_pods(client: Client, workflow: Workflow, flow: str, index: int | None, attempt: int | None) -> Pods:
    """The pods of a flow (empty: of all), of one index or of all, of one attempt or the newest. Raises KubeError."""
    namespace = workflow.metadata.namespace
    chosen = [f"{labels.WORKFLOW_UID}={workflow.metadata.uid}"]
    if flow:
        chosen.append(f"{labels.FLOW}={flow}")
    found = {
        pod.metadata.uid: one
        for pod in read_all(client, PODS, namespace, Pod, label_selector=",".join(chosen))
        if (one := _of(pod, pod.metadata)) is not None
    }
    unread: list[str] = []
    kinds = {GVR.parse(kind) for kind in kinds_of(workflow.status)} - {PODS}
    roots = {
        one.uid: (one.flow, one.index, one.attempt)
        for one in objects_of(workflow, flow)
        if one.action is Action.APPLY and one.uid
    }
    if any(not _is_labelled(kind) for kind in kinds):
        jobs = read_jobs(client, workflow, flow=flow)
        unread += jobs.unread
        for pod, job in _operators_pods(client, namespace, jobs.found):
            if (one := _of(pod, job.metadata)) is not None:
                found.setdefault(pod.metadata.uid, one)
        there = {(one.flow, one.index, one.attempt) for one in found.values()}
        for gvr, job in jobs.found:
            task = None if _is_labelled(gvr) or gvr == WORKFLOWS else _task_of(job.metadata)
            if task is not None and task not in there:
                roots[job.metadata.uid] = task
    if roots:
        owned, missing = pods_of(client, namespace, roots)
        unread += missing
        for name, root in owned.items():
            with contextlib.suppress(NotFound):
                pod = client.get(PODS, namespace, name, Pod)
                found.setdefault(pod.metadata.uid, PodOf(*roots[root], pod))
    return Pods(tuple(choose(found.values(), index, attempt)), tuple(unread))


def choose(pods: Iterable[PodOf], index: int | None, attempt: int | None) -> list[PodOf]:
    """Those of one index or all, of one attempt or the newest of each task; by flow, index and name. Pure."""
    kept = [one for one in pods if index is None or one.index == index]
    newest: dict[tuple[str, int], int] = {}
    for one in kept:
        task = (one.flow, one.index)
        newest[task] = max(newest.get(task, 0), one.attempt)
    wanted = [one for one in kept if one.attempt == (newest[one.flow, one.index] if attempt is None else attempt)]
    return sorted(wanted, key=lambda one: (one.flow, one.index, one.attempt, one.pod.metadata.name))


def _operators_pods(client: Client, namespace: str, jobs: Iterable[tuple[GVR, Job]]) -> Iterator[tuple[Pod, Job]]:
    for gvr, job in jobs:
        row = rules_for(gvr)
        selector = None if reaches_pods(row) or gvr == PODS else pod_selector(row, job)
        if selector:
            text = ",".join(f"{name}={value}" for name, value in selector.items())
            for pod in read_all(client, PODS, namespace, Pod, label_selector=text):
                yield pod, job


def _is_labelled(gvr: GVR) -> bool:
    """Whether the pods of the kind get our labels for sure: a kind without a row may have other fields."""
    row = rules_for(gvr)
    return bool(row.pod_templates or row.labels)


def _of(pod: Pod, tagged: ObjectMeta) -> PodOf | None:
    """The pod with the task that our labels on it, or on its job, name; None without them."""
    task = _task_of(tagged)
    return None if task is None else PodOf(*task, pod)


def _task_of(tagged: ObjectMeta) -> tuple[str, int, int] | None:
    """Flow, index and attempt that our labels name; None without them."""
    tags = tagged.labels
    index, attempt = tags.get(labels.INDEX, "0"), tags.get(labels.ATTEMPT, "")
    if labels.FLOW not in tags or not index.isdecimal() or not attempt.isdecimal():
        return None
    return tags[labels.FLOW], int(index), int(attempt)
