"""Leases as places of locks: written, read, taken and given back."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.locks import LOCK_LABEL, LockKind, LockName, lease_name
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.locks.leases import Lease, LeaseCalls, explained, read, written
from pkg.controllers.workflow.planner.locks.calls import (
    Failed,
    GiveBack,
    GivenBack,
    Held,
    LeaseCall,
    Place,
    Rewritten,
    Take,
    TakeAgain,
    Taken,
    TakenByOther,
)
from pkg.controllers.workflow.planner.locks.holders import Holder
from pkg.kube.errors import Denied, Forbidden, KubeError, NamespaceTerminating, NotServed, Throttled, Transient
from tests.unit.controllers.workflow.locks.lease_server import LeaseServer

DB = Place(LockName(LockKind.MUTEX, "db"))
GPU = Place(LockName(LockKind.SEMAPHORE, "limits/gpu"), 2)
NAME = lease_name(DB.lock, 0)
ME = Holder("team/w", "uid-w", "train", 3, True)
OTHER = Holder("team/other", "uid-other")
NOW = "2026-01-31T10:00:00.123456Z"


def decoded(document: dict[str, Any]) -> Lease:
    meta = {"uid": "u", "resourceVersion": "7", **document["metadata"]}
    return msgspec.convert({**document, "metadata": meta}, Lease)


@pytest.mark.parametrize("place", [DB, GPU], ids=["a mutex", "a place of a semaphore"])
@pytest.mark.parametrize(
    "holder", [ME, OTHER, Holder("team/w", "u", "train")], ids=["an index", "a workflow", "a task without index"]
)
def test_what_is_written_is_read(place: Place, holder: Holder) -> None:
    found = read(decoded(written("team", Take(place, holder, ("jobs.v1.batch", "pods.v1")), NOW)))
    assert found == Held(place, holder, "u", 7, "2026-01-31T10:00:00Z", ("jobs.v1.batch", "pods.v1"))
    assert found.holder.is_indexed == holder.is_indexed


def test_what_people_see_of_a_lease() -> None:
    lease = written("team", Take(DB, ME), NOW)
    assert lease["metadata"]["labels"] == {LOCK_LABEL: "mutex"}
    assert lease["spec"] == {"holderIdentity": "w/train[3]", "acquireTime": NOW, "renewTime": NOW}


def changed(**metadata: Any) -> Lease:
    lease = written("team", Take(DB, ME), NOW)
    return decoded({**lease, "metadata": {**lease["metadata"], **metadata}})


@pytest.mark.parametrize(
    "lease",
    [
        pytest.param(changed(labels={}), id="without the label"),
        pytest.param(changed(labels={LOCK_LABEL: "other"}), id="with another value of the label"),
        pytest.param(changed(name="workflow-lock-0123456789abcdef"), id="with a name that is not that of the lock"),
        pytest.param(changed(annotations={}), id="without the annotations"),
        pytest.param(
            changed(annotations={"flow.workflow.sh/lock-name": "db", "flow.workflow.sh/lock-place": "-1"}),
            id="with a place that is no number",
        ),
    ],
)
def test_a_lease_that_is_none_of_ours(lease: Lease) -> None:
    assert read(lease) is None


def calls(server: LeaseServer) -> LeaseCalls:
    return LeaseCalls(cast(Any, server))


def held_by(server: LeaseServer, holder: Holder, place: Place = DB) -> Held:
    document = server.put(NAME, written("team", Take(place, holder), NOW))
    found = read(LeaseServer._typed(document, Lease))
    assert found is not None
    return found


def test_taking_a_place_is_one_call() -> None:
    server = LeaseServer()
    answer = calls(server).make("team", Take(DB, ME), NOW)
    assert isinstance(answer, Taken)
    assert (answer.held.holder, answer.held.place) == (ME, DB)
    assert server.calls == [f"create {NAME}"]


def test_a_place_that_another_has() -> None:
    server = LeaseServer()
    held = held_by(server, OTHER)
    assert calls(server).make("team", Take(DB, ME), NOW) == TakenByOther(held)
    assert server.calls == [f"create {NAME}", f"get {NAME}"]


def test_a_creation_whose_answer_was_lost_is_found_and_written_again() -> None:
    server = LeaseServer()
    before = held_by(server, ME)
    answer = calls(server).make("team", Take(DB, ME), NOW)
    assert isinstance(answer, Taken)
    assert answer.held.version > before.version
    assert [call.split()[0] for call in server.calls] == ["create", "get", "patch"]


def test_a_stranger_is_left_alone() -> None:
    server = LeaseServer()
    stranger = server.put(NAME, {"spec": {"holderIdentity": "somebody"}})
    assert calls(server).make("team", Take(DB, ME), NOW) == TakenByOther(is_stranger=True)
    held = Held(DB, ME, stranger["metadata"]["uid"], int(stranger["metadata"]["resourceVersion"]))
    assert calls(server).make("team", GiveBack(DB, ME), NOW) == GivenBack()
    server.objects["leases", NAME]["metadata"]["resourceVersion"] = "1"
    assert calls(server).make("team", TakeAgain(held), NOW) == TakenByOther(is_stranger=True)
    assert calls(server).make("team", GiveBack(DB, ME, held), NOW) == GivenBack()
    assert ("leases", NAME) in server.objects


def test_taking_again_refuses_a_deletion_that_was_sent_before() -> None:
    server = LeaseServer()
    held = held_by(server, ME)
    assert isinstance(calls(server).make("team", TakeAgain(held), NOW), Taken)
    with pytest.raises(KubeError):
        server.delete(None, "team", NAME, uid=held.uid, resource_version=str(held.version))


def test_taking_again_what_somebody_has_written_since() -> None:
    server = LeaseServer()
    held = held_by(server, ME)
    server.put(NAME, server.objects["leases", NAME])
    assert isinstance(calls(server).make("team", TakeAgain(held), NOW), Taken)
    assert len(server.calls) == 3


def test_taking_again_what_is_gone() -> None:
    server = LeaseServer()
    held = held_by(server, ME)
    server.objects.clear()
    assert calls(server).make("team", TakeAgain(held), NOW) == TakenByOther()


def test_giving_back_is_one_call_and_takes_only_what_was_seen() -> None:
    server = LeaseServer()
    held = held_by(server, ME)
    assert calls(server).make("team", GiveBack(DB, ME, held), NOW) == GivenBack()
    assert server.calls == [f"delete {NAME}"]
    other = held_by(server, OTHER)
    assert calls(server).make("team", GiveBack(DB, ME, held), NOW) == GivenBack()
    assert server.objects["leases", NAME]["metadata"]["uid"] == other.uid


def test_giving_back_what_was_written_since() -> None:
    server = LeaseServer()
    held = held_by(server, ME)
    server.put(NAME, server.objects["leases", NAME])
    answer = calls(server).make("team", GiveBack(DB, ME, held), NOW)
    assert isinstance(answer, Rewritten)
    assert server.objects
    assert calls(server).make("team", GiveBack(DB, ME, answer.held), NOW) == GivenBack()
    assert server.objects == {}


def test_giving_back_a_creation_without_an_answer() -> None:
    server = LeaseServer()
    assert calls(server).make("team", GiveBack(DB, ME), NOW) == GivenBack()
    held = held_by(server, ME)
    assert calls(server).make("team", GiveBack(DB, ME), NOW) == Rewritten(held)
    assert server.objects


@pytest.mark.parametrize("verb", ["patch", "delete", "get"])
def test_that_leases_are_not_served_proves_nothing(verb: str) -> None:
    """A proxy in front of the API server may say so. The place is neither lost nor free."""
    server = LeaseServer()
    held = held_by(server, ME)
    server.errors[verb] = [NotServed("the server could not find the requested resource", status=404)]
    asked: dict[str, LeaseCall] = {
        "patch": TakeAgain(held),
        "delete": GiveBack(DB, ME, held),
        "get": GiveBack(DB, ME),
    }
    assert isinstance(calls(server).make("team", asked[verb], NOW), Failed)
    assert NAME in {name for _, name in server.objects}


QUOTA = Forbidden('leases "x" is forbidden: exceeded quota: none', status=403, reason="Forbidden")
FORBIDDEN = Forbidden('leases is forbidden: User "x" cannot create', status=403, reason="Forbidden")


@pytest.mark.parametrize(
    ("error", "may_have_worked", "reason"),
    [
        pytest.param(Transient("no answer"), True, Reasons.CREATE_FAILED, id="no answer"),
        pytest.param(Throttled("slow down", status=429), False, Reasons.CREATE_FAILED, id="too many"),
        pytest.param(FORBIDDEN, False, Reasons.FORBIDDEN, id="a missing right"),
        pytest.param(QUOTA, False, Reasons.QUOTA_EXCEEDED, id="a quota"),
        pytest.param(Denied("policy says no", status=403), False, Reasons.ADMISSION_DENIED, id="a policy"),
        pytest.param(
            NamespaceTerminating("going", status=403), False, Reasons.NAMESPACE_TERMINATING, id="a namespace that goes"
        ),
    ],
)
def test_a_failure_says_whether_it_may_have_worked_and_what_to_do(
    error: KubeError, may_have_worked: bool, reason: str
) -> None:
    server = LeaseServer()
    server.errors["create"] = [error]
    answer = calls(server).make("team", Take(DB, ME), NOW)
    assert answer == Failed(explained(error), may_have_worked)
    assert explained(error).reason == reason
