"""The examples of other kinds than Job: valid, rendered into what the real schema allows, clear on how they end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import validation
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Action, Flow, Workflow
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.render.render import render
from pkg.views.lint import lint
from pkg.workloads import pod_templates, registry, rules_for
from pkg.workloads.template_rules import compile_rules
from tests.manifests import decoded
from tests.unit.examples.loading import FILES, FOLDER, Example, load, unknown_fields
from tests.unit.workloads.test_schemas import CRDS, resolves, schema_of

#: Examples of what jobs hand to each other, which cluster tests apply.
DATA = ("items", "pipeline", "finally")
FAMILIES = ("volcano", "kubeflow", "ray", "spark", "jobset", "deployment-probe", "any-crd", "nested")
#: Objects that stay: tests/cluster/test_actions.py applies it twice.
STAYING = "apply-service"
#: Workflows that wait for a person: tests/cluster/test_approvals.py approves them.
WAITING = ("approval",)
#: CronWorkflows: tests/cluster/test_cron.py and test_production.py apply them and wait for a run.
SCHEDULED = ("cron", "pipeline-production")
EXAMPLES = {name: load(name) for name in FAMILIES}
each_example = pytest.mark.parametrize("name", FAMILIES)
each_flow = pytest.mark.parametrize(
    ("example", "flow"),
    [
        pytest.param(example, flow, id=f"{name}: {flow.name}")
        for name, example in EXAMPLES.items()
        for flow in example.workflow.spec.flows
    ],
)


def rendered(example: Example, flow: Flow, index: int = 0) -> dict[str, Any]:
    """The object of the first attempt."""
    template = example.template_of(flow)
    row = rules_for(template.spec.gvr.gvr)
    owner = msgspec.structs.replace(example.workflow.metadata, uid="0000-1111")
    body = render(
        msgspec.structs.replace(example.workflow, metadata=owner),
        flow,
        template,
        index=index,
        attempt=0,
        is_renamed=False,
        pod_ips={other.name: "127.64.0.9" for other in example.workflow.spec.flows},
        kind=row.kind,
        row=row,
    ).body
    made: dict[str, Any] = msgspec.json.decode(body)
    return made


def test_every_example_is_in_one_of_the_lists() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*FILES, *FAMILIES, *DATA, *WAITING, STAYING, *SCHEDULED}


@pytest.mark.parametrize("name", SCHEDULED)
def test_an_example_of_a_schedule_has_no_fault(name: str) -> None:
    file = FOLDER / f"{name}.yaml"
    assert lint({file.name: file.read_text("utf-8")}) == []


def test_the_example_of_objects_that_stay_has_no_fault_and_explains_its_flows() -> None:
    text = (FOLDER / f"{STAYING}.yaml").read_text("utf-8")
    assert lint({STAYING: text}) == []
    header, spec = text.split("\napiVersion:")[0], load(STAYING).workflow.spec
    assert [flow.name for flow in spec.flows if f"\n#   {flow.name} " not in header] == []
    assert {flow.template_spec.action for flow in spec.flows if flow.template_spec} == set(Action)


@pytest.mark.parametrize("name", WAITING)
def test_an_example_that_waits_for_a_person_has_no_fault_and_explains_its_flows(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    assert lint({name: text}) == []
    header, spec = text.split("\napiVersion:")[0], load(name).workflow.spec
    assert [flow.name for flow in spec.flows if f"\n#   {flow.name} " not in header] == []
    assert any(flow.approval is not None for flow in spec.flows)


@each_example
def test_it_explains_itself_first(name: str) -> None:
    header = EXAMPLES[name].text.split("\napiVersion:")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    assert "# Ends: workflow Succeeded" in header
    for flow in EXAMPLES[name].workflow.spec.flows:
        assert f"\n#   {flow.name} " in header


@each_example
def test_it_is_valid_and_has_no_unknown_field(name: str) -> None:
    example = EXAMPLES[name]
    specs = {key: template.spec for key, template in example.templates.items()}
    assert validation.validate_workflow(example.workflow.spec) == ()
    assert validation.validate_with_templates(validation.read(example.workflow.spec, specs)) == ()
    for document in example.documents:
        if document["kind"] == "CustomResourceDefinition":
            continue
        owner = example.workflow if document["kind"] == "Workflow" else example.templates[document["metadata"]["name"]]
        assert unknown_fields(owner.spec, document["spec"], "spec") == []
    for template in example.templates.values():
        assert validation.validate_template(template.spec) == ()
        if template.spec.status_rules is not None:
            assert compile_rules(template).fault == ""
    assert {flow.template_name for flow in example.workflow.spec.flows} <= set(example.templates)


@each_example
def test_it_says_how_every_flow_ends(name: str) -> None:
    expected = EXAMPLES[name].expected
    assert WorkflowPhase(expected["phase"]) is WorkflowPhase.SUCCEEDED
    assert list(expected["flows"]) == [flow.name for flow in EXAMPLES[name].workflow.spec.flows]
    assert {Phase(phase) for phase in expected["flows"].values()} <= {Phase.SUCCEEDED, Phase.FAILED}
    assert expected["attempts"].keys() == expected["flows"].keys()


@each_flow
def test_our_labels_and_variables_reach_its_pods(example: Example, flow: Flow) -> None:
    body = rendered(example, flow)
    row = rules_for(example.template_of(flow).spec.gvr.gvr)
    templates = pod_templates(row, body)
    makes_pods = bool(row.pod_templates) and body["kind"] != "SparkApplication"
    assert bool(templates) is makes_pods
    for template in templates:
        assert template["metadata"]["labels"]["flow.workflow.sh/flow"] == flow.name
        env = {item["name"]: item["value"] for item in template["spec"]["containers"][0]["env"]}
        assert env["WORKFLOW_FLOW"] == flow.name
    if body["kind"] == "SparkApplication":
        assert body["spec"]["driver"]["labels"]["flow.workflow.sh/flow"] == flow.name
        assert body["spec"]["executor"]["labels"]["flow.workflow.sh/flow"] == flow.name


@each_flow
def test_the_object_fits_the_real_schema(example: Example, flow: Flow) -> None:
    body = rendered(example, flow)
    gvr = example.template_of(flow).spec.gvr.gvr
    path = CRDS / f"{gvr.group}_{gvr.resource}.yaml"
    if not path.exists():
        pytest.skip(f"no copy of its schema: {path.name}")
    schema = schema_of(path, gvr.version)
    assert [place for place in places(body["spec"], ("spec",)) if not resolves(schema, place)] == []
    assert missing(body["spec"], schema["properties"]["spec"], "spec") == []


def places(node: Any, trail: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The path of every field that is set, list items left out."""
    if isinstance(node, dict) and node:
        return [place for key, value in node.items() for place in places(value, (*trail, key))]
    if isinstance(node, list):
        return []
    return [trail]


