"""A Workflow as a job of another: an end to templates that use themselves, and parameters that stay strings."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.render.depth import MAX_DEPTH, depth
from pkg.controllers.workflow.planner.render.render import RenderError, render
from pkg.workloads import rules_for
from tests.manifests import decoded

DEPTH = "flow.workflow.sh/depth"
WORKFLOWS = {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"}


def outer(annotations: dict[str, str]) -> Workflow:
    owner = {"name": "w", "namespace": "team", "uid": "6a3ef3c2", "annotations": annotations}
    return decoded({"metadata": owner, "spec": {"flows": [{"name": "a"}]}}, Workflow)


def nested(
    spec: dict[str, Any],
    annotations: dict[str, str] | None = None,
    of_template: dict[str, str] | None = None,
    forged: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The Workflow that a flow of `outer` makes. The annotations are those of the owner, of the template, and those
    that the template gives to what is made from it.
    """
    parameters = [{"name": "epochs", "value": "3"}, {"name": "eager", "value": "true"}]
    template_spec = {
        "gvr": WORKFLOWS,
        "jobSpec": spec,
        "parameters": parameters,
        "metadata": {"annotations": forged or {}},
    }
    template = decoded(
        {"metadata": {"name": "t", "annotations": of_template or {}}, "spec": template_spec}, WorkTemplate
    )
    workflow = outer(annotations or {})
    row = rules_for(GVR(**WORKFLOWS))
    found = render(
        workflow,
        workflow.spec.flows[0],
        template,
        index=0,
        attempt=2,
        is_renamed=False,
        pod_ips={},
        kind="Workflow",
        row=row,
    )
    body: dict[str, Any] = msgspec.json.decode(found.body)
    return body


BOB = '{"user":"bob"}'
ALICE = '{"user":"alice"}'
OF_BOB = {"flow.workflow.sh/created-by": BOB, "flow.workflow.sh/edited-by": BOB}


def people_of(made: dict[str, Any]) -> dict[str, str]:
    return {name: text for name, text in made["metadata"]["annotations"].items() if name != DEPTH}


def test_a_nested_workflow_has_the_people_of_its_owner_and_of_its_template() -> None:
    edited = {"flow.workflow.sh/edited-by": ALICE}
    made = nested({}, OF_BOB, edited)
    assert people_of(made) == {**OF_BOB, "flow.workflow.sh/made-for": f"[{BOB},{ALICE}]"}


@pytest.mark.parametrize(
    "annotations",
    [pytest.param(OF_BOB, id="a template of nobody"), pytest.param({}, id="nobody at all")],
)
def test_a_nested_workflow_of_nobody_has_nobody_whatever_its_template_says(annotations: dict[str, str]) -> None:
    assert people_of(nested({}, annotations, forged=OF_BOB)) == {}


def test_a_forged_person_in_the_template_is_replaced() -> None:
    made = nested({}, OF_BOB, {"flow.workflow.sh/edited-by": BOB}, forged={"flow.workflow.sh/created-by": ALICE})
    assert people_of(made) == {**OF_BOB, "flow.workflow.sh/made-for": f"[{BOB}]"}


def test_values_of_parameters_stay_strings_and_other_fields_become_numbers() -> None:
    values = [{"name": "x", "value": "{{params.epochs}}"}, {"name": "y", "value": "{{params.eager}}"}]
    flow = {
        "name": "i",
        "parameters": [{"name": "z", "value": "{{attempt}}"}],
        "for": {"replicas": "{{params.epochs}}"},
    }
    spec = nested({"parameters": values, "flows": [flow]})["spec"]
    assert [parameter["value"] for parameter in spec["parameters"]] == ["3", "true"]
    assert spec["flows"][0]["parameters"][0]["value"] == "2"
    assert spec["flows"][0]["for"]["replicas"] == 3


@pytest.mark.parametrize("spec", [{}, {"flows": 1}, {"flows": [1]}, {"flows": [{"parameters": {}}]}])
def test_a_spec_of_another_shape_is_left_to_the_api_server(spec: dict[str, Any]) -> None:
    assert nested(spec)["spec"] == spec


def test_a_nested_workflow_records_how_deep_it_is() -> None:
    assert nested({})["metadata"]["annotations"][DEPTH] == "1"
    assert nested({}, {DEPTH: "1"})["metadata"]["annotations"][DEPTH] == "2"


def test_workflows_inside_of_each_other_come_to_an_end() -> None:
    nested({}, {DEPTH: str(MAX_DEPTH - 1)})
    with pytest.raises(RenderError, match="nested 8 levels deep"):
        nested({}, {DEPTH: str(MAX_DEPTH)})


@pytest.mark.parametrize("text", ["", "x", "-1", "²", "9" * 5_000])
def test_what_is_no_depth_counts_as_none(text: str) -> None:
    assert depth(outer({DEPTH: text})) == 0
