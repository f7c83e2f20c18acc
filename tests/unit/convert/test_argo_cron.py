"""What Argo's CronWorkflow becomes, and what is said of its fields that have no word here."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.convert.convert import convert
from pkg.convert.result import Result
from pkg.views.lint import lint
from pkg.views.manifests.writing import as_yaml

MAIN = {"name": "main", "container": {"image": "busybox:1.36", "command": ["echo", "{{workflow.scheduledTime}}"]}}
RUN = {"entrypoint": "main", "templates": [MAIN]}


def converted(**spec: Any) -> Result:
    """The result for a CronWorkflow with these fields, of which the result passes lint."""
    whole = {"schedule": "0 3 * * *", "workflowSpec": RUN, **spec}
    cron = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": "nightly"},
        "spec": {key: value for key, value in whole.items() if value is not None},
    }
    return convert({"c.yaml": as_yaml(cron)})


def cron_of(result: Result) -> dict[str, Any]:
    (found,) = [made for made in result.objects if made["kind"] == "CronWorkflow"]
    text = "---\n".join(map(as_yaml, result.objects))
    assert [str(one) for one in lint({"result": text}) if not one.is_warning] == []
    spec: dict[str, Any] = found["spec"]
    return spec


def said(result: Result, *, lost: bool) -> list[str]:
    return [f"{one.path}: {one.message}" for one in result.findings if one.is_lost == lost]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, {"schedules": ["0 3 * * *"]}, id="a schedule"),
        pytest.param(
            {"schedule": None, "schedules": ["0 3 * * *", "@daily"]},
            {"schedules": ["0 3 * * *", "@daily"]},
            id="several schedules",
        ),
        pytest.param(
            {"timezone": "Europe/Berlin"},
            {"schedules": ["0 3 * * *"], "timeZone": "Europe/Berlin"},
            id="a time zone",
        ),
        pytest.param(
            {"schedule": "CRON_TZ=Asia/Tokyo 5 4 * * *"},
            {"schedules": ["5 4 * * *"], "timeZone": "Asia/Tokyo"},
            id="a time zone in the schedule",
        ),
        pytest.param({"suspend": True}, {"suspend": True}, id="suspend"),
        pytest.param({"concurrencyPolicy": "Allow"}, {"concurrencyPolicy": "Allow"}, id="Allow"),
        pytest.param({"startingDeadlineSeconds": 60}, {"startingDeadlineSeconds": 60}, id="a deadline"),
        pytest.param(
            {"successfulJobsHistoryLimit": 5, "failedJobsHistoryLimit": 0},
            {"successfulHistoryLimit": 5, "failedHistoryLimit": 0},
            id="how many runs are kept",
        ),
    ],
)
def test_fields(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    result = converted(**fields)
    spec = cron_of(result)
    assert spec.pop("workflowTemplate") == {"spec": {"flows": [{"name": "main", "template": "nightly-main"}]}}
    assert spec == {"schedules": ["0 3 * * *"], **expected}
    assert result.findings == []


def test_labels_and_annotations_of_the_runs() -> None:
    result = converted(workflowMetadata={"labels": {"team": "a"}, "annotations": {"n": "1"}, "name": "x"})
    assert cron_of(result)["workflowTemplate"]["metadata"] == {"labels": {"team": "a"}, "annotations": {"n": "1"}}
    assert said(result, lost=True) == [
        "spec.workflowMetadata.name: runs are named by the CronWorkflow and their time",
    ]


@pytest.mark.parametrize(
    ("fields", "expected", "path", "message"),
    [
        pytest.param(
            {"concurrencyPolicy": "Forbid"},
            {"concurrencyPolicy": "Forbid"},
            "spec.concurrencyPolicy",
            "Argo leaves it out",
            id="Forbid waits, and does not leave out",
        ),
        pytest.param(
            {"startingDeadlineSeconds": 0}, {}, "spec.startingDeadlineSeconds", "it is left out", id="no deadline"
        ),
        pytest.param(
            {"schedule": "@every 30m"},
            {"schedules": ["*/30 * * * *"]},
            "spec.schedule",
            "counts by the clock",
            id="an interval of minutes",
        ),
        pytest.param(
            {"schedule": "@every 6h0m0s"},
            {"schedules": ["0 */6 * * *"]},
            "spec.schedule",
            "counts by the clock",
            id="an interval of hours",
        ),
    ],
)
def test_what_is_to_be_checked(fields: dict[str, Any], expected: dict[str, Any], path: str, message: str) -> None:
    result = converted(**fields)
    spec = cron_of(result)
    assert {**spec, "workflowTemplate": None} == {"schedules": ["0 3 * * *"], **expected, "workflowTemplate": None}
    (line,) = said(result, lost=False)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert said(result, lost=True) == []


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        pytest.param({"stopStrategy": {"expression": "x"}}, "spec.stopStrategy", "cron suspend", id="stopStrategy"),
        pytest.param({"when": "{{= x }}"}, "spec.when", "write it as when of its flows", id="when"),
        pytest.param({"concurrencyPolicy": "Odd"}, "spec.concurrencyPolicy", "Allow, Forbid or Replace", id="a policy"),
        pytest.param({"suspend": "odd"}, "spec.suspend", "true or false", id="suspend"),
        pytest.param({"timezone": "Local"}, "spec.timezone", "no time zone has this name", id="a zone of no place"),
        pytest.param(
            {"schedules": ["TZ=Asia/Tokyo 0 1 * * *"]},
            "spec.schedules[0]",
            "all schedules are in one zone, UTC",
            id="a second zone",
        ),
        pytest.param({"schedules": ["@every 7m"]}, "spec.schedules[0]", "there is no such word", id="seven minutes"),
        pytest.param({"schedules": ["0 0 30 2 *"]}, "spec.schedules[0]", "never fires", id="no such day"),
        pytest.param(
            {"successfulJobsHistoryLimit": "x"}, "spec.successfulJobsHistoryLimit", "whole number", id="no number"
        ),
        pytest.param({"odd": 1}, "spec.odd", "convert does not know this field", id="a field that nobody knows"),
    ],
)
def test_what_is_lost(fields: dict[str, Any], path: str, message: str) -> None:
    result = converted(**fields)
    assert cron_of(result)["schedules"] == ["0 3 * * *"]
    (line,) = said(result, lost=True)
    assert line.startswith(f"{path}: ")
    assert message in line


def test_at_most_32_schedules() -> None:
    result = converted(schedules=[f"{minute} 4 * * *" for minute in range(32)])
    assert len(cron_of(result)["schedules"]) == 32
    assert said(result, lost=True) == [
        "spec.schedules[31]: there are at most 32 schedules: make a second CronWorkflow",
    ]


def test_without_a_schedule_the_workflow_alone_is_written() -> None:
    result = converted(schedule="@every 7m", suspend=True)
    assert [made["kind"] for made in result.objects] == ["WorkTemplate", "Workflow"]
    assert [line.partition(":")[0] for line in said(result, lost=True)] == ["spec.schedule", "spec.suspend"]


def test_without_an_entrypoint_its_templates_alone_are_written() -> None:
    result = converted(workflowSpec={"templates": [MAIN]})
    assert [made["kind"] for made in result.objects] == ["WorkTemplate"]
    assert said(result, lost=True) == [
        "spec.schedule: no Workflow comes of it, because there is no entrypoint",
    ]


def test_without_a_workflow_nothing_is_written() -> None:
    result = converted(workflowSpec=None)
    assert result.objects == []
    assert said(result, lost=True) == ["spec: it has no spec.workflowSpec"]