def missing(node: Any, schema: dict[str, Any], trail: str) -> list[str]:
    """Fields that the schema requires and the object has not."""
    if isinstance(node, list):
        return [slip for at, one in enumerate(node) for slip in missing(one, schema.get("items", {}), f"{trail}[{at}]")]
    if not isinstance(node, dict):
        return []
    found = [f"{trail}.{key}" for key in schema.get("required", ()) if key not in node]
    for key, value in node.items():
        inner = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
        if isinstance(inner, dict):
            found.extend(missing(value, inner, f"{trail}.{key}"))
    return found


def test_the_nested_workflow_is_valid_itself() -> None:
    example = EXAMPLES["nested"]
    body = rendered(example, example.workflow.spec.flows[0])
    inner = decoded({**body, "metadata": {"name": "inner"}}, Workflow)
    assert validation.validate_workflow(inner.spec) == ()
    assert inner.spec.parameters[0].value == "north"


def test_together_they_show_eight_kinds_and_more() -> None:
    kinds = {template.spec.gvr.gvr for example in EXAMPLES.values() for template in example.templates.values()}
    known = {gvr for gvr in kinds if rules_for(gvr) is not registry().generic}
    assert GVR("any-crd.example.com", "v1", "backups") in kinds - known
    assert len(known) >= 8
