"""The first call of an attempt that applies or deletes an object: apply it, or find it. In threads of the write pool.

The rights of the people behind the attempt are asked for by the name of the object, right before the call.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from pkg.apis.flow.v1alpha1.object_rights import questions
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Action, Workflow
from pkg.apis.meta import GVR, ForeignObject
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.listwatch import ReflectorMetrics
from pkg.controllers.engine.reflector_options import EventHandlers
from pkg.controllers.workflow.create_faults import explain, may_have_worked
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.objects import Attempted, Objects
from pkg.controllers.workflow.planner.actions import CreateJob, DeleteJob, ForeignAction
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.render.hidden import without_values
from pkg.controllers.workflow.planner.snapshot import Barred, Trouble
from pkg.controllers.workflow.rights import Rights
from pkg.kube.client import Client
from pkg.kube.discovery import Discovery
from pkg.kube.errors import ApplyConflict, Forbidden, KubeError, NotFound, Refused, Stopped, may_mean_not_served

_log = structlog.get_logger("workflow.executor")
#: Of every object that is applied, in whatever namespace the controller runs.
MANAGER: Final = "workflow-controller"
_MAX_CONFLICT: Final = 360
_BLANKS: Final = re.compile(r"\s+")

#: Why the people behind an attempt may not have what it does; None if they may. It may wait for an answer.
May = Callable[[str, CreateJob | DeleteJob, ForeignAction], Barred | None]


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a call. trouble: None if it succeeded; warnings: what the API server said about the object;
    is_unanswered: it may have been carried out all the same.
    """

    trouble: Trouble | None = None
    reason: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()
    is_unanswered: bool = False


def may_by(rights: Rights | None, workflow_of: Callable[[str], Workflow | None]) -> May:
    """Asks for the rights of the people behind an attempt. workflow_of(`namespace/name`): for what is told of it."""

    def may(key: str, action: CreateJob | DeleteJob, foreign: ForeignAction) -> Barred | None:
        if rights is None:
            return None
        asked = questions(foreign.behind, action.gvr, action.namespace, foreign.action, action.name)
        return rights.may(workflow_of(key), action.name, asked)

    return may


class ObjectCalls:
    """objects: what is told of the answers; may: whose rights are asked for."""

    def __init__(self, client: Client, objects: Objects, may: May = lambda _workflow, _action, _foreign: None) -> None:
        self._client = client
        self._objects = objects
        self._may = may

    def act(self, workflow: WorkflowId, action: CreateJob, foreign: ForeignAction) -> Done:
        """Makes the call. The objects know of its answer before this returns."""
        barred = self._may(workflow.key, action, foreign)
        if barred is not None:
            return Done(Trouble.RETRY, barred.reason, barred.message)
        attempted = Attempted(action.attempt, foreign.action, foreign.is_indexed)
        self._objects.expect(workflow, action.gvr, action.name, action.task, attempted, needs_watch=foreign.needs_watch)
        try:
            return (
                self._apply(workflow, action, foreign)
                if foreign.action is Action.APPLY
                else self._find(workflow, action)
            )
        except Stopped:
            raise
        except ApplyConflict as error:
            return Done(Trouble.REFUSED, Reasons.APPLY_CONFLICT, _conflict(action, error))
        except Refused as error:
            return Done(Trouble.REFUSED, Reasons.REFUSED, error.message)
        except KubeError as error:
            reason, message = explain(error)
            name, said = (without_values(text, action.hidden) for text in (action.name, str(error)))
            _log.debug("object not applied or found, will be retried", object=name, error=said)
            return Done(Trouble.RETRY, reason, message, is_unanswered=may_have_worked(error))

    def check_deletion(self, key: str, action: DeleteJob, foreign: ForeignAction) -> None:
        """Raises Forbidden if the people behind the workflow of that key may not delete the object."""
        barred = self._may(key, action, foreign)
        if barred is not None:
            raise Forbidden(barred.message or "the right to delete it is not known yet")

    def _apply(self, workflow: WorkflowId, action: CreateJob, foreign: ForeignAction) -> Done:
        warnings: list[str] = []
        found = self._client.apply(
            action.gvr,
            action.namespace,
            action.name,
            action.body,
            ForeignObject,
            field_manager=MANAGER,
            force=foreign.force,
            field_validation=action.field_validation,
            on_warnings=warnings.extend,
        )
        if found.metadata.is_deleting:
            text = f"{action.kind} {action.name} is being deleted; it is applied once it is gone"
            return Done(Trouble.RETRY, Reasons.CREATE_FAILED, text)
        self._objects.took(workflow, action.gvr, action.task, found)
        name = without_values(action.name, action.hidden)
        _log.debug("object applied", object=name, gvr=str(action.gvr), flow=action.task.flow)
        return Done(warnings=tuple(warnings))

    def _find(self, workflow: WorkflowId, action: CreateJob) -> Done:
        try:
            found = self._client.get(action.gvr, action.namespace, action.name, ForeignObject)
        except NotFound:
            self._objects.absent(workflow, action.gvr, action.name, action.task)
            return Done()
        self._objects.took(workflow, action.gvr, action.task, found)
        return Done()


def read_object(client: Client, gvr: GVR, namespace: str, name: str) -> ForeignObject | None:
    """An object as it is now; None if it is certain that there is none, or none of its kind. Raises KubeError."""
    try:
        return client.get(gvr, namespace, name, ForeignObject)
    except NotFound:
        return None
    except KubeError as error:
        if may_mean_not_served(error) and Discovery(client).is_gone(gvr):
            return None
        raise


def _conflict(action: CreateJob, error: ApplyConflict) -> str:
    """Which manager owns which field, and what to do."""
    said = _BLANKS.sub(" ", error.message.replace("\n- ", " ")).strip()[:_MAX_CONFLICT]
    return (
        f"{action.kind} {action.name}: {said}; leave these fields out of the template, let that manager give them up,"
        " or set force: true in the template to take them over"
    )


def follow_objects(
    client: Client,
    namespace: str | None,
    ledger: Ledger,
    requeue: Callable[[str], None],
    requeue_users: Callable[[GVR], None],
    metrics: ReflectorMetrics,
) -> Objects:
    """What follows the objects that tasks apply or delete. requeue_users(kind): the workflows that use a kind."""
    return Objects(
        lambda keeps, on_deltas: InformerSet(
            client,
            namespace,
            ForeignObject,
            EventHandlers(on_deltas, on_synced=requeue_users, on_trouble=requeue_users),
            keeps=keeps,
            metrics=metrics,
        ),
        functools.partial(read_object, client),
        ledger,
        requeue,
    )
