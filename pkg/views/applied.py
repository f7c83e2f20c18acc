"""The objects that a Workflow's flows have applied, or have deleted: they stay, or go, apart from its jobs. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.types import Action, Workflow
from pkg.apis.meta import GVR


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """The object of one task, of a flow whose action is Apply or Delete. index: 0 without `for`."""

    flow: str
    index: int
    attempt: int
    gvr: GVR
    name: str
    uid: str
    action: Action

    @property
    def title(self) -> str:
        """`deployments.apps/web`."""
        return f"{self.gvr.group_resource}/{self.name}"


def objects_of(workflow: Workflow, flow: str = "") -> tuple[ObjectOf, ...]:
    """Those that status records, of one flow or of all."""
    status = workflow.status
    if status.record is None:
        return ()
    return tuple(
        ObjectOf(name, one.index, one.attempt, GVR.parse(record.gvr), one.name, one.uid, record.action)
        for record in status.record.objects
        if record.flow < len(status.flows) and flow in ("", name := status.flows[record.flow].name)
        for one in record.objects
    )
