"""Executes actions against the API server: creates jobs, writes status, deletes; never without the Lease.

Every write first checks that this process holds the Lease, so a process that was paused and continued writes nothing.
Metrics and logs follow once the call has returned.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import msgspec
import structlog
from prometheus_client import Counter

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow
from pkg.apis.meta import Job
from pkg.controllers.workflow.create_faults import explain, may_have_worked, steady
from pkg.controllers.workflow.creation_run import Created, CreationRun
from pkg.controllers.workflow.object_calls import ObjectCalls
from pkg.controllers.workflow.planner.actions import (
    CreateJob,
    DeleteJob,
    DeleteWorkflow,
    ForeignAction,
    PatchStatus,
)
from pkg.controllers.workflow.planner.job_identity import (
    JobIdentity,
    WorkflowId,
    is_job_of,
    is_stripped,
    what_changed,
)
from pkg.controllers.workflow.planner.locks.words import TAKING
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.render.hidden import without_values
from pkg.controllers.workflow.planner.snapshot import MAX_CREATE_DELAY, CreateFault, Trouble
from pkg.controllers.workflow.room import Room
from pkg.controllers.workflow.write_pool import Calls
from pkg.kube.client import JSON_PATCH, Client
from pkg.kube.errors import Conflict, Exists, KubeError, NotFound, Refused, Stopped
from pkg.telemetry.metrics import Metrics

_log = structlog.get_logger("workflow.executor")
# Of a job that its own workflow would take for a stranger: made again, it would run twice.
_STRIPPED = (
    "job {job} was created, but a mutating webhook or admission policy changed it, so it is no job of this task:"
    " {changed}. Correct the webhook or policy, and delete the job"
)
_FOUND_STRIPPED = (
    "job {job} is there already, made for this workflow, but a mutating webhook, an admission policy or a person"
    " changed it, so it is no job of this task: {changed}. Correct that, and delete the job"
)
# How long to wait for another object of the same name that is being deleted, in seconds.
STRANGER_PATIENCE = 30.0
MIN_RETRY = 0.5
# Characters of the message about a creation that failed.
MAX_FAULT = 512
# At most so many deletions of one workflow are in the pool at once: the pool also serves all other workflows.
DELETE_BATCH = 32


class NotLeader(Exception):
    """This process does not hold the Lease, so it may not write."""


class Executor:
    """owns(key): whether this process may act on a workflow; room counts the creations in flight; wall_clock in seconds
    since the epoch; objects: the calls of tasks that apply or delete an object; holds_locks(workflow, holder, attempt):
    whether it still holds its locks.
    """

    def __init__(
        self,
        client: Client,
        pool: Calls,
        owns: Callable[[str], bool],
        metrics: Metrics,
        room: Room,
        wall_clock: Callable[[], float] = time.time,
        *,
        objects: ObjectCalls | None = None,
        may_delete: Callable[[str], bool] = lambda _key: True,
        holds_locks: Callable[[WorkflowId, TaskKey, int], bool] = lambda _workflow, _holder, _attempt: True,
    ) -> None:
        self._client = client
        self._pool = pool
        self._room = room
        self._owns = owns
        self._objects = objects
        self._may_delete = may_delete
        self._holds_locks = holds_locks
        self._metrics = metrics
        self._created: dict[str, Counter] = {}
        self._clock = wall_clock

    def create(
        self,
        workflow: WorkflowId,
        actions: Sequence[CreateJob],
        faults: dict[str, CreateFault],
        on_late: Callable[[], None],
        *,
        first: int = 1,
        is_idle: bool = False,
    ) -> CreationRun:
        """Begins to create jobs, in threads of the pool.

        faults: earlier ones by job name, for the growing delay. on_late, first: see CreationRun. is_idle: nothing else
        waits for this thread, which then makes the first call itself, if that is likely to be answered soon.
        """
        room = (workflow.namespace, len(actions), sum(len(action.body) for action in actions))
        self._room.take(*room)
        group = f"{workflow.namespace}/create"
        run = CreationRun(
            actions,
            lambda action: self._create(workflow, action, faults.get(action.name)),
            functools.partial(self._pool.begin, group, workflow.key),
            first=first,
            run_here=functools.partial(self._pool.run_here, group) if is_idle else lambda _call: False,
            on_done=lambda: self._room.give_back(*room),
            on_late=on_late,
        )
        run.start()
        return run

    @property
    def in_flight(self) -> int:
        """How many creations and deletions are not answered yet."""
        return self._pool.in_flight

    def is_busy(self, namespace: str) -> bool:
        """Whether the answers to creations in this namespace are likely to be late."""
        return self._pool.is_delayed(f"{namespace}/create")

    def _create(self, workflow: WorkflowId, action: CreateJob, before: CreateFault | None) -> Created:
        self._check(workflow.key)
        if action.holder is not None and not self._holds_locks(workflow, action.holder, action.attempt):
            # It was granted them when the plan was made. The call may have waited for its turn since.
            fault = self._fault(action, before, Trouble.RETRY, TAKING.reason, TAKING.message)
            return Created(action, None, replace(fault, retry_at=self._clock()))
        if action.foreign is not None:
            return self._act(workflow, action, action.foreign, before)
        warnings: list[str] = []
        try:
            job = self._client.create(
                action.gvr,
                action.namespace,
                action.body,
                Job,
                field_validation=action.field_validation,
                on_warnings=warnings.extend,
            )
        except Exists:
            return self._exists(workflow, action, before)
        except Stopped:
            raise
        except Refused as error:
            # A misspelt field is often why a required one is missing.
            also = f"; the API server also warns: {', '.join(warnings)}" if warnings else ""
            said = f"{error.message[: MAX_FAULT - min(len(also), MAX_FAULT // 2)]}{also}"
            return Created(action, None, self._fault(action, before, Trouble.REFUSED, Reasons.REFUSED, said))
        except KubeError as error:
            fault = self._fault(action, before, Trouble.RETRY, *explain(error))
            fault = replace(fault, is_unanswered=may_have_worked(error))
            is_new = before is None or (before.name, before.message) != (fault.name, fault.message)
            say = _log.warning if is_new else _log.debug
            said = without_values(str(error), action.hidden)
            say("job not created, will be retried", job=action.name, gvr=str(action.gvr), error=said)
            return Created(action, None, fault)
        if not is_job_of(job, JobIdentity(workflow, action.task, action.attempt)):
            return self._stripped(action, before, _STRIPPED, job)
        counter = self._created.get(action.kind)
        if counter is None:
            counter = self._created[action.kind] = self._metrics.workflow_jobs_created.labels(action.kind)
        counter.inc()
        _log.debug("job created", job=action.name, gvr=str(action.gvr), flow=action.task.flow, attempt=action.attempt)
        return Created(action, job, None, tuple(without_values(one, action.hidden) for one in warnings))

    def _act(
        self, workflow: WorkflowId, action: CreateJob, foreign: ForeignAction, before: CreateFault | None
    ) -> Created:
        """Applies the object of an attempt, or finds the one that it deletes."""
        assert self._objects is not None, "who plans such an attempt names the objects"
        done = self._objects.act(workflow, action, foreign)
        if done.trouble is None:
            self._metrics.workflow_objects.labels(foreign.action.value, action.kind).inc()
            warnings = tuple(without_values(one, action.hidden) for one in done.warnings)
            return Created(action, None, None, warnings)
        fault = self._fault(action, before, done.trouble, done.reason, done.message)
        return Created(action, None, replace(fault, is_unanswered=done.is_unanswered))

    def _exists(self, workflow: WorkflowId, action: CreateJob, before: CreateFault | None) -> Created:
        """The name is taken: by our own earlier creation, or by a foreign object that may be under deletion.

        An earlier creation that was not answered may have made a job that admission then took off the task.
        """
        try:
            holder = self._client.get(action.gvr, action.namespace, action.name, Job)
        except NotFound:
            fault = self._fault(
                action,
                before,
                Trouble.RETRY,
                Reasons.CREATE_FAILED,
                f"another {action.kind} of the name {action.name} was just deleted",
            )
            return Created(action, None, replace(fault, retry_at=self._clock()))
        except KubeError as error:
            if isinstance(error, Stopped):
                raise
            fault = self._fault(action, before, Trouble.RETRY, *explain(error))
            return Created(action, None, replace(fault, is_unanswered=True))
        if is_job_of(holder, JobIdentity(workflow, action.task, action.attempt)):
            return Created(action, holder, None)
        now = self._clock()
        text = f"another {action.kind} has the name {action.name} (uid {holder.metadata.uid})"
        since = before.since if before is not None and before.name == action.name else now
        if holder.metadata.is_deleting and now - since < STRANGER_PATIENCE:
            fault = self._fault(action, before, Trouble.RETRY, Reasons.NAME_CONFLICT, f"{text} and is being deleted")
            return Created(action, None, fault)
        if is_stripped(holder, workflow):
            return self._stripped(action, before, _FOUND_STRIPPED, holder)
        return Created(action, None, self._fault(action, before, Trouble.NAME_TAKEN, Reasons.NAME_CONFLICT, text))

    def _stripped(self, action: CreateJob, before: CreateFault | None, text: str, job: Job) -> Created:
        """The job of this attempt is there, and it is no job of the task: made once more, it would run twice."""
        said = text.format(job=action.name, changed=what_changed(msgspec.json.decode(action.body, type=Job), job))
        return Created(action, None, self._fault(action, before, Trouble.REFUSED, Reasons.REFUSED, said))

    def _fault(
        self, action: CreateJob, before: CreateFault | None, trouble: Trouble, reason: str, message: str
    ) -> CreateFault:
        now = self._clock()
        if before is not None and (before.name, before.attempt) != (action.name, action.attempt):
            before = None
        tries = before.tries + 1 if before is not None else 1
        message, said_at = steady(before, reason, without_values(message, action.hidden)[:MAX_FAULT], now)
        return CreateFault(
            trouble=trouble,
            attempt=action.attempt,
            name=action.name,
            reason=reason,
            message=message,
            said_at=said_at,
            since=before.since if before is not None else now,
            tries=tries,
            retry_at=now + min(MAX_CREATE_DELAY, MIN_RETRY * 2 ** min(tries - 1, 10)),
        )

    def patch_status(self, key: str, action: PatchStatus) -> Workflow:
        """Writes the status; raises NotLeader, or a KubeError (Conflict: the plan is out of date)."""
        self._check(key)
        body = msgspec.json.encode(action.operations)
        workflow = self._client.patch(
            WORKFLOWS,
            action.namespace,
            action.name,
            body,
            content_type=JSON_PATCH,
            type=Workflow,
            subresource="status",
        )
        self._metrics.workflow_status_writes.inc()
        return workflow

    def delete(self, key: str, actions: Iterable[DeleteJob]) -> list[KubeError]:
        """Deletes jobs in parallel; stops after a batch of which every call failed; returns the errors.

        A job that is already gone, or replaced by another of its name, counts as deleted. A job that is to be deleted
        in one version alone, and has another now, is an error: the cache is behind. So is the answer that the kind is
        not served: it proves nothing, and the watch says when objects go with their kind.
        """
        items = list(actions)
        errors: list[KubeError] = []
        for first in range(0, len(items), DELETE_BATCH):
            batch = items[first : first + DELETE_BATCH]
            if len(batch) == 1:
                answers = [self._delete(key, batch[0])]
            else:
                # Not the group of the creations: deletions never wait for creations that hang.
                group = f"{batch[0].namespace}/delete"
                futures = [self._pool.submit(group, key, functools.partial(self._delete, key, item)) for item in batch]
                answers = [future.result() for future in futures]
            failed = [error for error in answers if error is not None]
            errors += failed
            if len(failed) == len(batch):
                break
        return errors

    def _delete(self, key: str, action: DeleteJob) -> KubeError | None:
        self._check(key)
        try:
            if action.foreign is not None and self._objects is not None:
                self._objects.check_deletion(key, action, action.foreign)
            self._client.delete(
                action.gvr,
                action.namespace,
                action.name,
                uid=action.uid,
                resource_version=action.resource_version or None,
            )
        except NotFound:
            return None
        except Conflict as error:
            return error if action.resource_version else None
        except Stopped:
            raise
        except KubeError as error:
            _log.warning("job not deleted, will be retried", job=action.name, error=str(error))
            return error
        self._metrics.workflow_jobs_deleted.inc()
        _log.debug("job deleted", job=action.name, gvr=str(action.gvr), why=action.why)
        return None

    def delete_workflow(self, key: str, action: DeleteWorkflow, resource_version: str) -> bool:
        """Deletes the Workflow, its jobs first (foreground); False if it is still needed.

        Conflict if it has changed since `resource_version`: its ttl may have been removed, or it was restarted.
        """
        self._check(key)
        if not self._may_delete(key):
            return False
        try:
            self._client.delete(
                WORKFLOWS,
                action.namespace,
                action.name,
                uid=action.uid,
                propagation="Foreground",
                resource_version=resource_version,
            )
        except NotFound:
            return True
        _log.info("workflow deleted, its ttlSecondsAfterFinished is over")
        return True

    def _check(self, key: str) -> None:
        if not self._owns(key):
            raise NotLeader(key)
