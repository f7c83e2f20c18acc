"""Outputs in the status of a flow, and back."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import FlowStatus, OutputStatus
from pkg.controllers.workflow.planner.outputs.record import outputs_by_index, recorded_outputs
from pkg.controllers.workflow.planner.progress import Task

DONE = Phase.SUCCEEDED


def with_outputs(*pairs: tuple[str, str], phase: Phase = DONE) -> Task:
    return Task(phase=phase, outputs=pairs)


@pytest.mark.parametrize(
    ("tasks", "is_indexed", "succeeded", "found"),
    [
        pytest.param((Task(phase=DONE),), False, "", (), id="no outputs"),
        pytest.param(
            (with_outputs(("x", "1"), ("y", "")),),
            False,
            "",
            (OutputStatus("x", "1"), OutputStatus("y", "")),
            id="one task, one of them empty",
        ),
        pytest.param(
            (with_outputs(("x", "1")), Task(phase=Phase.FAILED), with_outputs(("x", "1"))),
            True,
            "0,2",
            (OutputStatus("x", values=("1", "1")),),
            id="the indexes that succeeded need not be repeated",
        ),
        pytest.param(
            (with_outputs(("x", "a")), Task(phase=DONE), with_outputs(("x", "b"), ("y", ""))),
            True,
            "0-2",
            (OutputStatus("x", values=("a", "b"), indexes="0,2"), OutputStatus("y", values=("",), indexes="2")),
            id="outputs that only some tasks have",
        ),
    ],
)
def test_the_record_and_its_reverse(
    tasks: tuple[Task, ...], is_indexed: bool, succeeded: str, found: tuple[OutputStatus, ...]
) -> None:
    assert recorded_outputs(tasks, is_indexed=is_indexed) == found
    status = FlowStatus("a", DONE, succeeded=succeeded, outputs=found)
    assert outputs_by_index(status) == {index: task.outputs for index, task in enumerate(tasks) if task.outputs}
