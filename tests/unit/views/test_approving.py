"""Which entry `approve` and `reject` add, and when none would have an effect."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import ApprovalDecision, Workflow
from pkg.views.approving import CannotDecide, decide, open_approvals
from tests.manifests import decoded

APPROVE, REJECT = ApprovalDecision.APPROVE, ApprovalDecision.REJECT
FLOWS = [
    {"name": "build"},
    {"name": "release", "approval": {}},
    {"name": "later", "approval": {}},
    {"name": "regions", "approval": {}, "for": {"replicas": 3}},
]
STATUS: dict[str, Any] = {
    "phase": "Running",
    "flows": [
        {"name": "build", "phase": "Succeeded"},
        {"name": "release", "phase": "Waiting", "reason": "ApprovalNeeded"},
        {"name": "later", "phase": "Waiting", "reason": "WaitingForDependencies"},
        {"name": "regions", "phase": "Running", "reason": "ApprovalNeeded", "succeeded": "0", "waiting": "1-2"},
    ],
}


def ship(approvals: Any = (), **status: Any) -> Workflow:
    meta = {"name": "ship", "namespace": "team", "uid": "u-1", "resourceVersion": "7"}
    spec = {"flows": FLOWS, "approvals": list(approvals)}
    return decoded({"metadata": meta, "spec": spec, "status": {**STATUS, **status}}, Workflow)


DONE: dict[str, tuple[str, ApprovalDecision, dict[str, Any], str]] = {
    "a flow": ("release", APPROVE, {}, "ship: flow release is approved"),
    "a flow that is rejected": ("release", REJECT, {}, "ship: flow release is rejected"),
    "index 0 of a flow without for": ("release/0", APPROVE, {"index": 0}, "ship: index 0 of flow release is approved"),
    "an index": ("regions/2", APPROVE, {"index": 2}, "ship: index 2 of flow regions is approved"),
    "what is left of a flow": ("regions", APPROVE, {}, "ship: flow regions is approved"),
    "one that does not ask yet": ("later", APPROVE, {}, "ship: flow later is approved, before it asks"),
}


@pytest.mark.parametrize(("target", "decision", "index", "said"), DONE.values(), ids=DONE)
def test_an_entry_is_added(target: str, decision: ApprovalDecision, index: dict[str, Any], said: str) -> None:
    found = decide(ship(), target, decision, "why")
    value = {"flow": target.partition("/")[0], "decision": decision.value, "comment": "why", **index}
    assert found.done == said
    assert found.steps == (
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/spec/approvals", "value": [value]},
    )


def test_a_later_entry_goes_to_the_end_whoever_adds_others_meanwhile() -> None:
    found = decide(ship([{"flow": "later", "decision": "Approve"}]), "release", APPROVE)
    assert found.steps == (
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "add", "path": "/spec/approvals/-", "value": {"flow": "release", "decision": "Approve"}},
    )


@pytest.mark.parametrize(
    ("given", "target", "said"),
    [
        pytest.param(
            {"flow": "later", "decision": "Approve", "by": "bob"},
            "later",
            "flow later is approved by bob already, in spec.approvals[0], and the first entry counts",
            id="a flow that does not ask yet",
        ),
        pytest.param(
            {"flow": "regions", "decision": "Reject"},
            "regions/1",
            "index 1 of flow regions is rejected already, in spec.approvals[0], and the first entry counts",
            id="an index, after all tasks",
        ),
    ],
)
def test_what_an_earlier_entry_decides_is_not_decided_again(given: Any, target: str, said: str) -> None:
    with pytest.raises(CannotDecide, match=re.escape(said)):
        decide(ship([given]), target, REJECT)


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no such flow": (
        "relaese",
        {},
        'no flow "relaese" waits for approval or has one; flows with approval: release, regions, later',
    ),
    "a flow without approval": (
        "build",
        {},
        "flow build has no approval; flows with approval: release, regions, later",
    ),
    "an index that is no number": ("regions/x", {}, '"regions/x" names no task; write FLOW or FLOW/INDEX'),
    "an index that does not exist": (
        "regions/3",
        {},
        "there is no index 3 of flow regions; the highest index is 2",
    ),
    "an index of a flow without for": ("release/1", {}, "there is no index 1 of flow release; it has one task"),
    "an index that is decided": ("regions/0", {}, "index 0 of flow regions is Succeeded already"),
    "a flow that is decided": (
        "release",
        {"flows": [{"name": "release", "phase": "Failed", "reason": "Rejected", "message": "rejected by bob"}]},
        "flow release is Failed already: rejected by bob",
    ),
    "a workflow that has ended": (
        "release",
        {"phase": "Failed"},
        "ship has ended (Failed); kubectl workflow retry -n team ship --flow release asks again",
    ),
}


@pytest.mark.parametrize(("target", "status", "why"), WRONG.values(), ids=WRONG)
def test_what_would_have_no_effect_is_said(target: str, status: dict[str, Any], why: str) -> None:
    with pytest.raises(CannotDecide, match=f"^{re.escape(why)}"):
        decide(ship(**status), target, APPROVE)


@pytest.mark.parametrize(
    ("flows", "why"),
    [
        pytest.param(FLOWS[:2], 'no flow "x" waits for approval or has one; flow with approval: release', id="one"),
        pytest.param(FLOWS[:1], "workflow ship has no flow with approval", id="none"),
    ],
)
def test_the_flows_with_approval_are_named(flows: list[dict[str, Any]], why: str) -> None:
    meta = {"name": "ship", "namespace": "team", "uid": "u-1", "resourceVersion": "7"}
    workflow = decoded({"metadata": meta, "spec": {"flows": flows}, "status": STATUS}, Workflow)
    with pytest.raises(CannotDecide, match=f"^{re.escape(why)}$"):
        decide(workflow, "x", APPROVE)


def test_a_comment_that_is_too_long_is_said() -> None:
    with pytest.raises(CannotDecide, match="the comment has 513 characters; at most 512 are allowed"):
        decide(ship(), "release", APPROVE, "x" * 513)


def test_a_workflow_that_nobody_has_seen_yet_can_be_approved() -> None:
    assert decide(ship(phase=None, flows=[]), "regions/2", APPROVE).done.endswith("before it asks")


def test_what_may_still_be_decided_is_offered_and_what_asks_comes_first() -> None:
    assert list(open_approvals(ship()).items()) == [("release", (0,)), ("regions", (1, 2)), ("later", (0,))]
    assert open_approvals(ship(phase="Failed")) == {}
    assert open_approvals(ship(phase=None, flows=[])) == {"release": (0,), "later": (0,), "regions": (0, 1, 2)}
