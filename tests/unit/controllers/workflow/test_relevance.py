"""Which changes wake a workflow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.people import EDITED_BY
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Record, Restart, UsedBy, Workflow, WorkTemplate
from pkg.apis.meta import Job, ObjectMeta, WholeJob
from pkg.controllers.workflow.relevance import (
    is_same_state,
    is_template_relevant,
    is_workflow_relevant,
    reads_templates,
)
from tests.builders import template, wf

LATER = datetime(2026, 1, 1, tzinfo=UTC)
FLOW = wf(a="")
STEP = template("step")


def changed(obj: Any, *, meta: dict[str, Any] | None = None, **fields: Any) -> Any:
    """The next version of an object."""
    metadata = msgspec.structs.replace(obj.metadata, resource_version="99", **(meta or {}))
    return msgspec.structs.replace(obj, metadata=metadata, **fields)


def in_phase(phase: WorkflowPhase | None, *, restart: str = "", restarted: str = "") -> Workflow:
    status = msgspec.structs.replace(FLOW.status, phase=phase, record=Record(restarted_at=restarted))
    spec = msgspec.structs.replace(FLOW.spec, restart=Restart(at=restart) if restart else None)
    return msgspec.structs.replace(FLOW, status=status, spec=spec)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, FLOW, True, id="it comes"),
        pytest.param(FLOW, None, True, id="it goes"),
        pytest.param(FLOW, changed(FLOW), False, id="only its version is another"),
        pytest.param(FLOW, changed(FLOW, meta={"labels": {"team": "a"}}), False, id="a label"),
        pytest.param(
            FLOW, changed(FLOW, meta={"labels": {"velero.io/restore-name": "r"}}), True, id="the label of a restore"
        ),
        pytest.param(FLOW, changed(FLOW, meta={"annotations": {"note": "a"}}), False, id="somebody's annotation"),
        pytest.param(
            FLOW, changed(FLOW, meta={"annotations": {"flow.workflow.sh/depth": "2"}}), True, id="an annotation of ours"
        ),
        pytest.param(FLOW, changed(FLOW, meta={"annotations": {EDITED_BY: "x"}}), True, id="who edited it"),
        pytest.param(FLOW, changed(FLOW, meta={"generation": 7}), True, id="its spec"),
        pytest.param(FLOW, changed(FLOW, meta={"uid": "other"}), True, id="it was recreated"),
        pytest.param(FLOW, changed(FLOW, meta={"deletion_timestamp": LATER}), True, id="it is being deleted"),
        pytest.param(FLOW, changed(FLOW, meta={"finalizers": ("orphan",)}), True, id="a finalizer"),
        pytest.param(FLOW, in_phase(WorkflowPhase.FAILED), True, id="somebody wrote its status"),
    ],
)
def test_workflows(old: Workflow | None, new: Workflow | None, expected: bool) -> None:
    assert is_workflow_relevant(old, new) is expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, STEP, True, id="it comes"),
        pytest.param(STEP, None, True, id="it goes"),
        pytest.param(
            STEP,
            changed(STEP, status=msgspec.structs.replace(STEP.status, used_by=UsedBy(3, ("a",)))),
            False,
            id="usedBy is written",
        ),
        pytest.param(STEP, changed(STEP, meta={"labels": {"team": "a"}}), False, id="a label"),
        pytest.param(STEP, changed(STEP, meta={"generation": 7}), True, id="its spec"),
        pytest.param(STEP, changed(STEP, meta={"uid": "other"}), True, id="it was recreated"),
    ],
)
def test_templates(old: WorkTemplate | None, new: WorkTemplate | None, expected: bool) -> None:
    assert is_template_relevant(old, new) is expected


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [
        pytest.param(in_phase(None), True, id="not seen yet"),
        pytest.param(in_phase(WorkflowPhase.RUNNING), True, id="running"),
        pytest.param(in_phase(WorkflowPhase.TERMINATING), True, id="decided"),
        pytest.param(in_phase(WorkflowPhase.SUCCEEDED), False, id="over"),
        pytest.param(
            in_phase(WorkflowPhase.FAILED, restart="1", restarted="1"), False, id="over, and restarted before"
        ),
        pytest.param(in_phase(WorkflowPhase.FAILED, restart="2", restarted="1"), True, id="over, and to be restarted"),
    ],
)
def test_templates_are_read(workflow: Workflow, expected: bool) -> None:
    assert reads_templates(workflow) is expected


JOB = Job(ObjectMeta(name="a", uid="1", resource_version="5"), status={"active": 1})


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        pytest.param(changed(JOB), True, id="only its version is another"),
        pytest.param(changed(JOB, status={"active": 1}), True, id="an equal status"),
        pytest.param(changed(JOB, status={"active": 0}), False, id="another status"),
        pytest.param(changed(JOB, meta={"labels": {"a": "b"}}), False, id="a label"),
        pytest.param(changed(JOB, meta={"deletion_timestamp": LATER}), False, id="it is being deleted"),
        pytest.param(WholeJob(JOB.metadata, status={"active": 1}), False, id="more of it is kept now"),
    ],
)
def test_states_of_a_job(new: Job, expected: bool) -> None:
    assert is_same_state(JOB, new) is expected
