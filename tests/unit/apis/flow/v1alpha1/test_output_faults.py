"""Outputs that cannot be, and outputs that are used and do not exist."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.validation import (
    read,
    validate_cycles,
    validate_values,
    validate_with_templates,
    validate_workflow,
)
from pkg.workloads.output_rules import expression_faults
from tests.builders import POD, TEMPLATES, template, wf

X: dict[str, Any] = {"name": "x", "from": {"path": "status.x"}}
USES = {"patch": {"metadata": {"annotations": {"n": "{{flows.a.outputs.x}}"}}}}


def patched(text: str) -> dict[str, Any]:
    return {"patch": {"metadata": {"annotations": {"n": text}}}}


def faults(**flows: Any) -> list[str]:
    spec = wf(**flows).spec
    found = [str(one) for one in validate_workflow(spec)]
    found += [str(one) for at, flow in enumerate(spec.flows) for one in expression_faults(flow, f"spec.flows[{at}]")]
    return found


FAULTY: dict[str, tuple[dict[str, Any], str]] = {
    "no source": (
        {"a": {"outputs": [{"name": "x", "from": {}}]}},
        "[0].outputs[0].from: an output has exactly one of path, cel or terminationMessage; this one has none",
    ),
    "two sources": (
        {"a": {"outputs": [{"name": "x", "from": {"path": "status.x", "cel": "object.status.x"}}]}},
        "this one has path and cel",
    ),
    "a name twice": (
        {"a": {"outputs": [X, X]}},
        'output "x" is given twice, first in spec.flows[0].outputs[0]; keep one',
    ),
    "a path with a leading dot": (
        {"a": {"outputs": [{"name": "x", "from": {"path": ".status.x"}}]}},
        "spec.flows[0].outputs[0].from.path: '.status.x' is no path at '.status.x'; leave the leading dot out",
    ),
    "a path from somewhere else": (
        {"a": {"outputs": [{"name": "x", "from": {"path": "data.x"}}]}},
        "a path starts with status, spec or metadata",
    ),
    "metadata that nobody keeps": (
        {"a": {"outputs": [{"name": "x", "from": {"path": "metadata.managedFields"}}]}},
        "of metadata only name, namespace",
    ),
    "CEL that does not compile": (
        {"a": {"outputs": [{"name": "x", "from": {"cel": "object.status["}}]}},
        "spec.flows[0].outputs[0].from.cel: line 1",
    ),
    "CEL that looks at no object": (
        {"a": {"outputs": [{"name": "x", "from": {"cel": "1 + 1"}}]}},
        "does not look at `object`",
    ),
    "a path into a message that is none": (
        {"a": {"outputs": [{"name": "x", "from": {"terminationMessage": {"path": "a[*]"}}}]}},
        "spec.flows[0].outputs[0].from.terminationMessage.path: 'a[*]' is no path",
    ),
    "an output that the flow does not have": (
        {"a": {"outputs": [X]}, "b": patched("{{flows.a.outputs.y}}")},
        'spec.flows[1].patch.metadata.annotations.n: flow "a" has no output "y"; it has x',
    ),
    "a flow without outputs": (
        {"a": {}, "b": patched("{{flows.a.outputs.y}}")},
        'flow "a" has no output "y"; it has none',
    ),
    "an output of no flow": ({"b": patched("{{flows.a.outputs.y}}")}, 'no flow is named "a"'),
    "its own output": ({"a": {"outputs": [X], **USES}}, "a flow cannot use its own output: that is there once"),
    "an item of one value": (
        {"a": {"outputs": [X]}, "b": patched("{{flows.a.outputs.x[0]}}")},
        'flow "a" has no for, so its output x is one value; leave [0] out',
    ),
    "an item past the end": (
        {"a": {"for": {"replicas": 2}, "outputs": [X]}, "b": patched("{{flows.a.outputs.x[2]}}")},
        'flow "a" has the indexes 0 to 1, so there is no [2]',
    ),
    "more indexes than the other flow has": (
        {
            "a": {"for": {"replicas": 2}, "outputs": [X]},
            "b": {"for": {"replicas": 3}, **patched("{{flows.a.outputs.x[index]}}")},
        },
        "so there is no [2]",
    ),
    "a slip in the word outputs": (
        {"a": {"outputs": [X]}, "b": patched("{{flows.a.output.x}}")},
        'did you mean "flows.a.outputs.x"?',
    ),
    "a circle": (
        {"a": {"outputs": [X], **patched("{{flows.b.outputs.x}}")}, "b": {"outputs": [X], **USES}},
        "these flows wait for each other in a circle: a -> b -> a; remove one of the dependencies",
    ),
    "a circle through a condition": (
        {"a": {"when": "flows.b.failed > 0"}, "b": {"dependsOn": {"targets": ["a"]}}},
        "these flows wait for each other in a circle: a -> b -> a",
    ),
    "a condition over an unknown flow": (
        {"a": {"when": "flows.bb.failed > 0"}, "b": {}},
        'spec.flows[0].when: no flow is named "bb"; did you mean "b"?',
    ),
    "a condition over an unknown output": (
        {"a": {"outputs": [X]}, "b": {"when": "outputs.a.y == '1'"}},
        'spec.flows[1].when: flow "a" has no output "y"',
    ),
    "a condition that gives no answer": ({"a": {"when": "index + 1"}}, "spec.flows[0].when: the expression gives INT"),
    "a condition that does not compile": ({"a": {"when": "index >"}}, "spec.flows[0].when: line 1, column"),
    "a condition with braces": ({"a": {"when": "{{params.x}} == 1"}}, "variables are written without braces"),
    "a condition over all flows": ({"a": {"when": "size(flows) > 1"}}, "flows: name a flow and one of phase"),
    "a condition that costs too much": (
        {"a": {"outputs": [X]}, "b": {"when": " && ".join([f"outputs.a.x.matches('{'a' * 110}')"] * 7)}},
        "300,000 are allowed",
    ),
}


@pytest.mark.parametrize(("flows", "message"), FAULTY.values(), ids=FAULTY)
def test_what_is_wrong_is_said_with_its_place(flows: dict[str, Any], message: str) -> None:
    found = faults(**flows)
    assert any(message in one for one in found), found


def test_a_valid_workflow_has_no_faults() -> None:
    assert faults(a={"outputs": [X, {**X, "name": "y", "default": ""}]}, b={**USES, "when": "outputs.a.y == ''"}) == []


@pytest.mark.parametrize("is_webhook", [pytest.param(True, id="the webhook"), pytest.param(False, id="the controller")])
def test_outputs_of_secrets_are_refused(is_webhook: bool) -> None:
    secret = template("secret", jobSpec={}).spec
    made = wf(a={"template": "secret", "outputs": [X]})
    gvr = type(secret.gvr)(version="v1", resource="secrets")
    reading = read(made.spec, {"secret": msgspec.structs.replace(secret, gvr=gvr)})
    found = validate_with_templates(reading) if is_webhook else validate_cycles(reading)
    assert "outputs of Secrets are not allowed" in str(found[0])


def test_an_output_of_a_template_and_of_a_parameter_is_checked_as_well() -> None:
    uses = template("uses", jobSpec={**POD, "x": "{{flows.a.outputs.y}} {{params.p}}"}).spec
    made = wf(
        a={"outputs": [X]}, b={"template": "uses", "parameters": [{"name": "p", "value": "{{flows.a.outputs.z}}"}]}
    )
    found = [str(one) for one in validate_with_templates(read(made.spec, {"uses": uses, "job": TEMPLATES["job"].spec}))]
    assert any('flow "a" has no output "y"' in one for one in found)
    assert any('flow "a" has no output "z"' in one for one in found)


def test_a_circle_through_a_template_is_shown_with_its_path() -> None:
    uses = template("uses", jobSpec={**POD, "x": "{{flows.b.outputs.x}}"}).spec
    made = wf(a={"template": "uses", "outputs": [X]}, b={"outputs": [X], "dependsOn": {"targets": ["a"]}})
    found = [str(one) for one in validate_cycles(read(made.spec, {"uses": uses}))]
    assert any("a -> b -> a" in one for one in found)


def test_a_parameter_in_a_condition_needs_a_value() -> None:
    made = wf(a={"when": "params.limit == '1'"})
    found = [str(one) for one in validate_values(read(made.spec, {"job": TEMPLATES["job"].spec}))]
    assert found == [
        'spec.flows[0].when: no parameter is named "limit"; give it in the flow, in spec.parameters or in the template'
    ]
