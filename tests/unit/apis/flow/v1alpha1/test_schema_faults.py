"""What the form of a manifest has that the API does not allow, in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from pkg.apis.flow.v1alpha1.schema_faults import schema_faults
from pkg.apis.flow.v1alpha1.types import Retry, WorkflowSpec, WorkTemplateSpec

GVR = "gvr: {group: batch, version: v1, resource: jobs}"


def said(text: str, kind: Any) -> list[str]:
    return [f"{fault.path}: {fault.message}" for fault in schema_faults(yaml.safe_load(text), kind, "spec")]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param("flows: [{name: a, for: {replicas: 2}, timeout: 1h30m}]", [], id="what fits"),
        pytest.param("flows: [{name: a, dependsOn: null, timeout: null}]", [], id="null is a field that is left out"),
        pytest.param(
            "flow: [{name: a}]",
            ["spec.flow: there is no such field; did you mean flows?", "spec.flows: must be given"],
            id="a field with a slip",
        ),
        pytest.param(
            "flows: [{name: a, for: {count: 3}}]",
            [
                "spec.flows[0].for.count: there is no such field; the fields here are replicas, items, itemsFrom,"
                " parallelism, dependsOn"
            ],
            id="a field like none",
        ),
        pytest.param(
            "flows: [{name: a, retry: {limit: 3}}]",
            ["spec.flows[0].retry.limit: there is no such field; did you mean maxRetries?"],
            id="the word of another engine",
        ),
        pytest.param(
            "{flows: [{name: a}], successPolicy: {type: all}}",
            ['spec.successPolicy.type: must be one of All, Any, Critical, not "all"; did you mean All?'],
            id="a word with another case",
        ),
        pytest.param(
            "{flows: [{name: a}], jobRetainPolicy: keep}",
            ['spec.jobRetainPolicy: must be one of retain, delete, delete-on-success, not "keep"'],
            id="a word like none",
        ),
        pytest.param(
            "{flows: [{name: a}], timeout: 1d}",
            ['spec.timeout: must be a duration such as 90s, 5m or 1h30m (units: h, m, s, ms, us, ns), not "1d"'],
            id="a duration in days",
        ),
        pytest.param(
            "{flows: [{name: a}], timeout: 60}",
            ["spec.timeout: must be a duration such as 90s, 5m or 1h30m (units: h, m, s, ms, us, ns), not 60"],
            id="a duration without a unit",
        ),
        pytest.param(
            "{flows: [{name: Train_1}]}",
            [
                'spec.flows[0].name: must be lower case letters, digits and "-", such as train-1, and begin and end '
                'with a letter or digit, not "Train_1"'
            ],
            id="a name that is no DNS label",
        ),
        pytest.param(
            "{flows: [{name: a, for: 3}]}",
            [
                "spec.flows[0].for: must be an object, not 3; its fields are replicas, items, itemsFrom, parallelism,"
                " dependsOn"
            ],
            id="a number in place of an object",
        ),
        pytest.param(
            "{flows: [{name: a, dependsOn: {targets: b}}]}",
            ['spec.flows[0].dependsOn.targets: must be a list, not "b"'],
            id="a text in place of a list, in a field that is kept as text",
        ),
        pytest.param(
            "{flows: [{name: a}], parameters: [{name: x, value: 1}]}",
            ['spec.parameters[0].value: must be a string, not 1; write it in quotes: "1"'],
            id="a parameter that is a number",
        ),
        pytest.param(
            "{flows: [{name: a, retry: {maxRetries: '3'}}], suspend: 'yes', parallelism: 1.5}",
            [
                'spec.flows[0].retry.maxRetries: must be a whole number, without quotes, not "3"',
                "spec.parallelism: must be a whole number, without quotes, not 1.5",
                'spec.suspend: must be true or false, without quotes, not "yes"',
            ],
            id="numbers and truth in quotes",
        ),
        pytest.param(
            "{flows: [{name: a, for: {replicas: 20000}}], parallelism: 0}",
            [
                "spec.flows[0].for.replicas: must be at most 10,000, not 20000",
                "spec.parallelism: must be at least 1, not 0",
            ],
            id="numbers out of their bounds",
        ),
        pytest.param("flows: []", ["spec.flows: must have at least 1 item"], id="too few items"),
        pytest.param("flows: [{name: ''}]", ["spec.flows[0].name: must not be empty"], id="an empty name"),
        pytest.param("flows: [7, .nan]", 2 * ["must be an object"], id="items that are no objects"),
        pytest.param("{flows: [{name: a}], parallelism: .inf}", ["spec.parallelism: must be a"], id="infinity"),
        pytest.param("[a]", ["spec: must be an object, not a list; its fields are flows, "], id="a list"),
    ],
)
def test_of_a_workflow(text: str, faults: list[str]) -> None:
    found = said(text, WorkflowSpec)
    assert len(found) == len(faults), found
    assert all(expected in one for one, expected in zip(found, faults, strict=True)), found


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param(f"{{{GVR}, jobSpec: {{a: [1, null, {{}}]}}}}", [], id="a jobSpec may hold anything"),
        pytest.param(
            "gvr: {group: batch, version: v1, kind: Job}",
            ["spec.gvr.kind: there is no such field; did you mean resource?", "spec.gvr.resource: must be given"],
            id="a kind in place of a resource",
        ),
        pytest.param(
            f"{{{GVR}, statusRules: {{succeeded: []}}}}",
            ["spec.statusRules.succeeded: there is no such field; did you mean ok?"],
            id="a state that rules do not have",
        ),
        pytest.param(
            f"{{{GVR}, metadata: {{labels: {{a: 1}}}}}}",
            ['spec.metadata.labels.a: must be a string, not 1; write it in quotes: "1"'],
            id="a label that is a number",
        ),
        pytest.param(
            f"{{{GVR}, jobSpec: []}}", ["spec.jobSpec: must be an object, not a list"], id="a jobSpec of a list"
        ),
    ],
)
def test_of_a_template(text: str, faults: list[str]) -> None:
    assert said(text, WorkTemplateSpec) == faults


@pytest.mark.parametrize("kind", [WorkflowSpec, WorkTemplateSpec], ids=lambda kind: str(kind.__name__))
def test_every_field_of_the_api_is_known(kind: Any) -> None:
    """A type that the walk does not know would go unchecked."""
    for field in msgspec.structs.fields(kind):
        found = {fault.path for fault in schema_faults({field.encode_name: object()}, kind, "spec")}
        assert f"spec.{field.encode_name}" in found


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        pytest.param(2, "", id="a whole number"),
        pytest.param(2.0, "", id="a whole number with a point"),
        pytest.param("1.5", "", id="a fraction in quotes"),
        pytest.param(1.5, 'must be a whole number, or a fraction in quotes: write "1.5"', id="a fraction"),
        pytest.param("0.5", 'such as "1.5", not "0.5"', id="below 1"),
        pytest.param(0, "must be at least 1, not 0", id="zero"),
        pytest.param(101, "must be at most 100, not 101", id="above 100"),
        pytest.param(True, "must be a whole number, without quotes, not true", id="a switch"),
    ],
)
def test_a_number_that_may_have_a_fraction(factor: Any, message: str) -> None:
    found = [fault.message for fault in schema_faults({"factor": factor}, Retry, "retry")]
    assert len(found) == bool(message)
    assert all(message in text for text in found)
