"""The scheduled time of a Workflow: it is written when the Workflow is created, and never changed. Pure."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1.faults import Fault
from pkg.apis.flow.v1alpha1.people import PeopleFault
from pkg.apis.flow.v1alpha1.scheduled_time import change_fault
from pkg.webhooks.admit.stamp import see
from pkg.webhooks.review import Operation, Request


def annotation_fault(request: Request) -> Fault | None:
    """What is wrong with the annotation in a creation or an update; None for a request that cannot be read."""
    try:
        new = see(request.object)
        old = see(request.old_object) if request.operation is Operation.UPDATE else None
    except PeopleFault:
        return None
    if new.is_deleting:
        return None
    return change_fault(old.notes if old is not None else None, new.notes)
