"""The controller judges a CronWorkflow as the webhook does, because there may be none."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.faults import Faults
from pkg.apis.flow.v1alpha1.schedules import Timetable
from pkg.apis.flow.v1alpha1.types import CronWorkflow
from pkg.controllers.cronworkflow.judge import judge
from tests.manifests import decoded

ROOT = "spec.workflowTemplate.spec"


def nightly(**workflow: Any) -> CronWorkflow:
    spec = {"flows": [{"name": "a", "template": "step"}], **workflow}
    manifest = {"metadata": {"name": "n"}, "spec": {"schedules": ["@daily"], "workflowTemplate": {"spec": spec}}}
    return decoded(manifest, CronWorkflow)


@pytest.mark.parametrize(
    ("workflow", "path"),
    [
        pytest.param({"shutdown": "Stop"}, f"{ROOT}.shutdown", id="runs that are stopped before they begin"),
        pytest.param({"restart": {"at": "1"}}, f"{ROOT}.restart", id="runs that are restarted before they begin"),
        pytest.param(
            {
                "flows": [{"name": "a", "approval": {}}],
                "approvals": [{"flow": "a", "decision": "Approve"}],
            },
            f"{ROOT}.approvals",
            id="runs that are approved before they begin",
        ),
    ],
)
def test_a_field_that_steers_one_run_makes_it_invalid(workflow: dict[str, Any], path: str) -> None:
    found = judge(nightly(**workflow))
    assert isinstance(found, Faults)
    assert [one.path for one in found] == [path]


def test_runs_that_begin_suspended_are_made() -> None:
    assert isinstance(judge(nightly(suspend=True)), Timetable)
