"""`{{workflow.phase}}` and the like are variables of `finally` flows only."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.apis.flow.v1alpha1.validation import read, validate_with_templates, validate_workflow
from tests.builders import wf
from tests.manifests import decoded

PHASE = "{{workflow.phase}}"
GVR = {"group": "batch", "version": "v1", "resource": "jobs"}

ALONE: dict[str, tuple[dict[str, Any], str]] = {
    "a patch": ({"patch": {"metadata": {"labels": {"x": PHASE}}}}, "spec.flows[0].patch.metadata.labels.x"),
    "a condition": ({"when": "workflow.phase == 'Failed'"}, "spec.flows[0].when"),
    "a parameter": ({"parameters": [{"name": "p", "value": f"is {PHASE}"}]}, "spec.flows[0].parameters[0].value"),
}


@pytest.mark.parametrize(("fields", "path"), ALONE.values(), ids=ALONE)
def test_elsewhere_it_is_a_fault(fields: dict[str, Any], path: str) -> None:
    (found,) = validate_workflow(wf(a=fields).spec)
    assert found.path == path
    assert "workflow.phase" in found.message
    assert "is known in finally flows only" in found.message


def test_it_is_said_once_although_the_job_could_not_be_rendered_either() -> None:
    workflow, templates = with_template({"x": "y"}, patch=ALONE["a patch"][0]["patch"])
    assert len(validate_workflow(workflow.spec)) == 1
    assert validate_with_templates(read(workflow.spec, templates)) == ()


@pytest.mark.parametrize(("fields", "path"), ALONE.values(), ids=ALONE)
def test_in_a_finally_flow_it_is_none(fields: dict[str, Any], path: str) -> None:
    assert validate_workflow(wf(a="", z={"finally": True, **fields}).spec) == ()


def with_template(job_spec: Any, parameters: Any = (), spec: Any = None, **flow: Any) -> tuple[Workflow, Any]:
    from pkg.apis.flow.v1alpha1.types import WorkTemplateSpec

    template = decoded({"gvr": GVR, "jobSpec": job_spec, "parameters": list(parameters)}, WorkTemplateSpec)
    workflow = wf(spec or {}, a="", z={"template": "t", **flow})
    return workflow, {"job": decoded({"gvr": GVR, "jobSpec": {}}, WorkTemplateSpec), "t": template}


THROUGH: dict[str, tuple[dict[str, Any], str]] = {
    "the template": ({"job_spec": {"x": [PHASE]}}, "spec.flows[1] (template t).jobSpec.x[0]"),
    "a default of the template": (
        {"job_spec": {"x": "{{params.p}}"}, "parameters": [{"name": "p", "value": PHASE}]},
        "spec.flows[1] (template t).parameters[0].value",
    ),
    "a parameter of the workflow": (
        {"job_spec": {"x": "{{params.p}}"}, "spec": {"parameters": [{"name": "p", "value": PHASE}]}},
        "spec.parameters[0].value",
    ),
}


@pytest.mark.parametrize(("given", "path"), THROUGH.values(), ids=THROUGH)
def test_through_the_template_it_shows_with_the_template(given: dict[str, Any], path: str) -> None:
    workflow, templates = with_template(**given)
    assert validate_workflow(workflow.spec) == ()
    (found,) = validate_with_templates(read(workflow.spec, templates))
    assert found.path == path
    assert "is known in finally flows only" in found.message
    workflow, templates = with_template(**given, **{"finally": True})
    assert validate_with_templates(read(workflow.spec, templates)) == ()


def test_the_plain_text_may_stand_anywhere() -> None:
    workflow, templates = with_template({"x": "{{{{workflow.phase}}}}"})
    assert validate_with_templates(read(workflow.spec, templates)) == ()


def test_a_flow_without_finally_cannot_wait_for_one() -> None:
    (found,) = validate_workflow(wf(a="z", z={"finally": True}).spec)
    assert found.message == '"z" is a finally flow, and only finally flows can wait for it'


@pytest.mark.parametrize("fields", [{"dependsOn": {"targets": ["y"]}}, {"when": "flows.y.phase == 'Failed'"}], ids=str)
def test_a_finally_flow_can_wait_for_another(fields: dict[str, Any]) -> None:
    assert validate_workflow(wf(a="", y={"finally": True}, z={"finally": True, **fields}).spec) == ()
