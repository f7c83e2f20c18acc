"""What is wrong with a template in a flow, and with one whose action is Apply or Delete."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplateSpec
from pkg.apis.flow.v1alpha1.validation import read, validate_template, validate_with_templates, validate_workflow
from tests.manifests import decoded

GVR = {"group": "apps", "version": "v1", "resource": "deployments"}


ITEMS = {"items": [{"name": "a"}, {"name": "b"}]}
TEAM = [{"name": "team", "value": "t"}]
OUTPUTS = [{"name": "x", "from": {"path": "metadata.uid"}}]


def template(**fields: Any) -> dict[str, Any]:
    return {"gvr": GVR, "jobSpec": {"replicas": 1}, **fields}


def applied(name: str = "web", **fields: Any) -> dict[str, Any]:
    return template(action="Apply", metadata={"name": name}, **fields)


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(template(), id="a job needs no name"),
        pytest.param(applied(), id="Apply with a name"),
        pytest.param(applied(force=True), id="Apply by force"),
        pytest.param(applied("web-{{params.team}}"), id="a name with a variable is judged when it is known"),
        pytest.param(template(action="Delete", metadata={"name": "web"}), id="Delete with a name"),
        pytest.param(template(completion="Created"), id="a job that is done once it is there"),
    ],
)
def test_a_template_without_faults(good: dict[str, Any]) -> None:
    assert validate_template(decoded(good, WorkTemplateSpec)) == ()


@pytest.mark.parametrize(
    ("faulty", "path", "message"),
    [
        pytest.param(template(action="Apply"), "spec.metadata.name", "needs the name", id="Apply without a name"),
        pytest.param(template(action="Delete"), "spec.metadata.name", "needs the name", id="Delete without a name"),
        pytest.param(applied("Web_1"), "spec.metadata.name", "lower case letters", id="a name that none can have"),
        pytest.param(template(force=True), "spec.force", "set action: Apply", id="force without Apply"),
        pytest.param(
            template(action="Delete", metadata={"name": "web"}, completion="Ready"),
            "spec.completion",
            "when the object is gone",
            id="Delete with a completion",
        ),
        pytest.param(
            {**applied(), "gvr": {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"}},
            "spec.action",
            "nobody would be responsible",
            id="Apply of a Workflow",
        ),
    ],
)
def test_a_template_with_a_fault(faulty: dict[str, Any], path: str, message: str) -> None:
    (found,) = validate_template(decoded(faulty, WorkTemplateSpec))
    assert found.path == path
    assert message in found.message


@pytest.mark.parametrize(
    ("flow", "path"),
    [
        pytest.param({"templateSpec": template()}, "", id="a template in the flow"),
        pytest.param(
            {"templateSpec": template(), "template": "web"}, "spec.flows[0].template", id="and a name as well"
        ),
        pytest.param(
            {"templateSpec": template(gvr={**GVR, "resource": "Deployment"})},
            "spec.flows[0].templateSpec.gvr.resource",
            id="a fault of the template has its path in the flow",
        ),
        pytest.param(
            {"templateSpec": applied(), "for": {"replicas": 2}},
            "spec.flows[0].templateSpec.metadata.name",
            id="with for the name has to differ",
        ),
        pytest.param({"templateSpec": applied("web-{{index}}"), "for": {"replicas": 2}}, "", id="by the index"),
        pytest.param({"templateSpec": applied("web-{{item.name}}"), "for": ITEMS}, "", id="or by the item"),
        pytest.param(
            {"templateSpec": applied("web-{{item.name}}"), "for": {"replicas": 2}},
            "spec.flows[0].templateSpec.metadata.name",
            id="without items an item stays text, which is no name",
        ),
        pytest.param(
            {"templateSpec": applied("web-{{params.team}}-{{item.name}}"), "for": ITEMS, "parameters": TEAM},
            "",
            id="and by parameters beside it",
        ),
        pytest.param(
            {"templateSpec": applied("web-{{item}}"), "for": {"items": ["a", "No Good"]}},
            "spec.flows[0].templateSpec.metadata.name",
            id="an item that gives no name, though the first one does",
        ),
        pytest.param(
            {"templateSpec": applied("web-{{item}}"), "for": {"items": ["a", "b", "a"]}},
            "spec.flows[0].templateSpec.metadata.name",
            id="two items that give one name",
        ),
        pytest.param(
            {"templateSpec": template(action="Delete", metadata={"name": "web"}), "outputs": OUTPUTS},
            "spec.flows[0].outputs",
            id="outputs of what is deleted",
        ),
        pytest.param({"templateSpec": applied(), "outputs": OUTPUTS}, "", id="outputs of what is applied"),
        pytest.param(
            {"templateSpec": template(jobSpec={"replicas": "{{params.n}}"})},
            "spec.flows[0] (template a.templateSpec).jobSpec.replicas",
            id="a parameter without a value",
        ),
    ],
)
def test_a_template_in_a_flow(flow: dict[str, Any], path: str) -> None:
    reading = read(decoded({"flows": [{"name": "a", **flow}]}, WorkflowSpec))
    found = validate_workflow(reading) or validate_with_templates(reading)
    assert [one.path for one in found] == ([path] if path else [])


def test_a_template_that_a_flow_with_for_names_needs_the_index_too() -> None:
    spec = decoded({"flows": [{"name": "a", "template": "web", "for": {"replicas": 2}}]}, WorkflowSpec)
    (found,) = validate_with_templates(read(spec, {"web": decoded(applied(), WorkTemplateSpec)}))
    assert found.path == "spec.flows[0] (template web).metadata.name"
    assert "{{index}}" in found.message
