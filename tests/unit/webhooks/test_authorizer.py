"""What the webhook says of people: the record, and early words about rights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from pkg.apis.flow.v1alpha1.people import CREATED_BY, EDITED_BY, MADE_FOR, Question
from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.controllers.engine.access_cache import Authorize
from pkg.webhooks.admit.stamp import Owner
from pkg.webhooks.authorizer import Authorizer
from pkg.webhooks.review import Answer, Operation, Person, Request
from tests.manifests import decoded

CONTROLLER = "system:serviceaccount:workflow-system:workflow-controller"
ALICE, BOB = (f'{{"user":"{name}"}}' for name in ("alice", "bob"))
JOBS = {"group": "batch", "version": "v1", "resource": "jobs"}
PODS = {"version": "v1", "resource": "pods"}
FLOWS = {"flows": [{"name": "a", "template": "step"}, {"name": "b", "template": "unknown"}]}
MAY_NOT = "{0} may not create {1} in namespace team (kubectl auth can-i create {1} -n team --as {0}); {0} {2}"


class Reviews:
    """denied, silent: names of people; everybody else is allowed."""

    def __init__(self, denied: str = "", silent: str = "") -> None:
        self.denied, self.silent = denied.split(), silent.split()
        self.asked: list[Question] = []

    def answers(self, questions: Iterable[Question], seconds: float) -> Mapping[Question, bool | None]:
        assert 0 < seconds <= 2
        self.asked = list(questions)
        names = {question: question.person.user for question in self.asked}
        return {at: None if name in self.silent else name not in self.denied for at, name in names.items()}


def template(edited: str = BOB, gvr: Mapping[str, str] = JOBS) -> WorkTemplate:
    meta = {"name": "step", "annotations": {CREATED_BY: edited, EDITED_BY: edited} if edited else {}}
    return decoded({"metadata": meta, "spec": {"gvr": gvr}}, WorkTemplate)


def authorizer(
    reviews: Reviews, mode: Authorize = Authorize.ENFORCE, known: WorkTemplate | None = None, owner: Owner | None = None
) -> Authorizer:
    return Authorizer(
        mode,
        cast(Any, reviews),
        controller=CONTROLLER,
        owners=lambda _namespace, _reference: owner or Owner(fault="it is not there"),
        find=lambda _namespace, name: known if name == "step" else None,
    )


def request(user: str, spec: dict[str, Any], before: dict[str, Any] | None = None, kind: str = "Workflow") -> Request:
    """A creation, or an update of bob's object with that spec."""

    def body(notes: dict[str, str], spec: dict[str, Any]) -> bytes:
        return json.dumps({"metadata": {"name": "w", "annotations": notes}, "spec": spec}).encode()

    person = f'{{"user":"{user}"}}'
    if before is None:
        notes = {CREATED_BY: person, EDITED_BY: person}
        return Request("1", Operation.CREATE, kind, "team", "w", Person(user), body(notes, spec))
    old = {CREATED_BY: BOB, EDITED_BY: BOB}
    new = {**old, EDITED_BY: person} if spec != before else old
    return Request("1", Operation.UPDATE, kind, "team", "w", Person(user), body(new, spec), body(old, before))


def refused(*sentences: str) -> Answer:
    text = "; ".join(sentences)
    return Answer(False, f"{text}. To go on, ask for the right, or let somebody who has it apply this", 403)


CREATED = MAY_NOT.format("alice", "jobs.batch", "created Workflow w")
EDITED = MAY_NOT.format("alice", "jobs.batch", "edited Workflow w last")
OF_BOB = MAY_NOT.format("bob", "jobs.batch", "created Workflow w")
EDITED_TEMPLATE = MAY_NOT.format("alice", "pods", "edited WorkTemplate w last")

