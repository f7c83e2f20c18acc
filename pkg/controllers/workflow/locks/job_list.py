"""Lists the jobs of a holder of locks, past every cache: before a Lease is deleted that another controller has written.

It happens only after a change of leader, or where two controllers act, and for holders of which no job is known.
"""

from __future__ import annotations

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.meta import GVR, PartialObject
from pkg.controllers.workflow.locks.leases import explained
from pkg.controllers.workflow.planner.locks.calls import Failed, JobsFound, LookForJobs
from pkg.kube.client import Client
from pkg.kube.discovery import Discovery
from pkg.kube.errors import KubeError, Stopped, may_mean_not_served


def list_jobs(client: Client, namespace: str, call: LookForJobs) -> JobsFound | Failed:
    """The jobs of the kinds that the holder may have. Raises Stopped when the client is shutting down."""
    holder = call.holder
    wanted = {labels.WORKFLOW_UID: holder.uid}
    if not holder.is_whole:
        wanted[labels.FLOW] = holder.flow
    if holder.is_indexed:
        wanted[labels.INDEX] = str(holder.index)
    selector = ",".join(f"{name}={value}" for name, value in wanted.items())
    try:
        return JobsFound(frozenset(uid for kind in call.kinds for uid in _uids(client, namespace, kind, selector)))
    except Stopped:
        raise
    except KubeError as error:
        return Failed(explained(error))


def _uids(client: Client, namespace: str, kind: str, selector: str) -> set[str]:
    """Of jobs of one kind; none if it is certain that the kind is not served any more. Raises KubeError."""
    gvr = GVR.parse(kind)
    found: set[str] = set()
    token = ""
    while True:
        try:
            page = client.list_page(
                gvr,
                namespace,
                PartialObject,
                label_selector=selector,
                continue_=token,
                metadata_only=True,
            )
        except KubeError as error:
            if may_mean_not_served(error) and Discovery(client).is_gone(gvr):
                return set()
            raise
        found |= {item.metadata.uid for item in page.items}
        token = page.continue_
        if not token:
            return found
