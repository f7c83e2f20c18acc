"""What the annotations that say who is behind an object have to be, after each request."""

from __future__ import annotations

import json
from typing import Any

import jsonpatch
import pytest

from pkg.apis.flow.v1alpha1 import people
from pkg.apis.flow.v1alpha1.people import ANNOTATIONS, CREATED_BY, EDITED_BY, MADE_FOR
from pkg.webhooks.admit.stamp import Owner, Stamp, mismatch, owner_of, stamp, steps
from pkg.webhooks.review import Operation, Person, Request

CONTROLLER = "system:serviceaccount:workflow-system:workflow-controller"
ALICE, BOB = (f'{{"user":"{name}"}}' for name in ("alice", "bob"))
OF_BOB = {CREATED_BY: BOB, EDITED_BY: BOB}
ONE, OTHER = {"flows": [{"name": "a"}]}, {"flows": [{"name": "a", "patch": {"spec": {"x": 1}}}]}
JOBS, WKT = {"group": "batch", "version": "v1", "resource": "jobs"}, "WorkTemplate"
OWNER = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "name": "w", "uid": "u", "controller": True}


def body(notes: dict[str, str] | None = None, spec: dict[str, Any] = ONE, **metadata: Any) -> bytes:
    meta = {"name": "w", **({"annotations": notes} if notes is not None else {}), **metadata}
    return json.dumps({"metadata": meta, "spec": spec}).encode()


def created(user: str, notes: dict[str, str] | None = None, **metadata: Any) -> Request:
    return Request("1", Operation.CREATE, "Workflow", "team", "w", Person(user), body(notes, **metadata))


def updated(
    user: str,
    old: dict[str, str] | None,
    new: dict[str, str] | None,
    spec: dict[str, Any] = ONE,
    before: dict[str, Any] = ONE,
    kind: str = "Workflow",
) -> Request:
    old_object, new_object = body(old, before), body(new, spec)
    return Request("1", Operation.UPDATE, kind, "team", "w", Person(user), new_object, old_object)


def patched(value: Any) -> dict[str, Any]:
    return {"flows": [{"name": "a", "patch": {"spec": {"x": value}}}]}


def expected(created_by: str | None, edited_by: str | None, made_for: str | None = None) -> dict[str, str | None]:
    return {CREATED_BY: created_by, EDITED_BY: edited_by, MADE_FOR: made_for}


RECORDED: dict[str, tuple[Request, dict[str, str | None]]] = {
    "who creates it is creator and editor": (created("alice"), expected(ALICE, ALICE)),
    "what the creator sends is replaced": (
        created("alice", {**OF_BOB, MADE_FOR: f"[{BOB}]", "note": "x"}),
        expected(ALICE, ALICE),
    ),
    "an owner that somebody else names changes nothing": (
        created("alice", OF_BOB, ownerReferences=[OWNER]),
        expected(ALICE, ALICE),
    ),
    "who changes the spec is the editor": (updated("alice", OF_BOB, OF_BOB, OTHER), expected(BOB, ALICE)),
    "who changes the metadata alone is not": (updated("alice", OF_BOB, {**OF_BOB, "note": "x"}), expected(BOB, BOB)),
    "annotations that are taken off come back": (updated("alice", OF_BOB, None), expected(BOB, BOB)),
    "annotations that are changed are put back": (
        updated("alice", OF_BOB, {CREATED_BY: ALICE, EDITED_BY: ALICE}),
        expected(BOB, BOB),
    ),
    "an edit with forged annotations names its author": (
        updated("alice", OF_BOB, {CREATED_BY: BOB, EDITED_BY: BOB}, OTHER),
        expected(BOB, ALICE),
    ),
    "people behind what made it cannot be added": (
        updated("alice", OF_BOB, {**OF_BOB, MADE_FOR: f"[{ALICE}]"}, OTHER),
        expected(BOB, ALICE),
    ),
    "people behind what made it cannot be taken off": (
        updated("alice", {**OF_BOB, MADE_FOR: f"[{BOB}]"}, OF_BOB, OTHER),
        expected(BOB, ALICE, f"[{BOB}]"),
    ),
    "a default that is written out is no edit": (
        updated("alice", OF_BOB, OF_BOB, {"flows": [{"name": "a", "continueOnFail": False, "retry": {}}]}),
        expected(BOB, BOB),
    ),
    "a free field of the spec is an edit": (
        updated("alice", OF_BOB, OF_BOB, {**ONE, "suspend": True}),
        expected(BOB, ALICE),
    ),
    "a restart is an edit": (updated("alice", OF_BOB, OF_BOB, {**ONE, "restart": {"at": "1"}}), expected(BOB, ALICE)),
    "true in place of 1 is an edit of a template": (
        updated(
            "alice", OF_BOB, OF_BOB, {"gvr": JOBS, "jobSpec": {"x": True}}, {"gvr": JOBS, "jobSpec": {"x": 1}}, WKT
        ),
        expected(BOB, ALICE),
    ),
    "0 in place of false is an edit of a patch": (
        updated("alice", OF_BOB, OF_BOB, patched(0), patched(False)),
        expected(BOB, ALICE),
    ),
    "1.0 in place of 1 is none": (updated("alice", OF_BOB, OF_BOB, patched(1.0), patched(1)), expected(BOB, BOB)),
    "a label on an object of nobody names nobody": (updated("alice", None, {"note": "x"}), expected(None, None)),
    "an edit of an object of nobody names its author": (updated("alice", None, None, OTHER), expected(ALICE, ALICE)),
    "who writes one of the annotations on an object of nobody takes it over": (
        updated("alice", None, {EDITED_BY: "me"}),
        expected(ALICE, ALICE),
    ),
    "an annotation that cannot be read counts as nobody": (
        updated("alice", {CREATED_BY: "bob", EDITED_BY: "bob"}, {CREATED_BY: "bob", EDITED_BY: "me"}),
        expected(ALICE, ALICE),
    ),
    "the creator of an object without editor stays": (
        updated("alice", {CREATED_BY: BOB}, {CREATED_BY: BOB, EDITED_BY: "me"}),
        expected(BOB, ALICE),
    ),
    "the controller changes nothing, whatever it sends": (
        updated(CONTROLLER, OF_BOB, {EDITED_BY: ALICE}, OTHER),
        expected(BOB, BOB),
    ),
    "the controller takes nothing over": (updated(CONTROLLER, None, {EDITED_BY: "me"}, OTHER), expected(None, None)),
    "who edits a template is its editor": (
        updated("alice", OF_BOB, OF_BOB, {"gvr": {"version": "v1", "resource": "pods"}}, {"gvr": {}}, "WorkTemplate"),
        expected(BOB, ALICE),
    ),
}


