"""The numbers of workflows, and of what waits in them."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.controllers.workflow.census import census
from pkg.telemetry.census import Census
from tests.manifests import decoded

SINCE = "2027-01-15T08:00:00Z"


def workflow(**status: Any) -> Workflow:
    meta = {"name": "w", "namespace": "team", "uid": "u", "resourceVersion": "1"}
    return decoded({"metadata": meta, "spec": {"flows": [{"name": "a"}]}, "status": status}, Workflow)


def blocked(reason: str, since: str, status: str = "True") -> list[dict[str, str]]:
    return [{"type": "Blocked", "status": status, "reason": reason, "message": "", "lastTransitionTime": since}]


@pytest.mark.parametrize(
    ("workflows", "expected"),
    [
        pytest.param([], Census(), id="none"),
        pytest.param([workflow()], Census(workflows={"Pending": 1}), id="one that no controller has seen"),
        pytest.param(
            [workflow(phase="Running", tasks={"running": 2, "succeeded": 1}), workflow(phase="Running")],
            Census(workflows={"Running": 2}, tasks={"Running": 2, "Succeeded": 1}),
            id="tasks of what runs",
        ),
        pytest.param(
            [workflow(phase="Failed", tasks={"failed": 3}, conditions=blocked("QuotaExceeded", SINCE))],
            Census(workflows={"Failed": 1}),
            id="of what has ended only the workflow itself",
        ),
        pytest.param(
            [
                workflow(
                    phase="Running",
                    tasks={"waiting": 8},
                    flows=[
                        {"name": "a", "phase": "Waiting", "reason": "TemplateNotFound"},
                        {"name": "b", "phase": "Waiting", "reason": "WaitingForDependencies", "waiting": "0-3"},
                        {"name": "c", "phase": "Running", "waiting": "1,4-5"},
                    ],
                )
            ],
            Census(
                workflows={"Running": 1},
                tasks={"Waiting": 8},
                waiting={"TemplateNotFound": 1, "WaitingForDependencies": 4, "FlowStarted": 3},
            ),
            id="tasks that wait, by the reason of their flow",
        ),
        pytest.param(
            [
                workflow(phase="Running", conditions=blocked("TemplateNotFound", "2027-01-15T09:00:00Z")),
                workflow(phase="Running", conditions=blocked("TemplateNotFound", SINCE)),
                workflow(phase="Running", conditions=blocked("", "2027-01-01T00:00:00Z", status="False")),
            ],
            Census(workflows={"Running": 3}, blocked={"TemplateNotFound": 2}, blocked_since=1_800_000_000.0),
            id="the oldest of those that are blocked",
        ),
    ],
)
def test_what_statuses_add_up_to(workflows: list[Workflow], expected: Census) -> None:
    assert census(workflows) == expected
