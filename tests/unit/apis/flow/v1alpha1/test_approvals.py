"""Flows with `approval`, and entries of spec.approvals: what is wrong with them, and who may decide."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.approvals import may_decide, overruling, who_may
from pkg.apis.flow.v1alpha1.meaning import is_same_spec
from pkg.apis.flow.v1alpha1.types import Approval, Workflow, WorkflowStatus
from pkg.apis.flow.v1alpha1.updates import validate_update
from pkg.apis.flow.v1alpha1.validation import read, unused, validate_values, validate_workflow
from tests.builders import on, wf

ASK: dict[str, Any] = {"approval": {}}

FAULTS: dict[str, tuple[Workflow, str, str]] = {
    "a template": (wf(a={**ASK, "template": "t"}), "spec.flows[0].template", "a flow with approval makes no job"),
    "a templateSpec": (
        wf(a={**ASK, "templateSpec": {"gvr": {"version": "v1", "resource": "pods"}}}),
        "spec.flows[0].templateSpec",
        "remove templateSpec or approval",
    ),
    "a patch": (wf(a={**ASK, "patch": {"spec": {}}}), "spec.flows[0].patch", "remove patch"),
    "outputs": (
        wf(a={**ASK, "outputs": [{"name": "x", "from": {"path": "status.x"}}]}),
        "spec.flows[0].outputs",
        "no job that outputs could be read from",
    ),
    "retry": (wf(a={**ASK, "retry": {"maxRetries": 2}}), "spec.flows[0].retry", "a rejection is final"),
    "pendingTimeout": (wf(a={**ASK, "pendingTimeout": "5m"}), "spec.flows[0].pendingTimeout", "write timeout"),
    "a mutex": (wf(a={**ASK, "mutexes": ["gpu"]}), "spec.flows[0].mutexes", "give the lock to the flow that follows"),
    "a semaphore": (
        wf(a={**ASK, "semaphores": [{"configMapKeyRef": {"name": "c", "key": "k"}}]}),
        "spec.flows[0].semaphores",
        "give it to the flow that follows",
    ),
    "parallelism of its tasks": (
        wf(a={**ASK, "for": {"replicas": 2, "parallelism": 1}}),
        "spec.flows[0].for.parallelism",
        "wait for a person at once",
    ),
    "a variable in the message": (
        wf(a={"approval": {"message": "Deploy {{params.x}}?"}}),
        "spec.flows[0].approval.message",
        "the message is plain text",
    ),
    "an approver without user and group": (
        wf(a={"approval": {"approvers": [{"user": "alice"}, {}]}}),
        "spec.flows[0].approval.approvers[1]",
        "either user or group",
    ),
    "an approver with both": (
        wf(a={"approval": {"approvers": [{"user": "alice", "group": "ops"}]}}),
        "spec.flows[0].approval.approvers[0]",
        "either user or group",
    ),
    "an HTTP probe of it": (
        wf(a=ASK, b=on(probe={"httpGetList": [{"taskName": "a", "port": 80}]})),
        "spec.flows[1].dependsOn.probe.httpGetList[0].taskName",
        "has no pods",
    ),
    "a TCP probe of it": (
        wf(a=ASK, b=on(probe={"tcpSocketList": [{"taskName": "a", "port": 80}]})),
        "spec.flows[1].dependsOn.probe.tcpSocketList[0].taskName",
        "has no pods",
    ),
    "its pod address": (
        wf(a=ASK, b={"patch": {"spec": {"x": "{{flows.a.podIP}}"}}}),
        "spec.flows[1].patch.spec.x",
        "has no pods",
    ),
}


@pytest.mark.parametrize(("workflow", "path", "message"), FAULTS.values(), ids=FAULTS)
def test_what_makes_no_sense_is_a_fault(workflow: Workflow, path: str, message: str) -> None:
    (found,) = validate_workflow(workflow.spec)
    assert found.path == path
    assert message in found.message


def test_what_makes_sense_is_none() -> None:
    every = {
        **on(probe={"httpGetList": [{"taskName": "a", "port": 80}], "failAfter": "5m"}),
        "approval": {"message": "Go on?", "approvers": [{"user": "alice"}, {"group": "ops"}]},
        "for": {"items": ["eu", "us"], "dependsOn": {"targets": ["b"]}},
        "when": "params.n == 'x'",
        "parameters": [{"name": "n", "value": "x"}],
        "timeout": "1h",
        "continueOnFail": True,
    }
    workflow = wf(a="", b=every, c="b")
    assert validate_workflow(workflow.spec) == ()
    assert unused(read(workflow.spec)) == ()


def test_a_parameter_that_nobody_gives_is_a_fault_without_a_template() -> None:
    (found,) = validate_values(read(wf(a={**ASK, "when": "params.n == 'x'"}).spec))
    assert (found.path, found.value) == ("spec.flows[0].when", "{{params.n}}")


def approved(*entries: dict[str, Any], **flows: Any) -> Workflow:
    given = [{"decision": "Approve", **entry} for entry in entries]
    return wf({"approvals": given}, **(flows or {"a": "", "ask": ASK, "each": {**ASK, "for": {"replicas": 2}}}))


UPDATES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], str]] = {
    "a new entry": ([], [{"flow": "ask"}], ""),
    "another one": ([{"flow": "ask"}], [{"flow": "ask"}, {"flow": "each", "index": 1}], ""),
    "index 0 of a flow without for": ([], [{"flow": "ask", "index": 0}], ""),
    "one that is removed": ([{"flow": "ask"}], [], "spec.approvals: 1 entries were there, and 0 would be left"),
    "one that is changed": (
        [{"flow": "ask"}],
        [{"flow": "ask", "comment": "x"}],
        "spec.approvals[0]: entries cannot be changed or removed",
    ),
    "another author": (
        [{"flow": "ask", "by": "alice"}],
        [{"flow": "ask", "by": "bob"}],
        "spec.approvals[0]: entries cannot be changed or removed",
    ),
    "one that is put in front": (
        [{"flow": "ask"}],
        [{"flow": "each"}, {"flow": "ask"}],
        "spec.approvals[0]: entries cannot be changed or removed",
    ),
    "a flow that does not exist": ([], [{"flow": "akk"}], 'no flow is named "akk"; did you mean "ask"?'),
    "a flow without approval": ([], [{"flow": "a"}], 'flow "a" has no approval'),
    "an index of a flow without for": ([], [{"flow": "ask", "index": 1}], 'flow "ask" has no for'),
    "an index that is too large": ([], [{"flow": "each", "index": 2}], 'flow "each" has the indexes 0 to 1'),
}


@pytest.mark.parametrize(("before", "after", "message"), UPDATES.values(), ids=UPDATES)
@pytest.mark.parametrize("state", [{"started": False}, {"started": True}, {"started": True, "ended": True}], ids=str)
def test_entries_are_added_and_never_changed(
    before: list[dict[str, Any]], after: list[dict[str, Any]], message: str, state: dict[str, bool]
) -> None:
    found = validate_update(approved(*before).spec, approved(*after).spec, **state)  # type: ignore[arg-type]
    if message:
        (one,) = found
        assert message in f"{one.path}: {one.message}"
    else:
        assert found == ()


APPROVERS: dict[str, tuple[list[dict[str, str]], str]] = {
    "nobody is named": ([], "whoever may edit the Workflow"),
    "a user": ([{"user": "alice"}], "alice"),
    "users and a group": ([{"user": "x"}, {"group": "ops"}, {"user": "y"}], "x, y or the group ops"),
    "many": ([{"user": f"u{at}"} for at in range(7)], "u0, u1, u2, u3, u4 or 2 others"),
}


@pytest.mark.parametrize(("approvers", "text"), APPROVERS.values(), ids=APPROVERS)
def test_who_may_decide_in_words(approvers: list[dict[str, str]], text: str) -> None:
    assert who_may(msgspec.convert({"approvers": approvers}, Approval)) == text


@pytest.mark.parametrize(
    ("user", "groups", "may"),
    [
        pytest.param("alice", [], True, id="the user"),
        pytest.param("bob", ["dev", "ops"], True, id="somebody in the group"),
        pytest.param("ops", [], False, id="a user with the name of the group"),
        pytest.param("bob", ["alice"], False, id="a group with the name of the user"),
        pytest.param("", [""], False, id="nobody"),
    ],
)
def test_users_and_groups_decide(user: str, groups: list[str], *, may: bool) -> None:
    approval = msgspec.convert({"approvers": [{"user": "alice"}, {"group": "ops"}]}, Approval)
    assert may_decide(approval, user, groups) is may
    assert may_decide(Approval(), user, groups)


def test_the_order_of_approvers_means_nothing() -> None:
    one, other = ([{"user": "a"}, {"group": "b"}], [{"group": "b"}, {"user": "a"}, {"user": "a"}])
    assert is_same_spec(*(wf(a={"approval": {"approvers": who}}).spec for who in (one, other)))
    assert not is_same_spec(wf(a={"approval": {"approvers": one}}).spec, wf(a=ASK).spec)
    assert not is_same_spec(wf(a={"approval": {}}).spec, wf(a={}).spec)


ONE: dict[str, Any] = {"flow": "one", "decision": "Approve"}
EACH: dict[str, Any] = {"flow": "each", "decision": "Approve"}


@pytest.mark.parametrize(
    ("entries", "since", "first"),
    [
        pytest.param([ONE], 0, None, id="the first one"),
        pytest.param([ONE, ONE], 0, 0, id="another about the flow"),
        pytest.param([{**ONE, "index": 0}, ONE], 0, 0, id="one about its only task"),
        pytest.param([ONE, ONE], 1, None, id="one from before a restart"),
        pytest.param([ONE, ONE], 5, 0, id="of a restored workflow, which begins anew"),
        pytest.param([EACH, {**EACH, "index": 1}], 0, 0, id="an index after the whole flow"),
        pytest.param([{**EACH, "index": 1}, EACH], 0, None, id="a whole flow after one index"),
        pytest.param([{**EACH, "index": 1}, {**EACH, "index": 2}], 0, None, id="another index"),
        pytest.param([{"flow": "gone", "decision": "Reject"}, ONE], 0, None, id="another flow"),
    ],
)
def test_which_earlier_entry_decides(entries: list[dict[str, Any]], since: int, first: int | None) -> None:
    workflow = wf({"approvals": entries}, one=ASK, each={**ASK, "for": {"replicas": 3}})
    flows = [{"name": name, "phase": "Waiting"} for name in ("one", "each")]
    status = {"flows": flows, "record": {"flows": [{"flows": "0-1", "approvals": since}]}}
    workflow = msgspec.structs.replace(workflow, status=msgspec.convert(status, WorkflowStatus))
    found = overruling(workflow, workflow.spec.approvals[-1], len(entries) - 1)
    assert (found[0] if found is not None else None) == first