def applied(request: Request, wanted: Stamp) -> dict[str, str]:
    """The annotations after the patch."""
    patched = jsonpatch.apply_patch(json.loads(request.object or b""), list(steps(request, wanted)))
    return dict(patched["metadata"].get("annotations") or {})


@pytest.mark.parametrize(("request_", "annotations"), RECORDED.values(), ids=RECORDED)
def test_recorded(request_: Request, annotations: dict[str, str | None]) -> None:
    wanted = stamp(request_, CONTROLLER)
    assert wanted.fault == ""
    assert wanted.values == annotations
    after = applied(request_, wanted)
    assert {name: after.get(name) for name in ANNOTATIONS} == annotations
    others = json.loads(request_.object or b"")["metadata"].get("annotations") or {}
    assert {name: after.get(name) for name in others if name not in ANNOTATIONS} == {
        name: text for name, text in others.items() if name not in ANNOTATIONS
    }


@pytest.mark.parametrize(("request_", "annotations"), RECORDED.values(), ids=RECORDED)
def test_the_validating_webhook_expects_what_the_mutating_one_writes(
    request_: Request, annotations: dict[str, str | None]
) -> None:
    """The API server sends the object after all patches."""
    wanted = stamp(request_, CONTROLLER)
    sent = json.loads(request_.object or b"")
    sent["metadata"]["annotations"] = applied(request_, wanted)
    final = Request(
        "2",
        request_.operation,
        request_.kind,
        "team",
        "w",
        request_.person,
        json.dumps(sent).encode(),
        request_.old_object,
    )
    assert mismatch(final, wanted) == ""
    assert steps(final, wanted) == ()
    forged = {**sent, "metadata": {**sent["metadata"], "annotations": {CREATED_BY: '{"user":"root"}'}}}
    changed = Request(
        "3", final.operation, final.kind, "team", "w", final.person, json.dumps(forged).encode(), final.old_object
    )
    assert mismatch(changed, wanted).startswith(f"metadata.annotations: {CREATED_BY} is not what the webhook")


def test_an_edit_is_an_edit_to_the_validating_webhook_too() -> None:
    request = updated("alice", OF_BOB, {CREATED_BY: BOB, EDITED_BY: ALICE}, OTHER)
    assert stamp(request, CONTROLLER).is_edit


