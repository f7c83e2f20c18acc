"""Which workflows stood in line when another controller led."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.controllers.workflow.locks.standing import standing
from pkg.controllers.workflow.planner.locks.holders import LockView
from tests.builders import Bench, wf


def waiting() -> Bench:
    bench = Bench(wf(a={"mutexes": ["db"]}, b=""), settle=False)
    bench.locks = LockView()
    bench.settle()
    return bench


def test_a_workflow_whose_status_records_a_wait() -> None:
    assert list(standing([waiting().workflow])) == ["team/w"]


@pytest.mark.parametrize(
    "bench",
    [
        pytest.param(Bench(wf(a="")), id="without locks"),
        pytest.param(Bench(wf(a={"mutexes": ["db"]})), id="whose locks nobody keeps"),
    ],
)
def test_other_workflows(bench: Bench) -> None:
    assert list(standing([bench.workflow])) == []


def test_a_workflow_that_has_ended() -> None:
    workflow = waiting().workflow
    status = msgspec.structs.replace(workflow.status, phase=WorkflowPhase.FAILED)
    assert list(standing([msgspec.structs.replace(workflow, status=status)])) == []
