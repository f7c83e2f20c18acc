"""What a Workflow waits for, and what to do about each reason."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.views.advice import ADVICE, advice
from pkg.views.why import MAX_CAUSES, Answer, why
from pkg.views.workflow_view import view
from tests.manifests import decoded
from tests.unit.cli.conftest import NOW, nightly

REASONS = {value for name, value in vars(Reasons).items() if name.isupper()}


def asked(*flows: dict[str, Any], spec: dict[str, Any] | None = None, **status: Any) -> Answer:
    raw = {
        "metadata": {"name": "w", "namespace": "team"},
        "spec": {"flows": [{"name": flow["name"]} for flow in flows or [{"name": "f"}]], **(spec or {})},
        "status": {"flows": list(flows), **status},
    }
    return why(view(decoded(raw, Workflow), NOW), NOW)


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_there_is_advice_for_every_reason(reason: str) -> None:
    assert reason in ADVICE
    assert "{" not in advice(reason, namespace="team", name="w", flow="f")


def test_no_advice_is_for_a_reason_that_there_is_not() -> None:
    assert ADVICE.keys() - REASONS == set()


def test_what_needs_a_person_comes_first_then_failures_then_waits() -> None:
    answer = why(view(nightly(), NOW), NOW)
    assert [(cause.where, cause.needs_person) for cause in answer.causes] == [
        ("flow gone", True),
        ("flow train", False),
        ("flow evaluate", False),
    ]
    assert answer.causes[0].since == 600
    assert "kubectl apply -n team" in answer.causes[0].todo
    assert [flow.name for flow in answer.runs] == ["train", "sweep"]


def test_flows_that_wait_for_others_are_one_cause() -> None:
    waits = [
        {"name": name, "phase": "Waiting", "reason": "WaitingForDependencies", "message": f"waits for {name}x"}
        for name in "abc"
    ]
    (cause,) = asked(*waits, phase="Running").causes
    assert (cause.where, cause.others) == ("flow a", 2)


def test_only_so_many_causes_are_listed() -> None:
    flows = [
        {"name": f"f{n}", "phase": "Failed", "reason": "Failed", "message": f"job w-f{n} failed"} for n in range(20)
    ]
    answer = asked(*flows, phase="Failed", reason="TaskFailed", message="flow f0: job w-f0 failed")
    assert (len(answer.causes), answer.more) == (MAX_CAUSES, 21 - MAX_CAUSES)
    assert answer.causes[0].reason == "TaskFailed"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param({}, "no controller has written its status yet", id="no controller"),
        pytest.param({"phase": "Succeeded"}, "it succeeded", id="the end"),
        pytest.param({"phase": "Failed"}, "it failed", id="a failure"),
        pytest.param({"phase": "Running"}, "nothing runs at the moment", id="nothing runs"),
    ],
)
def test_summary(status: dict[str, Any], words: str) -> None:
    assert words in asked(**status).summary


def test_a_suspended_workflow_says_how_to_go_on() -> None:
    answer = asked(
        spec={"suspend": True}, phase="Suspended", reason="WorkflowSuspended", message="spec.suspend is true"
    )
    assert [cause.todo for cause in answer.causes] == ["kubectl workflow resume -n team w"]


def test_who_waits_for_a_semaphore_of_no_places_is_not_only_told_to_wait() -> None:
    assert "raise the limit if the message says that it is 0" in advice(Reasons.LOCK_HELD, namespace="team", name="w")
