"""Where `{{workflow.scheduledTime}}` may not stand: in a Workflow that has no scheduled time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.edges import read_edges
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.scheduled_time import is_time, use_faults
from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplate

TIME = "at {{workflow.scheduledTime}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-03-28T03:00:00+02:00", True),
        ("2027-03-28T01:00:00Z", True),
        ("2027-03-28T03:00:00", False),
        ("2027-03-28", False),
        ("2027-03-28 03:00:00+02:00", False),
        ("2027-02-30T03:00:00Z", False),
        ("now", False),
        ("", False),
    ],
)
def test_a_time_has_a_day_and_an_offset(text: str, expected: bool) -> None:
    assert is_time(text) is expected


def used(spec: dict[str, Any], template: dict[str, Any] | None = None) -> list[str]:
    """The places that are refused."""
    read = msgspec.json.decode(msgspec.json.encode(spec), type=WorkflowSpec)
    known = {}
    if template is not None:
        manifest = {"metadata": {"name": "step"}, "spec": {"gvr": {"version": "v1", "resource": "jobs"}, **template}}
        known["step"] = read_edges(msgspec.json.decode(msgspec.json.encode(manifest), type=WorkTemplate).spec)
    return [fault.path for fault in use_faults(Reading(read, known))]


STEP = {"name": "a", "template": "step"}


@pytest.mark.parametrize(
    ("spec", "template", "path"),
    [
        pytest.param(
            {"flows": [STEP], "parameters": [{"name": "x", "value": TIME}]},
            None,
            "spec.parameters[0].value",
            id="a parameter of the workflow",
        ),
        pytest.param(
            {"flows": [{**STEP, "parameters": [{"name": "x", "value": TIME}]}]},
            None,
            "spec.flows[0].parameters[0].value",
            id="a parameter of a flow",
        ),
        pytest.param(
            {"flows": [{**STEP, "patch": {"spec": {"a": [TIME]}}}]}, None, "spec.flows[0].patch.spec.a[0]", id="a patch"
        ),
        pytest.param(
            {"flows": [STEP]},
            {"jobSpec": {"x": TIME}},
            "spec.flows[0] (template step).jobSpec.x",
            id="the jobSpec of a template",
        ),
        pytest.param(
            {"flows": [STEP]},
            {"jobSpec": {}, "metadata": {"labels": {"x": TIME}}},
            "spec.flows[0] (template step).metadata.labels.x",
            id="the metadata of a template",
        ),
        pytest.param(
            {"flows": [STEP]},
            {"jobSpec": {}, "parameters": [{"name": "x", "value": TIME}]},
            "spec.flows[0] (template step).parameters[0].value",
            id="a parameter of a template",
        ),
        pytest.param(
            {"flows": [STEP, {**STEP, "name": "b"}]},
            {"jobSpec": {"x": TIME, "y": TIME}},
            "spec.flows[0] (template step).jobSpec.x",
            id="once for a template that two flows use in two places",
        ),
    ],
)
def test_it_is_found_wherever_variables_stand(spec: dict[str, Any], template: dict[str, Any] | None, path: str) -> None:
    assert used(spec, template) == [path]


@pytest.mark.parametrize("text", ["{{{{workflow.scheduledTime}}}}", "{{workflow.name}}", "scheduledTime"])
def test_a_text_that_is_not_the_variable_may_stand_anywhere(text: str) -> None:
    assert used({"flows": [STEP], "parameters": [{"name": "x", "value": text}]}) == []


def test_a_template_that_is_not_known_is_judged_once_it_is() -> None:
    assert used({"flows": [STEP]}) == []
