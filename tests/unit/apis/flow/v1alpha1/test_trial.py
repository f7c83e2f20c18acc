"""The first job of each flow is rendered for trial: what would fail it is a fault before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.faults import Faults
from pkg.apis.flow.v1alpha1.schema import Node, Schema, Type
from pkg.apis.flow.v1alpha1.trial import MAX_TRIED, render_faults
from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplateSpec
from pkg.apis.flow.v1alpha1.validation import read
from tests.manifests import decoded

JOB = {"group": "batch", "version": "v1", "resource": "jobs"}
SCHEMA = Schema(Node(Type.OBJECT, {"spec": Node(Type.OBJECT, {"n": Node(Type.INTEGER), "s": Node(Type.STRING)})}))


def faults(flow: dict[str, Any], job_spec: Any, **more: Any) -> list[tuple[str, str]]:
    """Path and message of each fault of a flow `a` with a template `a`."""
    spec = decoded({"flows": [{"name": "a", **flow}], **more}, WorkflowSpec)
    template = decoded(
        {"gvr": JOB, "jobSpec": job_spec, "parameters": [{"name": "p", "value": "many"}]}, WorkTemplateSpec
    )
    found = Faults(render_faults(read(spec, {"a": template}), None, {"a": SCHEMA}))
    return [(fault.path, fault.message) for fault in found]


@pytest.mark.parametrize(
    ("flow", "job_spec", "path", "message"),
    [
        pytest.param(
            {},
            {"n": "{{params.p}}"},
            "spec.flows[0] (template a).jobSpec.n",
            '{{params.p}} is "many", and this place takes an integer',
            id="a value that its place cannot take",
        ),
        pytest.param(
            {},
            {"x": "{{params.p | bool}}"},
            "spec.flows[0] (template a).jobSpec.x",
            '{{params.p | bool}} is "many", and | bool takes true or false',
            id="a conversion that its value cannot have",
        ),
        pytest.param(
            {"patch": {"n": "{{params.p}}"}},
            {},
            "spec.flows[0].patch.n",
            '{{params.p}} is "many", and this place takes an integer',
            id="the same in a patch",
        ),
        pytest.param(
            {},
            {"a": 1, "{{flow.name}}": 2},
            "spec.flows[0] (template a).jobSpec",
            "two keys become 'a'",
            id="two keys that become one",
        ),
        pytest.param(
            {"patch": [{"op": "test", "path": "/spec/s", "value": "y"}]},
            {"s": "x"},
            "spec.flows[0].patch[0]",
            "the test at '/spec/s' does not hold",
            id="a test that does not hold for the first job",
        ),
    ],
)
def test_what_would_fail_the_first_job(flow: dict[str, Any], job_spec: Any, path: str, message: str) -> None:
    assert faults(flow, job_spec) == [(path, message)]


@pytest.mark.parametrize(
    ("flow", "job_spec"),
    [
        pytest.param({}, {"s": "{{params.p}}", "n": "{{index}}"}, id="values that fit"),
        pytest.param({"for": {"replicas": 0}}, {"n": "{{params.p}}"}, id="a flow without jobs"),
        pytest.param({"parameters": [{"name": "p", "value": "3"}]}, {"n": "{{params.p}}"}, id="a value of the flow"),
        pytest.param({}, {"x": "{{flows.a.podIP}} {{workflow.uid}}"}, id="what only a run knows"),
        pytest.param({"template": "b"}, {"n": "{{params.p}}"}, id="a template that is missing"),
        pytest.param({"patch": [{"op": "x"}]}, {}, id="a patch that is a fault by itself"),
    ],
)
def test_what_is_no_fault(flow: dict[str, Any], job_spec: Any) -> None:
    assert faults(flow, job_spec) == []


def test_labels_and_annotations_of_a_template_are_rendered_too() -> None:
    metadata = {"labels": {"n": "{{params.p | int}}"}}
    template = decoded({"gvr": JOB, "metadata": metadata, "parameters": [{"name": "p", "value": ""}]}, WorkTemplateSpec)
    reading = read(decoded({"flows": [{"name": "a"}]}, WorkflowSpec), {"a": template})
    assert [fault.path for fault in render_faults(reading)] == ["spec.flows[0] (template a).metadata.labels.n"]


def test_equal_flows_are_tried_once_and_all_together_within_a_bound() -> None:
    note = "x" * 10_000
    flows = [{"name": f"f{at}", "template": "a", "patch": {"x": note, "n": "{{params.p}}"}} for at in range(300)]
    template = decoded({"gvr": JOB, "parameters": [{"name": "p", "value": "many"}]}, WorkTemplateSpec)
    reading = read(decoded({"flows": flows}, WorkflowSpec), {"a": template})
    found = list(render_faults(reading, None, {"a": SCHEMA}))
    assert 0 < len(found) <= MAX_TRIED // len(note)
    assert list(render_faults(reading)) == [], "without a schema every place takes everything"


def test_the_faults_of_a_faulty_template_are_reported_elsewhere() -> None:
    template = decoded({"gvr": JOB, "jobSpec": {"n": "{{index.x}}"}}, WorkTemplateSpec)
    reading = read(decoded({"flows": [{"name": "a"}]}, WorkflowSpec), {"a": template})
    assert [fault.path for fault in render_faults(reading)] == ["spec.flows[0] (template a).jobSpec.n"]
    assert list(render_faults(reading, faulty={"a"})) == []
