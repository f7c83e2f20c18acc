"""What one pass wants done, as values. Tests compare them with ==; only the executor carries them out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.people import Behind
from pkg.apis.flow.v1alpha1.types import Action, FieldValidation, HTTPGet, PodChoice, TCPSocket, WorkflowStatus
from pkg.apis.meta import GVR, Job
from pkg.apis.structs import Value
from pkg.controllers.workflow.planner.locks.holders import LockNeeds
from pkg.controllers.workflow.planner.progress import ProbeKey, Progress, TaskKey


@dataclass(frozen=True, slots=True)
class ForeignAction:
    """Apply an object that stays, or find the one that is to be deleted, for one attempt.

    force: take over fields of other managers; needs_watch: the task goes on with changes of the object; is_indexed: the
    flow has `for`; behind: the people whose rights are asked for.
    """

    action: Action
    force: bool = False
    needs_watch: bool = True
    is_indexed: bool = False
    behind: tuple[Behind, ...] = ()


class CreateJob(Value, frozen=True, gc=False):
    """Create the job of one attempt. Name and labels are deterministic, so a repetition is harmless."""

    task: TaskKey
    attempt: int
    gvr: GVR
    namespace: str
    name: str
    kind: str
    body: bytes
    field_validation: str = FieldValidation.WARN.value
    #: None for a job of our own.
    foreign: ForeignAction | None = None
    #: The task, or WHOLE for the workflow, that has to hold its locks at the moment of the call; None without locks.
    holder: TaskKey | None = None
    #: The outputs that it is rendered with: no message of its creation may quote them.
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete one job of the workflow, by UID, so that another object of the same name is safe.

    resource_version: delete it only as the cache has it; empty: in any version. foreign: of an object that is no job of
    ours, with the people whose right to delete it is asked for.
    """

    task: TaskKey
    gvr: GVR
    namespace: str
    name: str
    uid: str
    why: str
    resource_version: str = ""
    foreign: ForeignAction | None = None


@dataclass(frozen=True, slots=True)
class PatchStatus:
    """Apply a JSON Patch to the status of the Workflow. It carries the resourceVersion that it was computed from."""

    namespace: str
    name: str
    operations: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class DeleteWorkflow:
    """Delete the Workflow itself: its ttl is over."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that failed. message: what its task says of that; how its pods ended may be added later."""

    task: TaskKey
    attempt: int
    message: str


@dataclass(frozen=True, slots=True)
class Emit:
    """Send an Event on the Workflow. failed: the attempt that it is about; its pods are looked up first."""

    reason: str
    message: str
    is_warning: bool = False
    failed: FailedAttempt | None = None


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """An HTTP or TCP probe that is needed now, of one attempt of one task."""

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
class FailedJob:
    """A failed job whose pods are to be looked up, by its task and attempt.

    gvr: its kind, as `GVR.parse` reads it; lost: the job itself is looked up, which disappeared without a deletion.
    """

    task: TaskKey
    attempt: int
    gvr: str = ""
    lost: Job | None = None


@dataclass(frozen=True, slots=True)
class AwaitedMessages:
    """Termination messages that a task which has succeeded waits for. wanted: roles and containers."""

    task: TaskKey
    attempt: int
    gvr: str
    wanted: tuple[tuple[str, str], ...]


class Plan(Value, frozen=True, gc=False):
    """The result of one pass. It is carried out in this order: creations, status, deletions, Events."""

    #: What the next pass starts from.
    progress: Progress
    creations: tuple[CreateJob, ...] = ()
    patch: PatchStatus | None = None
    deletions: tuple[DeleteJob, ...] = ()
    workflow_deletion: DeleteWorkflow | None = None
    events: tuple[Emit, ...] = ()
    probes: tuple[ProbeRequest, ...] = ()
    #: Failed jobs whose pods are to be looked up.
    lookups: tuple[FailedJob, ...] = ()
    #: Who waits for locks, and who keeps what it holds; None: what was said last stays.
    locks: LockNeeds | None = None
    #: Termination messages that are to be looked up.
    messages: tuple[AwaitedMessages, ...] = ()
    #: When to reconcile again if no event comes before (seconds since the epoch).
    requeue_at: float | None = None
    #: The next pass has more to do at once: the key goes to the back of its shard.
    requeue_now: bool = False
    #: More jobs are to be created than the limit of one pass, or than there is room for.
    over_limit: bool = False
    #: Creations wait until the API server has acknowledged the status.
    needs_status: bool = False
    #: The workflow begins with these creations: what counts as its status until one is written.
    begun: WorkflowStatus | None = None
    #: A restart. After its write the next pass rebuilds its progress from the status and the jobs.
    is_new_run: bool = False

    def after_deletions(self, earlier: Iterable[DeleteJob]) -> Plan:
        """A plan that also deletes what an earlier one wanted deleted, each job once, the earlier first."""
        return msgspec.structs.replace(self, deletions=tuple(dict.fromkeys((*earlier, *self.deletions))))
