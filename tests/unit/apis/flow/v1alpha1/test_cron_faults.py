"""What is wrong with a CronWorkflow, with the path and in words that say what would be right."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.cron_faults import cron_faults, in_template, template_spec
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.types import CronWorkflowSpec
from pkg.apis.flow.v1alpha1.validation import validate_workflow

FLOWS = {"flows": [{"name": "a"}]}


def spec(workflow: dict[str, Any] | None = None, **fields: Any) -> CronWorkflowSpec:
    manifest = {"schedules": ["@daily"], "workflowTemplate": {"spec": FLOWS, **(workflow or {})}, **fields}
    return msgspec.json.decode(msgspec.json.encode(manifest), type=CronWorkflowSpec)


@pytest.mark.parametrize(
    ("given", "name", "path", "message"),
    [
        pytest.param(spec(schedules=["@daily", "x"]), "a", "spec.schedules[1]", "has 1 fields", id="a schedule"),
        pytest.param(spec(timeZone="Mars"), "a", "spec.timeZone", "no time zone has this name", id="a zone"),
        pytest.param(spec(), "a" * 53, "metadata.name", "at most 52 are allowed", id="a name that is too long"),
        pytest.param(
            spec({"metadata": {"labels": {"flow.workflow.sh/flow": "a"}}}),
            "a",
            "spec.workflowTemplate.metadata.labels",
            "is written by Work-Flow itself",
            id="a label of ours",
        ),
        pytest.param(
            spec({"metadata": {"annotations": {"two words": "a"}}}),
            "a",
            "spec.workflowTemplate.metadata.annotations",
            "is no key",
            id="a key that is none",
        ),
        pytest.param(
            spec({"metadata": {"labels": {"team": "two words"}}}),
            "a",
            "spec.workflowTemplate.metadata.labels[team]",
            "is no value of a label",
            id="a value that is none",
        ),
    ],
)
def test_a_fault(given: CronWorkflowSpec, name: str, path: str, message: str) -> None:
    found = cron_faults(given, name)
    assert [one.path for one in found] == [path]
    assert message in found[0].message


def test_one_without_faults_has_none() -> None:
    meta = {"labels": {"team": "data", "example.org/a": ""}, "annotations": {"example.org/b": "any text"}}
    assert cron_faults(spec({"metadata": meta}), "a" * 52) == ()


def test_the_workflow_is_judged_with_the_paths_that_it_has_here() -> None:
    twice = spec({"spec": {"flows": [{"name": "a"}, {"name": "a"}]}})
    workflow = template_spec(twice)
    assert not isinstance(workflow, Faults)
    (found,) = in_template(validate_workflow(workflow))
    assert found.path == "spec.workflowTemplate.spec.flows[1].name"
    assert "is taken by spec.workflowTemplate.spec.flows[0]" in found.message


@pytest.mark.parametrize(
    ("workflow", "path"),
    [
        pytest.param({"flows": "a"}, "spec.workflowTemplate.spec.flows", id="a field of another type"),
        pytest.param({"flows": [{"name": 1}]}, "spec.workflowTemplate.spec.flows[0].name", id="inside of a list"),
        pytest.param({}, "spec.workflowTemplate.spec", id="a field that is missing"),
    ],
)
def test_a_spec_that_cannot_be_read_is_a_fault(workflow: dict[str, Any], path: str) -> None:
    found = template_spec(spec({"spec": workflow}))
    assert isinstance(found, Faults)
    assert [one.path for one in found] == [path]


def test_faults_that_are_only_counted_stay_counted() -> None:
    faults = Faults(Fault(f"spec.flows[{at}]", "is none") for at in range(60))
    assert in_template(faults).others == faults.others == 10