CASES: dict[str, tuple[Request, Reviews, Answer]] = {
    "all have the right": (request("alice", FLOWS), Reviews(), Answer(True)),
    "the creator has not": (request("alice", FLOWS), Reviews("alice"), refused(CREATED)),
    "the editor has not": (
        request("alice", {**FLOWS, "restart": {"at": "1"}}, FLOWS),
        Reviews("alice"),
        refused(EDITED),
    ),
    "the creator has lost it, and somebody else edits": (
        request("alice", {"flows": FLOWS["flows"][:1]}, FLOWS),
        Reviews("bob"),
        refused(OF_BOB),
    ),
    "the editor of the template has not": (
        request("alice", FLOWS),
        Reviews("bob"),
        Answer(
            True,
            warnings=(f"{MAY_NOT.format('bob', 'jobs.batch', 'edited WorkTemplate step last')}: its jobs will wait",),
        ),
    ),
    "who has not may suspend": (
        request("alice", {**FLOWS, "suspend": True}, FLOWS),
        Reviews("alice"),
        Answer(True, warnings=(f"{EDITED}: its jobs will wait",)),
    ),
    "who has not may add a label": (request("alice", FLOWS, FLOWS), Reviews("alice bob"), Answer(True)),
    "the API server is silent": (
        request("alice", FLOWS),
        Reviews(silent="alice"),
        Answer(
            True,
            warnings=(
                "whether alice may create jobs.batch in namespace team could not be asked in time; the controller asks"
                " before it creates a job",
            ),
        ),
    ),
    "the author of a template has not": (
        request("alice", {"gvr": PODS}, kind="WorkTemplate"),
        Reviews("alice"),
        refused(EDITED_TEMPLATE),
    ),
    "the editor of a template has not": (
        request("alice", {"gvr": PODS}, {"gvr": JOBS}, kind="WorkTemplate"),
        Reviews("alice"),
        refused(EDITED_TEMPLATE),
    ),
    "the creator of a template that somebody else edits does not matter": (
        request("alice", {"gvr": PODS}, {"gvr": JOBS}, kind="WorkTemplate"),
        Reviews("bob"),
        Answer(True),
    ),
}


@pytest.mark.parametrize(("request_", "reviews", "expected"), CASES.values(), ids=CASES)
def test_judge(request_: Request, reviews: Reviews, expected: Answer) -> None:
    assert authorizer(reviews, known=template()).judge(request_) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Authorize.ENFORCE, refused(CREATED)),
        (Authorize.WARN, Answer(True, warnings=(f"{CREATED}: its jobs will wait",))),
        (Authorize.OFF, Answer(True)),
    ],
)
def test_modes(mode: Authorize, expected: Answer) -> None:
    assert authorizer(Reviews("alice"), mode, template()).judge(request("alice", FLOWS)) == expected


@pytest.mark.parametrize("mode", list(Authorize))
@pytest.mark.parametrize(
    "notes", [{}, {CREATED_BY: BOB, EDITED_BY: BOB}, {CREATED_BY: "x"}], ids=["none", "forged", "odd"]
)
def test_what_the_mutating_webhook_did_not_write_is_refused_in_every_mode(
    mode: Authorize, notes: dict[str, str]
) -> None:
    sent = json.loads(request("alice", FLOWS).object or b"")
    sent["metadata"]["annotations"] = notes
    forged = replace(request("alice", FLOWS), object=json.dumps(sent).encode())
    judged = authorizer(Reviews(), mode).judge(forged)
    assert (judged.allowed, judged.code) == (False, 403)
    assert "is not what the webhook mutate.flow.workflow.sh writes" in judged.message


def test_a_template_of_nobody_is_no_fault_here() -> None:
    reviews = Reviews("bob")
    assert authorizer(reviews, known=template("")).judge(request("alice", FLOWS)) == Answer(True)
    assert [question.person.user for question in reviews.asked] == ["alice"]


