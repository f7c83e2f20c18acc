"""The first call of an attempt that applies or deletes an object, and the rights that are asked for before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pkg.apis.flow.v1alpha1.types import Action, ObjectOfTask, ObjectRecord
from pkg.apis.meta import GVR, ForeignObject, ObjectMeta
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.executor import Executor
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.object_calls import MANAGER, ObjectCalls, read_object
from pkg.controllers.workflow.objects import Keeps, Objects, OnDeltas
from pkg.controllers.workflow.planner.actions import CreateJob, DeleteJob, ForeignAction
from pkg.controllers.workflow.planner.snapshot import Barred, Trouble
from pkg.controllers.workflow.room import Room
from pkg.controllers.workflow.write_pool import WritePool
from pkg.kube.discovery import Discovery
from pkg.kube.errors import (
    ApplyConflict,
    Forbidden,
    KubeError,
    NotFound,
    NotServed,
    Refused,
    Transient,
    Unrecognized,
)
from pkg.telemetry.metrics import Metrics
from tests.builders import WORKFLOW, task
from tests.object_bench import MAPS, Informers

MINE = 'Apply failed with 1 conflict: conflict with "gitops" using v1:\n- .data.mode'
FOUND = ForeignObject(ObjectMeta(name="x", namespace="team", uid="u", resource_version="5"))
GOING = ForeignObject(
    ObjectMeta(name="x", namespace="team", uid="u", deletion_timestamp=datetime(2026, 1, 1, tzinfo=UTC))
)


class Api:
    """Answers every call with the object, or with an error."""

    def __init__(self, answer: ForeignObject | KubeError = FOUND) -> None:
        self.answer = answer
        self.calls: list[str] = []
        self.fields: dict[str, Any] = {}

    def _answer(self, call: str) -> ForeignObject:
        self.calls.append(call)
        if isinstance(self.answer, KubeError):
            raise self.answer
        return self.answer

    def apply(self, _gvr: Any, _namespace: str, name: str, _body: bytes, _type: Any, **fields: Any) -> ForeignObject:
        self.fields = fields
        return self._answer(f"apply {name}")

    def get(self, _gvr: Any, _namespace: str, name: str, _type: Any) -> ForeignObject:
        return self._answer(f"get {name}")

    def delete(self, _gvr: Any, _namespace: str, name: str, **_fields: Any) -> None:
        self._answer(f"delete {name}")


def calls(api: Api, barred: Barred | None = None) -> ObjectCalls:
    objects = Objects(lambda keeps, on: cast(Any, Informers(keeps, on)), cast(Any, None), Ledger(), lambda _key: None)
    return ObjectCalls(cast(Any, api), objects, lambda _key, _action, _foreign: barred)


def attempt(action: Action, *, force: bool = False) -> tuple[CreateJob, ForeignAction]:
    foreign = ForeignAction(action, force=force)
    return CreateJob(task("a"), 0, MAPS, "team", "x", "ConfigMap", b"{}", foreign=foreign), foreign


@pytest.mark.parametrize("force", [False, True])
def test_an_apply_names_the_manager_and_takes_over_by_force_alone(force: bool) -> None:
    api = Api()
    assert calls(api).act(WORKFLOW, *attempt(Action.APPLY, force=force)).trouble is None
    assert (api.fields["field_manager"], api.fields["force"]) == (MANAGER, force)


@pytest.mark.parametrize(
    ("action", "answer", "trouble", "reason", "words"),
    [
        pytest.param(
            Action.APPLY,
            ApplyConflict(MINE),
            Trouble.REFUSED,
            "ApplyConflict",
            '"gitops" using v1: .data.mode',
            id="conflict",
        ),
        pytest.param(Action.APPLY, Refused("bad data"), Trouble.REFUSED, "Refused", "bad data", id="invalid"),
        pytest.param(Action.APPLY, GOING, Trouble.RETRY, "CreateFailed", "once it is gone", id="it is being deleted"),
        pytest.param(Action.APPLY, Transient("slow"), Trouble.RETRY, "CreateFailed", "slow", id="a passing fault"),
        pytest.param(Action.DELETE, Transient("slow"), Trouble.RETRY, "CreateFailed", "slow", id="of a look, too"),
        pytest.param(
            Action.DELETE, NotServed("no kind"), Trouble.RETRY, "CreateFailed", "no kind", id="no kind is no proof"
        ),
    ],
)
def test_what_becomes_of_a_call_that_fails(
    action: Action, answer: Any, trouble: Trouble, reason: str, words: str
) -> None:
    done = calls(Api(answer)).act(WORKFLOW, *attempt(action))
    assert (done.trouble, done.reason) == (trouble, reason)
    assert words in done.message


class Sweeping(Informers):
    """Housekeeping looks for kinds that nobody needs right after each was followed."""

    objects: Objects

    def ensure(self, gvr: GVR) -> Store[ForeignObject]:
        found = super().ensure(gvr)
        self.objects.release_kinds()
        return found


def sweeping() -> tuple[Objects, Sweeping]:
    made: list[Sweeping] = []

    def make(keeps: Keeps, on_deltas: OnDeltas) -> Any:
        made.append(Sweeping(keeps, on_deltas))
        return made[0]

    objects = Objects(make, cast(Any, None), Ledger(), lambda _key: None)
    made[0].objects = objects
    return objects, made[0]


def test_a_kind_is_followed_from_the_call_on_whenever_kinds_without_objects_are_released() -> None:
    objects, informers = sweeping()
    assert ObjectCalls(cast(Any, Api()), objects).act(WORKFLOW, *attempt(Action.APPLY)).trouble is None
    assert informers.gvrs() == (MAPS,)


def test_a_kind_is_followed_from_the_reading_of_status_on_whenever_kinds_without_objects_are_released() -> None:
    objects, informers = sweeping()
    record = ObjectRecord(0, str(MAPS), Action.APPLY, (ObjectOfTask("x", "u"),))
    objects.adopt(WORKFLOW, "a", record, (0,), is_indexed=False, needs_watch=True)
    assert informers.gvrs() == (MAPS,)


@pytest.mark.parametrize("answer", [FOUND, NotFound("x")], ids=["there", "not there"])
def test_a_look_for_what_is_to_be_deleted(answer: Any) -> None:
    assert calls(Api(answer)).act(WORKFLOW, *attempt(Action.DELETE)).trouble is None


NOT_SERVED = NotServed("the server could not find the requested resource", status=404)


@pytest.mark.parametrize(
    ("answer", "is_gone", "found"),
    [
        pytest.param(FOUND, False, FOUND, id="there"),
        pytest.param(NotFound('configmaps "x" not found', status=404), False, None, id="not there"),
        pytest.param(NOT_SERVED, True, None, id="its kind is certainly gone"),
        pytest.param(NOT_SERVED, False, NOT_SERVED, id="no kind alone is no proof"),
        pytest.param(Unrecognized("404 page not found", status=404), True, None, id="its group is certainly gone"),
        pytest.param(Transient("slow"), True, Transient("slow"), id="a passing fault"),
    ],
)
def test_reading_an_object_that_status_records(
    monkeypatch: pytest.MonkeyPatch, answer: Any, is_gone: bool, found: Any
) -> None:
    monkeypatch.setattr(Discovery, "is_gone", lambda _self, _gvr: is_gone)
    if isinstance(found, KubeError):
        with pytest.raises(type(found)):
            read_object(cast(Any, Api(answer)), MAPS, "team", "x")
    else:
        assert read_object(cast(Any, Api(answer)), MAPS, "team", "x") == found


@pytest.mark.parametrize("action", [Action.APPLY, Action.DELETE])
def test_without_the_right_no_call_is_made(action: Action) -> None:
    api = Api()
    done = calls(api, Barred("NotAllowed", "alice may not")).act(WORKFLOW, *attempt(action))
    assert (done.trouble, done.reason, done.message, api.calls) == (Trouble.RETRY, "NotAllowed", "alice may not", [])


@pytest.mark.parametrize(
    ("barred", "made"),
    [
        pytest.param(None, ["delete x"], id="with the right it is deleted"),
        pytest.param(Barred("NotAllowed", "alice may not"), [], id="without it stays, whatever status says was found"),
    ],
)
def test_the_right_to_delete_is_asked_for_again_before_the_deletion(barred: Barred | None, made: list[str]) -> None:
    api, pool = Api(), WritePool(1)
    executor = Executor(
        cast(Any, api), pool, lambda _key: True, Metrics(), Room(lambda _key: None), objects=calls(api, barred)
    )
    deletion = DeleteJob(task("a"), MAPS, "team", "x", "u", "action Delete", foreign=ForeignAction(Action.DELETE))
    errors = executor.delete("team/w", [deletion])
    pool.stop()
    assert api.calls == made
    assert [type(error) for error in errors] == ([] if barred is None else [Forbidden])