MADE = f"[{BOB},{ALICE}]"
CHILDREN: dict[str, tuple[Request, Owner | None, dict[str, str | None], str]] = {
    "it has the people of its owner": (
        created(CONTROLLER, {**OF_BOB, MADE_FOR: MADE}, ownerReferences=[OWNER]),
        Owner(OF_BOB),
        expected(BOB, BOB, MADE),
        "",
    ),
    "of its owner as it is now": (
        created(CONTROLLER, {**OF_BOB, MADE_FOR: MADE}, ownerReferences=[OWNER]),
        Owner({CREATED_BY: BOB, EDITED_BY: ALICE}),
        expected(BOB, ALICE, MADE),
        "",
    ),
    "whoever the request names": (
        created(CONTROLLER, {CREATED_BY: ALICE, EDITED_BY: ALICE, MADE_FOR: MADE}, ownerReferences=[OWNER]),
        Owner(OF_BOB),
        expected(BOB, BOB, MADE),
        "",
    ),
    "an owner of nobody makes an object of nobody": (
        created(CONTROLLER, {**OF_BOB, MADE_FOR: MADE}, ownerReferences=[OWNER]),
        Owner({}),
        expected(None, None),
        "",
    ),
    "people are missing behind it": (
        created(CONTROLLER, {**OF_BOB, MADE_FOR: f"[{ALICE}]"}, ownerReferences=[OWNER]),
        Owner(OF_BOB),
        expected(BOB, BOB),
        f"annotation {MADE_FOR} lacks bob, who is behind what owns it",
    ),
    "the owner is another Workflow of that name": (
        created(CONTROLLER, OF_BOB, ownerReferences=[OWNER]),
        Owner(fault="it was deleted"),
        expected(None, None),
        "the controller may not create this: it was deleted",
    ),
    "nothing owns it": (
        created(CONTROLLER, OF_BOB),
        None,
        expected(None, None),
        "the controller may not create this: no Workflow or CronWorkflow owns it, so nobody would be responsible for"
        " it",
    ),
}


@pytest.mark.parametrize(("request_", "owner", "annotations", "fault"), CHILDREN.values(), ids=CHILDREN)
def test_what_the_controller_makes(
    request_: Request, owner: Owner | None, annotations: dict[str, str | None], fault: str
) -> None:
    wanted = stamp(request_, CONTROLLER, owner)
    assert wanted.values == annotations
    assert wanted.fault == fault


@pytest.mark.parametrize(
    ("request_", "is_asked"),
    [
        pytest.param(created(CONTROLLER, ownerReferences=[OWNER]), True, id="the controller makes it"),
        pytest.param(created("alice", ownerReferences=[OWNER]), False, id="somebody else makes it"),
        pytest.param(
            created(CONTROLLER, ownerReferences=[{**OWNER, "controller": False}]), False, id="no controller owner"
        ),
        pytest.param(created(CONTROLLER, ownerReferences=[{**OWNER, "kind": "Job"}]), False, id="a Job owns it"),
        pytest.param(
            created(CONTROLLER, ownerReferences=[{**OWNER, "apiVersion": "argoproj.io/v1alpha1"}]),
            False,
            id="a Workflow of another group owns it",
        ),
        pytest.param(updated(CONTROLLER, None, None), False, id="an update"),
    ],
)
def test_the_owner_is_looked_up_for_what_the_controller_makes_for_a_workflow(request_: Request, is_asked: bool) -> None:
    assert (owner_of(request_, CONTROLLER) is not None) is is_asked


def in_many_groups(request: Request) -> Request:
    person = Person("alice", tuple(f"a-group-with-a-long-name-{number}" for number in range(900)))
    return Request("1", request.operation, "Workflow", "team", "w", person, request.object, request.old_object)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(created("alice", OF_BOB), id="a creation"),
        pytest.param(updated("alice", OF_BOB, OF_BOB, OTHER), id="an edit"),
    ],
)
def test_a_person_in_too_many_groups_is_refused(request_: Request) -> None:
    wanted = stamp(in_many_groups(request_), CONTROLLER)
    assert mismatch(request_, wanted).startswith("alice cannot be recorded: user, 900 groups and extra have")


def test_a_person_in_too_many_groups_may_add_a_label() -> None:
    request = in_many_groups(updated("alice", OF_BOB, {**OF_BOB, "note": "x"}))
    assert mismatch(request, stamp(request, CONTROLLER)) == ""


@pytest.mark.parametrize("text", [b"{", b'{"metadata": {"annotations": {"a": 1}}}', b'{"metadata": []}', b"\xff"])
def test_an_object_that_cannot_be_read_is_refused_and_not_stamped(text: bytes) -> None:
    request = Request("1", Operation.CREATE, "Workflow", "team", "w", Person("alice"), text)
    wanted = stamp(request, CONTROLLER)
    assert steps(request, wanted) == ()
    assert mismatch(request, wanted)


def test_groups_and_extra_are_recorded() -> None:
    person = Person("alice", ("dev", "ops"), "7", {"scopes": ("a",)})
    request = Request("1", Operation.CREATE, "Workflow", "team", "w", person, body())
    found = people.read(stamp(request, CONTROLLER).values[CREATED_BY] or "")
    assert (found.user, found.groups, found.uid, found.extra) == ("alice", ("dev", "ops"), "7", (("scopes", ("a",)),))
