"""The webhook writes who approved and when, and refuses who may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonpatch
import msgspec
import pytest

from pkg.webhooks.admit.stamp import is_same_spec
from pkg.webhooks.handlers import Handlers, Nobody
from pkg.webhooks.review import Answer, Person, Request
from tests.unit.webhooks.objects import Known, request, template, workflow

NOW = 1_767_225_600.25
AT = "2026-01-01T00:00:00Z"
HANDLERS = Handlers(Known(template()), Nobody(), clock=lambda: NOW)
FLOWS = (
    {"name": "a", "template": "step"},
    {"name": "ask", "approval": {"approvers": [{"user": "alice"}, {"group": "ops"}]}},
    {"name": "any", "approval": {}},
)
ALICE, OPS, MALLORY = Person("alice"), Person("bob", ("dev", "ops")), Person("mallory", ("dev",))
RUNNING = {"phase": "Running", "flows": [{"name": "ask", "phase": "Waiting"}, {"name": "any", "phase": "Succeeded"}]}
ENDED = {"phase": "Failed", "flows": [{"name": "ask", "phase": "Failed"}]}


def entry(flow: str = "ask", **fields: Any) -> dict[str, Any]:
    return {"flow": flow, "decision": "Approve", **fields}


def asked(person: Person, old: list[Any], new: list[Any], status: Any = RUNNING) -> Request:
    before, after = (workflow(*FLOWS, status=status, approvals=entries) for entries in (old, new))
    return _by(request(after, before), person)


def _by(one: Request, person: Person) -> Request:
    return replace(one, person=person)


def stored(asking: Request) -> list[dict[str, Any]]:
    """spec.approvals after the webhook has changed the object."""
    tree = msgspec.json.decode(asking.object or b"")
    patched = jsonpatch.apply_patch(tree, [dict(step) for step in HANDLERS.mutate(asking).patch])
    found: list[dict[str, Any]] = patched["spec"]["approvals"]
    return found


def admitted(person: Person, old: list[Any], new: list[Any], status: Any = RUNNING) -> Answer:
    """The verdict on what the webhook has changed first."""
    return HANDLERS.validate(asked(person, old, stored(asked(person, old, new)), status))


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="nothing is given"),
        pytest.param({"by": "the boss", "at": "2020-01-01T00:00:00Z"}, id="somebody else and another time"),
        pytest.param({"by": "", "at": ""}, id="both are empty"),
    ],
)
def test_by_and_at_are_those_of_the_request(given: dict[str, str]) -> None:
    before = [entry("any", by="carol", at="2025-12-31T00:00:00Z")]
    assert stored(asked(ALICE, before, [*before, entry(**given)])) == [*before, entry(by="alice", at=AT)]
    assert admitted(ALICE, before, [*before, entry(**given)]) == Answer(allowed=True)


@pytest.mark.parametrize(
    "again",
    [
        pytest.param({}, id="a manifest that leaves them out"),
        pytest.param({"by": "mallory", "at": AT}, id="somebody who claims it"),
    ],
)
def test_by_and_at_of_an_earlier_entry_stay(again: dict[str, str]) -> None:
    before = [entry(by="alice", at="2025-12-31T00:00:00Z")]
    assert stored(asked(MALLORY, before, [entry(**again)])) == before
    assert admitted(MALLORY, before, [entry(**again)]).allowed


def test_by_and_at_stay_away_that_were_away() -> None:
    """The entry is older than the webhook."""
    assert stored(asked(MALLORY, [entry()], [entry(by="mallory", at=AT)])) == [entry()]


@pytest.mark.parametrize(
    ("person", "flow", "allowed"),
    [
        pytest.param(ALICE, "ask", True, id="an approver"),
        pytest.param(OPS, "ask", True, id="somebody in an approving group"),
        pytest.param(MALLORY, "ask", False, id="somebody else"),
        pytest.param(MALLORY, "any", True, id="anybody where nobody is named"),
    ],
)
def test_who_may_decide(person: Person, flow: str, *, allowed: bool) -> None:
    answer = admitted(person, [], [entry(flow)])
    assert answer.allowed is allowed
    if not allowed:
        assert (answer.code, answer.message) == (
            403,
            "spec.approvals[0]: mallory is not among the approvers of flow ask: alice or the group ops may approve or"
            " reject it",
        )


def test_who_makes_oneself_an_approver_in_the_same_request_is_refused() -> None:
    old = workflow(*FLOWS, status={})
    mine = {"name": "ask", "approval": {"approvers": [{"user": "mallory"}]}}
    new = workflow(FLOWS[0], mine, FLOWS[2], status={}, approvals=[entry(by="mallory", at=AT)])
    assert not HANDLERS.validate(_by(request(new, old), MALLORY)).allowed


@pytest.mark.parametrize(
    ("forged", "field"),
    [
        pytest.param({"by": "alice", "at": AT}, "by", id="another person"),
        pytest.param({"by": "mallory", "at": "2026-01-01T00:06:00Z"}, "at", id="another time"),
        pytest.param({"by": "mallory", "at": "soon"}, "at", id="no time"),
        pytest.param({"by": "mallory"}, "at", id="no time at all"),
        pytest.param({"at": AT}, "by", id="nobody"),
    ],
)
def test_what_another_webhook_wrote_is_refused(forged: dict[str, str], field: str) -> None:
    answer = HANDLERS.validate(asked(MALLORY, [], [entry("any", **forged)]))
    assert (answer.allowed, answer.code) == (False, 403)
    assert answer.message.startswith(
        f"spec.approvals[0].{field} is not what the webhook mutate.flow.workflow.sh writes"
    )


def test_an_earlier_entry_cannot_be_changed() -> None:
    before = [entry(by="alice", at=AT)]
    answer = admitted(ALICE, before, [entry(decision="Reject", by="alice", at=AT)])
    assert (answer.allowed, answer.code) == (False, 422)
    assert "spec.approvals[0]: entries cannot be changed or removed" in answer.message


def test_a_new_workflow_has_none() -> None:
    answer = HANDLERS.validate(_by(request(workflow(*FLOWS, approvals=[entry()])), ALICE))
    assert (answer.allowed, answer.code) == (False, 422)
    assert "spec.approvals: a new Workflow has no approvals" in answer.message


@pytest.mark.parametrize(
    ("flow", "status", "warning"),
    [
        pytest.param("any", RUNNING, "flow any is Succeeded already, and the first entry counted", id="decided"),
        pytest.param("ask", ENDED, "the workflow has ended (Failed), so this entry decides about nothing", id="ended"),
    ],
)
def test_an_entry_that_comes_too_late_is_a_warning(flow: str, status: Any, warning: str) -> None:
    answer = admitted(ALICE, [], [entry(flow)], status)
    assert answer.allowed
    assert answer.warnings == (f"spec.approvals[0]: {warning}",)


REGIONS = {"name": "regions", "approval": {}, "for": {"replicas": 3}}
FIRST = "spec.approvals[1]: spec.approvals[0] has decided about this before, and the first entry counts"


@pytest.mark.parametrize(
    ("old", "new", "restarted", "warning"),
    [
        pytest.param(entry(), entry(decision="Reject"), 0, FIRST, id="the flow does not ask yet"),
        pytest.param(entry(), entry(index=0), 0, FIRST, id="index 0 of a flow without for"),
        pytest.param(entry("regions"), entry("regions", index=2), 0, FIRST, id="an index after all"),
        pytest.param(entry("regions", index=2), entry("regions", index=2), 0, FIRST, id="the same index"),
        pytest.param(entry("regions", index=2), entry("regions", index=1), 0, "", id="another index"),
        pytest.param(entry("regions", index=2), entry("regions"), 0, "", id="all after an index: the others"),
        pytest.param(entry("any"), entry(), 0, "", id="another flow"),
        pytest.param(entry(), entry(), 1, "", id="the first one was there before a restart"),
    ],
)
def test_an_entry_after_the_one_that_counts_is_a_warning(
    old: dict[str, Any], new: dict[str, Any], restarted: int, warning: str
) -> None:
    flows = [{"name": "ask", "phase": "Waiting"}, {"name": "regions", "phase": "Waiting"}]
    record = {"flows": [{"flows": "0-1", "approvals": restarted}]} if restarted else {}
    status = {"phase": "Running", "flows": flows, "record": record}
    given = [{**one, "by": "alice", "at": AT} for one in (old, new)]
    before, after = (workflow(*FLOWS, REGIONS, status=status, approvals=some) for some in (given[:1], given))
    answer = HANDLERS.validate(_by(request(after, before), ALICE))
    assert (answer.allowed, answer.warnings) == (True, (warning,) if warning else ())


def test_who_approves_does_not_become_the_last_editor() -> None:
    flows = {"flows": list(FLOWS)}
    old, new, other = (
        msgspec.Raw(msgspec.json.encode({**flows, **more}))
        for more in ({}, {"approvals": [entry()]}, {"approvals": [entry()], "suspend": True})
    )
    assert is_same_spec("Workflow", old, new)
    assert not is_same_spec("Workflow", old, other)
