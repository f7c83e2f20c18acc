"""Values of parameters that hold variables: what they mean in each scope, and what cannot be."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.parameters import Resolved, Scopes, counted, reached
from pkg.apis.flow.v1alpha1.types import Parameter, Parameters
from pkg.apis.flow.v1alpha1.variables import VariableError

PLAIN = {"workflow.name": "nightly", "index": "3", "flows.a.podIP": "10.0.0.7"}
PATHS = ("template.parameters", "workflow.parameters", "flow.parameters")


def parameters(**given: str) -> Parameters:
    return tuple(Parameter(name, value) for name, value in given.items())


def resolved(template: Parameters = (), workflow: Parameters = (), flow: Parameters = ()) -> Resolved:
    return Resolved(PLAIN, lambda: Scopes(template, workflow, flow), PATHS)


@pytest.mark.parametrize(
    ("template", "workflow", "flow", "value"),
    [
        pytest.param({"x": "t"}, {}, {}, "t", id="the template's default"),
        pytest.param({"x": "t"}, {"x": "w"}, {"x": "f"}, "f", id="the flow's value counts first"),
        pytest.param({"x": "t"}, {"x": "w"}, {}, "w", id="then the workflow's"),
        pytest.param({"x": "/{{workflow.name}}/{{index}}"}, {}, {}, "/nightly/3", id="variables in a default"),
        pytest.param({}, {}, {"x": "http://{{flows.a.podIP}}"}, "http://10.0.0.7", id="a pod address in a value"),
        pytest.param({"y": "t"}, {"y": "w"}, {"x": "{{params.y}}1", "y": "f"}, "w1", id="params means the outer scope"),
        pytest.param({"y": "t"}, {"x": "{{params.y}}", "y": "w"}, {}, "t", id="of the workflow: the template's"),
        pytest.param({"z": "t"}, {"y": "{{params.z}}2"}, {"x": "{{params.y}}1"}, "t21", id="through all three scopes"),
        pytest.param(
            {}, {"y": "{{{{index}}}}"}, {"x": "{{params.y}}"}, "{{index}}", id="what is put in is not scanned"
        ),
        pytest.param({}, {}, {"x": "{{{{index}}}}"}, "{{index}}", id="a literal"),
        pytest.param({}, {}, {"x": "{{ .Values.x }}"}, "{{ .Values.x }}", id="foreign braces stay"),
    ],
)
def test_the_value_of_a_parameter(
    template: dict[str, str], workflow: dict[str, str], flow: dict[str, str], value: str
) -> None:
    values = resolved(parameters(**template), parameters(**workflow), parameters(**flow))
    assert values.get("params.x") == value
    assert values.get("params.x") == value, "asked for again"


@pytest.mark.parametrize(
    ("template", "workflow", "flow", "path", "message"),
    [
        pytest.param(
            {}, {"x": "1"}, {"x": "{{params.x}}0"}, "flow.parameters[0].value", "which is itself", id="itself"
        ),
        pytest.param(
            {}, {}, {"x": "{{params.y}}", "y": "1"}, "flow.parameters[0].value", "can use only these", id="same"
        ),
        pytest.param(
            {}, {"yy": "1"}, {"x": "{{params.y}}"}, "flow.parameters[0].value", 'mean "yy"?', id="a near miss"
        ),
        pytest.param({"x": "{{params.y}}"}, {"y": "1"}, {}, "template.parameters[0].value", "no other", id="a default"),
        pytest.param({}, {"x": "{{params.x}}"}, {}, "workflow.parameters[0].value", "which is itself", id="workflow"),
        pytest.param({}, {}, {"x": "{{index | bool}}"}, "flow.parameters[0].value", "true or false", id="a conversion"),
        pytest.param({}, {}, {"x": "{{flow.nme}}"}, "flow.parameters[0].value", 'mean "flow.name"?', id="no variable"),
        pytest.param({}, {}, {"x": "{{flows.b.podIP}}"}, "flow.parameters[0].value", "no pod address", id="no address"),
    ],
)
def test_a_value_that_cannot_be_made_names_its_place(
    template: dict[str, str], workflow: dict[str, str], flow: dict[str, str], path: str, message: str
) -> None:
    values = resolved(parameters(**template), parameters(**workflow), parameters(**flow))
    with pytest.raises(VariableError) as caught:
        values.get("params.x")
    assert caught.value.path == path
    assert message in caught.value.message


def test_a_value_that_nothing_uses_is_never_made() -> None:
    assert resolved(flow=parameters(x="1", broken="{{params.nope}}")).get("params.x") == "1"


def test_values_in_values_cannot_grow_without_bound() -> None:
    big = parameters(a="x" * 16_000)
    middle = parameters(b="{{params.a}}" * 1_300)
    with pytest.raises(VariableError, match="exceed"):
        resolved(big, middle, parameters(c="{{params.b}}" * 1_300)).get("params.c")
    many = parameters(**{f"p{number}": "{{params.a}}" * 100 for number in range(10)})
    values = resolved(big, many)
    with pytest.raises(VariableError, match="exceed"):
        [values.get(f"params.p{number}") for number in range(10)]


def test_what_the_values_of_parameters_use() -> None:
    scopes = Scopes(
        parameters(z="{{flows.a.podIP}}", shadowed="{{flows.b.podIP}}"),
        parameters(y="{{params.z}}", unused="{{flows.c.podIP}}", shadowed="plain"),
        parameters(x="{{params.y}}{{index}}"),
    )
    assert [use.token.name for use in reached(["x", "shadowed", "nope"], scopes)] == [
        "params.y",
        "index",
        "params.z",
        "flows.a.podIP",
    ]
    assert counted(["x"], scopes) == {(2, "x"), (1, "y"), (0, "z")}
