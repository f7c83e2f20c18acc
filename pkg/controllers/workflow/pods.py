"""The pods that somebody waits for, and which of them lead: the addresses that probes may contact.

Only pods labelled as probed are watched; the label is put on the pod templates of flows whose address is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import PodChoice
from pkg.apis.meta import GVR, ObjectMeta
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.progress import TaskKey
from pkg.workloads import KindRow, has_role, lead_rank, rules_for

PODS = GVR(version="v1", resource="pods")
SELECTOR = f"{labels.PROBED}=true"
TASK_INDEX = "task"
WORKFLOW_INDEX = "workflow"


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")


class Pod(msgspec.Struct, frozen=True):
    """A pod as far as probes need it."""

    metadata: ObjectMeta
    status: PodStatus = PodStatus()

    @property
    def is_askable(self) -> bool:
        return self.status.phase == "Running" and bool(self.status.pod_ip) and not self.metadata.is_deleting


def task_value(namespace: str, uid: str, task: TaskKey, attempt: int) -> str:
    """The value under which the pods of one attempt are found; labels of a pod elsewhere make it nobody's."""
    return f"{namespace}/{uid}/{task.flow}/{task.index}/{attempt}"


def by_task(pod: Pod) -> Iterable[str]:
    tags = pod.metadata.labels
    task = f"{tags.get(labels.FLOW)}/{tags.get(labels.INDEX, '0')}/{tags.get(labels.ATTEMPT)}"
    return (f"{pod.metadata.namespace}/{tags.get(labels.WORKFLOW_UID)}/{task}",)


def by_workflow(pod: Pod) -> Iterable[str]:
    return (pod.metadata.labels.get(labels.WORKFLOW_UID, ""),)


INDEXERS = {TASK_INDEX: by_task, WORKFLOW_INDEX: by_workflow}


def lead_address(store: Store[Pod], namespace: str, uid: str, task: TaskKey, attempt: int, gvr: str) -> str:
    """The address of the pod that leads the attempt's job, empty if there is none yet."""
    return next(iter(addresses(store, namespace, uid, task, attempt, gvr, role="", pods=PodChoice.LEAD)), "")


def addresses(
    store: Store[Pod], namespace: str, uid: str, task: TaskKey, attempt: int, gvr: str, *, role: str, pods: PodChoice
) -> tuple[str, ...]:
    """Addresses to ask: of the lead pod (or the first of a role), or of all pods (of a role) that run."""
    row = _row(gvr)
    found = [pod for pod in store.by_index(TASK_INDEX, task_value(namespace, uid, task, attempt)) if pod.is_askable]
    if role:
        found = [pod for pod in found if has_role(row, pod.metadata.labels, role)]
    found.sort(key=lambda pod: (lead_rank(row, pod.metadata.labels), pod.metadata.name))
    chosen = found[:1] if pods is PodChoice.LEAD else found
    return tuple(pod.status.pod_ip for pod in chosen)


def _row(gvr: str) -> KindRow:
    return rules_for(GVR.parse(gvr) if gvr else GVR())
