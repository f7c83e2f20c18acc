"""What is refused of a CronWorkflow, and what is probably not meant."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import CronWorkflow
from pkg.webhooks.admit.crons import CronJudgement, read_template
from pkg.webhooks.admit.workflows import Around

ROOT = "spec.workflowTemplate.spec"
FLOWS = {"flows": [{"name": "a"}]}
SHOWS_TIME = [{"name": "day", "value": "{{workflow.scheduledTime}}"}]


def judged(workflow: Any = None, around: Around | None = None, **spec: Any) -> CronJudgement:
    manifest = {
        "metadata": {"name": "nightly", "namespace": "team"},
        "spec": {
            "schedules": ["@daily"],
            "workflowTemplate": {"spec": FLOWS if workflow is None else workflow},
            **spec,
        },
    }
    cron = msgspec.json.decode(msgspec.json.encode(manifest), type=CronWorkflow)
    return CronJudgement(cron, read_template(cron), around or Around())


@pytest.mark.parametrize(
    ("workflow", "spec", "path", "message"),
    [
        pytest.param(None, {"schedules": ["0 0 30 2 *"]}, "spec.schedules[0]", "never", id="a day that never comes"),
        pytest.param(None, {"schedules": ["0 0 * *"]}, "spec.schedules[0]", "has 4 fields", id="a field is missing"),
        pytest.param(None, {"timeZone": "Mars/Base"}, "spec.timeZone", "no time zone has this name", id="no such zone"),
        pytest.param({**FLOWS, "shutdown": "Stop"}, {}, f"{ROOT}.shutdown", "steers one Workflow", id="a shutdown"),
        pytest.param({**FLOWS, "restart": {"at": "1"}}, {}, f"{ROOT}.restart", "steers one Workflow", id="a restart"),
        pytest.param(
            {**FLOWS, "approvals": [{"flow": "a", "decision": "Approve"}]}, {}, f"{ROOT}.approvals", "", id="a decision"
        ),
        pytest.param({"flows": [{"name": "A B"}]}, {}, f"{ROOT}.flows[0].name", "", id="a fault of the Workflow"),
        pytest.param({"flows": 3}, {}, f"{ROOT}.flows", "Expected `array`", id="one that cannot be read"),
    ],
)
def test_what_is_refused(workflow: Any, spec: dict[str, Any], path: str, message: str) -> None:
    found = judged(workflow, **spec).faults()
    assert [one.path for one in found] == [path]
    assert message in found[0].message


def test_a_run_has_a_scheduled_time() -> None:
    """In a Workflow that a person makes the variable is refused, unless it has the annotation."""
    assert judged({**FLOWS, "parameters": SHOWS_TIME}).faults() == ()


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        pytest.param({"startingDeadlineSeconds": 9}, "spec.startingDeadlineSeconds", "10 or more is safe", id="short"),
        pytest.param({"startingDeadlineSeconds": 10}, "", "", id="long enough"),
        pytest.param(
            {"schedules": ["@daily", "0 0 * * *"]},
            "spec.schedules[1]",
            "says the same as spec.schedules[0]; remove one",
            id="two that say the same",
        ),
        pytest.param(
            {"schedules": ["*/90 * * * *"]},
            "spec.schedules[0]",
            "because a step counts anew in each hour",
            id="a step that is larger than its field",
        ),
    ],
)
def test_what_is_probably_not_meant(spec: dict[str, Any], path: str, message: str) -> None:
    judgement = judged(**spec)
    assert judgement.faults() == ()
    assert [one.path for one in judgement.warnings()] == ([path] if path else [])
    assert all(message in one.message for one in judgement.warnings())


def test_a_template_that_does_not_exist_is_named_with_its_flow() -> None:
    (found,) = judged(around=Around(missing=frozenset({"a"}))).missing()
    assert found.path == f"{ROOT}.flows[0].template"
    assert 'WorkTemplate "a" does not exist' in found.message