def test_a_template_that_is_not_known_asks_nothing() -> None:
    reviews = Reviews("alice")
    assert authorizer(reviews).judge(request("alice", FLOWS)) == Answer(True)
    assert reviews.asked == []


CHILD = {
    "metadata": {
        "name": "w-a",
        "annotations": {CREATED_BY: BOB, EDITED_BY: BOB, MADE_FOR: f"[{BOB}]"},
        "ownerReferences": [
            {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "name": "w", "uid": "u", "controller": True}
        ],
    },
    "spec": FLOWS,
}


@pytest.mark.parametrize(
    ("owner", "allowed"),
    [
        pytest.param(Owner({CREATED_BY: BOB, EDITED_BY: BOB}), True, id="a Workflow that is there owns it"),
        pytest.param(Owner(fault="it is not there"), False, id="its owner is not there"),
        pytest.param(Owner({CREATED_BY: ALICE, EDITED_BY: BOB}), False, id="its owner has other people"),
    ],
)
def test_what_the_controller_makes_is_checked_against_its_owner(owner: Owner, allowed: bool) -> None:
    made = Request("1", Operation.CREATE, "Workflow", "team", "w-a", Person(CONTROLLER), json.dumps(CHILD).encode())
    reviews = Reviews("bob")
    judged = authorizer(reviews, known=template(), owner=owner).judge(made)
    assert judged.allowed is allowed
    assert reviews.asked == [], "the controller asks itself"


def test_the_stamp_is_a_patch() -> None:
    sent = replace(request("alice", FLOWS), object=json.dumps({"metadata": {"name": "w"}, "spec": FLOWS}).encode())
    assert authorizer(Reviews()).stamp(sent) == (
        {"op": "add", "path": "/metadata/annotations", "value": {CREATED_BY: ALICE, EDITED_BY: ALICE}},
    )


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"metadata": 1}', b'{"spec": {"flows": 7}}'])
def test_what_cannot_be_read_makes_nothing_raise(text: bytes) -> None:
    odd = replace(request("alice", FLOWS, FLOWS), object=text, old_object=text)
    people = authorizer(Reviews("alice"), known=template())
    people.stamp(odd)
    people.judge(odd)


def acting(action: str, name: str, **flow: Any) -> dict[str, Any]:
    maps = {"version": "v1", "resource": "configmaps"}
    template = {"gvr": maps, "action": action, "metadata": {"name": name}}
    return {"flows": [{"name": "a", "templateSpec": template, **flow}]}


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        pytest.param(
            acting("Apply", "settings"),
            [("create", "settings"), ("patch", "settings"), ("get", "settings")],
            id="Apply asks for create, patch and get of the one object",
        ),
        pytest.param(acting("Delete", "settings"), [("delete", "settings")], id="Delete asks for delete"),
        pytest.param(acting("Delete", "{{workflow.name}}-x"), [("delete", "w-x")], id="by the name that is put in"),
        pytest.param(
            acting("Delete", "x-{{index}}", **{"for": {"replicas": 3}}), [("delete", "x-0")], id="with for by the first"
        ),
        pytest.param(acting("Delete", "x-{{workflow.uid}}"), [], id="nothing while the name is not known"),
        pytest.param(
            {"flows": [{"name": "a", "templateSpec": {"gvr": JOBS}}]},
            [("create", "")],
            id="a job of a template in the flow asks for the kind",
        ),
    ],
)
def test_what_a_template_in_a_flow_needs(spec: dict[str, Any], asked: list[tuple[str, str]]) -> None:
    reviews = Reviews()
    assert authorizer(reviews).judge(request("alice", spec)) == Answer(True)
    assert [(question.verb, question.name) for question in reviews.asked] == asked


def test_who_may_not_delete_the_object_is_refused_with_its_name() -> None:
    answer = authorizer(Reviews("alice")).judge(request("alice", acting("Delete", "settings")))
    assert not answer.allowed
    assert answer.message.startswith("alice may not delete configmaps/settings in namespace team")
