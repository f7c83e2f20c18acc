"""What a pass wants done, as values: a test compares them with ==, and only the executor carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pkg.apis.flow.v1alpha1.types import HTTPGet, PodChoice, TCPSocket
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.progress import Progress, TaskKey
from pkg.controllers.workflow.planner.snapshot import ProbeKey


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Make the job of one attempt. Name and labels are deterministic, so repeating it is harmless."""

    task: TaskKey
    attempt: int
    gvr: GVR
    namespace: str
    name: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete one job of ours, by uid, so that a namesake is never hit."""

    task: TaskKey
    gvr: GVR
    namespace: str
    name: str
    uid: str
    why: str


@dataclass(frozen=True, slots=True)
class PatchStatus:
    """JSON Patch over the Workflow's status; it carries the resourceVersion it was computed from."""

    namespace: str
    name: str
    operations: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class DeleteWorkflow:
    """Delete the Workflow itself (its ttl has passed)."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Emit:
    """An Event on the Workflow, for what a user needs to know."""

    reason: str
    message: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """An HTTP or TCP probe that is wanted now, of one attempt of one replica."""

    key: ProbeKey
    asked: TaskKey
    attempt: int
    what: HTTPGet | TCPSocket
    period: float
    timeout: float
    threshold: int
    role: str
    pods: PodChoice
    gvr: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one pass wants: creations, then status, then deletions, then Events.

    progress is what the next pass starts from; wakes: when to look again though nothing happens (seconds since the
    epoch); more: there is more to judge at once, so the key goes to the back of its shard; has_left: creations were
    left over for the next pass; needs_status: creations wait for the status to be acknowledged; is_new_run: a restart,
    after which nothing counts but what status and jobs tell.
    """

    progress: Progress
    creations: tuple[CreateJob, ...] = ()
    patch: PatchStatus | None = None
    deletions: tuple[DeleteJob, ...] = ()
    workflow_deletion: DeleteWorkflow | None = None
    events: tuple[Emit, ...] = ()
    probes: tuple[ProbeRequest, ...] = ()
    wakes: float | None = None
    more: bool = False
    has_left: bool = False
    needs_status: bool = False
    is_new_run: bool = False
