"""`for.items`: what `{{item}}` stands for, and what is wrong with a list."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1 import cost, variables
from pkg.apis.flow.v1alpha1.edges import TemplateEdges
from pkg.apis.flow.v1alpha1.faults import Faults
from pkg.apis.flow.v1alpha1.items import WithItem
from pkg.apis.flow.v1alpha1.parameters import Resolved, Scopes
from pkg.apis.flow.v1alpha1.schema import Node, Schema, Type
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.substitution import Places, substitute
from pkg.apis.flow.v1alpha1.trial import render_faults
from pkg.apis.flow.v1alpha1.types import Parameter, WorkflowSpec, WorkTemplateSpec
from pkg.apis.flow.v1alpha1.validation import read, validate_workflow
from pkg.apis.flow.v1alpha1.variables import Foreign, Known, UnknownItem, VariableError
from pkg.webhooks.admit.items import without_items
from tests.manifests import decoded

JOB = {"group": "batch", "version": "v1", "resource": "jobs"}
SIZED: dict[str, Any] = {"name": "us", "size": 4, "share": 0.5, "spot": True, "zones": ["a", "b"], "none": None}
SCHEMA = Schema(
    Node(
        Type.OBJECT,
        {
            "int": Node(Type.INTEGER),
            "number": Node(Type.NUMBER),
            "text": Node(Type.STRING),
            "object": Node(Type.OBJECT),
            "list": Node(Type.ARRAY),
            "either": Node(Type.INT_OR_STRING),
        },
    )
)


def spec(items: Any, **flow: Any) -> WorkflowSpec:
    return decoded({"flows": [{"name": "a", "for": {"items": items}, **flow}]}, WorkflowSpec)


def template(job_spec: Any) -> WorkTemplateSpec:
    return decoded({"gvr": JOB, "jobSpec": job_spec}, WorkTemplateSpec)


def filled(tree: Any, item: Any, schema: Schema = SCHEMA, **params: str) -> Any:
    scopes = Scopes(flow=tuple(Parameter(name, value) for name, value in params.items()))
    values = Resolved(WithItem({"index": "3"}, item, 3), lambda: scopes, ("t", "w", "f"))
    return substitute(tree, values, "", Places(schema))


@pytest.mark.parametrize(
    ("text", "token"),
    [
        pytest.param("{{item}}", Known("item"), id="the item"),
        pytest.param("{{ item.a-b.c_d | json }}", Known("item.a-b.c_d", "json"), id="a key of a key"),
        pytest.param("{{item.}}", UnknownItem("item."), id="a dot without a key"),
        pytest.param("{{item.a b}}", UnknownItem("item.a b"), id="a key with a blank"),
        pytest.param("{{item | upper}}", UnknownItem("item | upper"), id="no such conversion"),
        pytest.param("{{items}}", Foreign("items"), id="another word"),
    ],
)
def test_tokens(text: str, token: variables.Token) -> None:
    assert list(variables.tokens(text)) == [token]


@pytest.mark.parametrize(
    ("tree", "item", "expected"),
    [
        pytest.param({"x": "s3://{{item}}/{{index}}"}, "eu", {"x": "s3://eu/3"}, id="text inside of text"),
        pytest.param({"x": "{{item}}"}, "eu", {"x": "eu"}, id="text alone"),
        pytest.param({"x": "{{item}}"}, 0.5, {"x": 0.5}, id="a number keeps its type where no schema tells"),
        pytest.param({"x": "{{item}}"}, SIZED, {"x": SIZED}, id="an object is put in as a whole"),
        pytest.param({"object": "{{item}}"}, SIZED, {"object": SIZED}, id="an object, where the schema has one"),
        pytest.param({"list": "{{item.zones}}"}, SIZED, {"list": ["a", "b"]}, id="a list within an object"),
        pytest.param({"x": "{{item.none}}"}, SIZED, {"x": None}, id="null within an object"),
        pytest.param({"x": "{{item.spot}}"}, SIZED, {"x": True}, id="true within an object"),
        pytest.param({"int": "{{item.size}}"}, SIZED, {"int": 4}, id="an integer, where the schema has one"),
        pytest.param({"number": "{{item.share}}"}, SIZED, {"number": 0.5}, id="a number, where the schema has one"),
        pytest.param({"either": "{{item.size}}"}, SIZED, {"either": 4}, id="an integer or a string"),
        pytest.param({"text": "{{item.size}}"}, SIZED, {"text": "4"}, id="a number as text, where the schema has that"),
        pytest.param({"text": "{{item.zones}}"}, SIZED, {"text": '["a","b"]'}, id="a list as JSON text"),
        pytest.param({"args": ["{{item.size}}"]}, SIZED, {"args": ["4"]}, id="arguments are text"),
        pytest.param({"x": "{{item.size | string}}"}, SIZED, {"x": "4"}, id="a conversion"),
        pytest.param({"x": "{{item | json}}"}, '{"a": 1}', {"x": {"a": 1}}, id="text that is JSON"),
        pytest.param({"x": "{{item}}"}, "{{index}}", {"x": "{{index}}"}, id="what was put in is not scanned again"),
        pytest.param({"x": "{{{{item}}}}"}, "eu", {"x": "{{item}}"}, id="a literal"),
        pytest.param({"{{item.name}}": 1}, SIZED, {"us": 1}, id="in a key"),
    ],
)
def test_what_an_item_becomes(tree: Any, item: Any, expected: Any) -> None:
    found = filled(tree, item)
    assert found == expected
    assert type(next(iter(found.values()))) is type(next(iter(expected.values())))


def test_a_parameter_may_hold_an_item() -> None:
    assert filled({"text": "{{params.p}}"}, SIZED, p="{{item.name}}-{{item.size}}") == {"text": "us-4"}


@pytest.mark.parametrize(
    ("tree", "item", "message"),
    [
        pytest.param(
            {"x": "{{item.sha}}"},
            {"name": "us", "size": 4},
            "{{item.sha}} has no value in item 3: item has the keys name, size",
            id="a key that is missing",
        ),
        pytest.param(
            {"x": "{{item.name.first}}"},
            {"name": "us"},
            "{{item.name.first}} has no value in item 3: item.name is us, which has no keys",
            id="a key of what is no object",
        ),
        pytest.param({"x": "{{item.a}}"}, {}, "{{item.a}} has no value in item 3: item has no keys", id="no keys"),
        pytest.param(
            {"int": "{{item}}"}, SIZED["zones"], '{{item}} is "["a","b"]", and this place takes an integer', id="a type"
        ),
        pytest.param(
            {"x": "{{item.}}"},
            SIZED,
            "{{item.}} is no variable; write {{item}}, or {{item.key.sub}} for a part of an object",
            id="a name that leads nowhere",
        ),
    ],
)
def test_what_an_item_cannot_become(tree: Any, item: Any, message: str) -> None:
    with pytest.raises(VariableError) as caught:
        filled(tree, item)
    assert caught.value.message == message


@pytest.mark.parametrize("text", ["{{item}}", "{{item.a}}", "{{item.}}", "{{item | upper}}"])
def test_elsewhere_an_item_is_left_alone(text: str) -> None:
    values = Resolved({"index": "3"}, Scopes, ("t", "w", "f"))
    assert substitute({"x": text, "y": "{{index}}"}, values) == {"x": text, "y": 3}


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        pytest.param({"for": {"items": ["a", 1, 0.5, True, {"b": []}, ["c"]]}}, [], id="any values"),
        pytest.param({"for": {"items": []}}, [], id="an empty list"),
        pytest.param(
            {"for": {"items": ["a"], "replicas": 1}},
            [
                "spec.flows[0].for.items: a flow has one of replicas, items and itemsFrom, and this one has replicas"
                " and items; keep one"
            ],
            id="items and replicas",
        ),
        pytest.param(
            {"for": {"items": ["a", None]}},
            ["spec.flows[0].for.items[1]: an empty item; write a string, a number or an object, or remove it"],
            id="an item without a value",
        ),
        pytest.param(
            {"for": {"items": ["a"]}, "patch": {"spec": {"x": "{{item.}}"}}},
            ["spec.flows[0].patch.spec.x: {{item.}} is no variable; write {{item}}, or {{item.key.sub}} for a part of"
             " an object"],
            id="a variable of an item that leads nowhere",
        ),
        pytest.param({"patch": {"spec": {"x": "{{item.}}"}}}, [], id="the same in a flow without items"),
    ],
)  # fmt: skip
def test_faults_of_the_list(flow: dict[str, Any], expected: list[str]) -> None:
    found = validate_workflow(decoded({"flows": [{"name": "a", **flow}]}, WorkflowSpec))
    assert [str(fault) for fault in found] == expected


@pytest.mark.parametrize(
    ("items", "job_spec", "expected"),
    [
        pytest.param(["a", "b"], {"x": "{{item}}"}, [], id="text fits everywhere"),
        pytest.param(
            [{"n": 1}, {"n": 2}, {"m": 3}],
            {"x": "file-{{item.n}}"},
            ["spec.flows[0] (template a).jobSpec.x: {{item.n}} has no value in item 2: item has the keys m (with"
             " spec.flows[0].for.items[2])"],
            id="an item that lacks a key",
        ),
        pytest.param(
            [1, "x"],
            {"x": "{{item | int}}"},
            ['spec.flows[0] (template a).jobSpec.x: {{item | int}} is "x", and | int takes an integer (with'
             " spec.flows[0].for.items[1])"],
            id="an item of another type",
        ),
        pytest.param([], {"x": "{{item.n}}"}, [], id="an empty list makes no job"),
    ],
)  # fmt: skip
def test_every_item_is_tried(items: list[Any], job_spec: Any, expected: list[str]) -> None:
    reading = read(spec(items), {"a": template(job_spec)})
    assert [str(fault) for fault in Faults(render_faults(reading))] == expected


@pytest.mark.parametrize(
    ("flow", "job_spec", "expected"),
    [
        pytest.param({}, {"x": ["{{item.a}}"]}, ["spec.flows[0] (template a).jobSpec.x[0]"], id="in the template"),
        pytest.param({"patch": {"x": "{{item}}"}}, {}, ["spec.flows[0].patch.x"], id="in a patch"),
        pytest.param(
            {"parameters": [{"name": "p", "value": "{{item}}"}]}, {}, ["spec.flows[0].parameters[0]"], id="in a value"
        ),
        pytest.param({"for": {"items": ["a"]}}, {"x": "{{item}}"}, [], id="a flow with items"),
        pytest.param({}, {"x": "{{{{item}}}} and an item"}, [], id="text"),
    ],
)
def test_the_webhook_warns_where_an_item_is_left_alone(flow: Any, job_spec: Any, expected: list[str]) -> None:
    reading = read(decoded({"flows": [{"name": "a", **flow}]}, WorkflowSpec), {"a": template(job_spec)})
    assert [fault.path for fault in without_items(reading)] == expected


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        pytest.param({"items": ["a", 2]}, {"items": ["a", 2.0]}, True, id="2 and 2.0 are one number"),
        pytest.param({"items": ["a", "b"]}, {"items": ["b", "a"]}, False, id="the order counts"),
        pytest.param({"items": ["1"]}, {"items": [1]}, False, id="text is no number"),
        pytest.param({"items": []}, {}, False, id="an empty list is not one task"),
        pytest.param({"items": [{"a": 1, "b": 2}]}, {"items": [{"b": 2, "a": 1}]}, True, id="the order of keys"),
        pytest.param({"replicas": 1}, {}, True, id="replicas 1 is the default"),
    ],
)
def test_the_hash_covers_the_items(one: Any, other: Any, is_same: bool) -> None:
    hashes = {spec_hash(decoded({"flows": [{"name": "a", "for": loop}]}, WorkflowSpec)) for loop in (one, other)}
    assert (len(hashes) == 1) is is_same


def test_items_count_as_tasks_and_bytes() -> None:
    items = ["x" * 100] * 50
    templates = {"a": TemplateEdges(template({"y": "z" * 1_000}))}
    with_items = cost.estimate(spec(items), templates)
    replicas = cost.estimate(decoded({"flows": [{"name": "a", "for": {"replicas": 50}}]}, WorkflowSpec), templates)
    assert with_items.status == replicas.status
    assert with_items.spec > replicas.spec + 50 * 100
    assert with_items.template_bytes == replicas.template_bytes + 50 * 102


def test_items_count_among_the_tasks_of_the_workflow() -> None:
    flows = [{"name": "a", "for": {"items": list(range(10_000))}}, {"name": "b"}]
    assert [str(fault) for fault in validate_workflow(decoded({"flows": flows}, WorkflowSpec))] == [
        "spec.flows: 10,001 tasks in all; at most 10,000 are allowed: lower for.replicas, or list fewer for.items"
    ]
