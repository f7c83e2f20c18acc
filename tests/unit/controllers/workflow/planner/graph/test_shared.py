"""Workflows with equal specs share what is compiled."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.locks import UNDER_LOCKS
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplate
from pkg.apis.meta import ObjectMeta
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.graph.shared import shared_spec
from tests.builders import template

TEMPLATES = {"a": template("a")}
META = ObjectMeta(name="a", namespace="team", uid="u", generation=1)


def spec_of(**changes: Any) -> WorkflowSpec:
    flows = [{"name": "a"}, {"name": "b", "dependsOn": {"targets": ["a"]}}]
    return msgspec.json.decode(msgspec.json.encode({"flows": flows} | changes), type=WorkflowSpec)


def test_equal_specs_have_one_graph() -> None:
    first, second = shared_spec(spec_of()), shared_spec(spec_of())
    assert first is second
    graph = first.compiled(TEMPLATES, META, is_started=False)
    assert isinstance(graph, Graph)
    assert second.compiled(TEMPLATES, META, is_started=False) is graph


def test_what_is_shared_is_what_is_compiled_alone() -> None:
    spec = spec_of(suspend=True)
    shared = shared_spec(spec)
    assert shared.spec_hash == spec_hash(spec)
    assert shared.compiled(TEMPLATES, META, is_started=False) == compile_spec(spec, TEMPLATES, metadata=META)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"suspend": True}, id="a field of the workflow"),
        pytest.param({"flows": [{"name": "a"}, {"name": "b"}]}, id="a dependency"),
        pytest.param({"parameters": [{"name": "p", "value": "1"}]}, id="a parameter"),
    ],
)
def test_another_spec_has_another_graph(changes: dict[str, Any]) -> None:
    one, other = shared_spec(spec_of()), shared_spec(spec_of(**changes))
    assert one is not other


@pytest.mark.parametrize(
    ("templates", "meta", "is_started"),
    [
        pytest.param({}, META, False, id="without its template"),
        pytest.param({"a": template("a", jobSpec={"x": 1})}, META, False, id="with an edited template"),
        pytest.param(TEMPLATES, msgspec.structs.replace(META, labels={"a": "b"}), False, id="with less room"),
        pytest.param(TEMPLATES, msgspec.structs.replace(META, annotations={UNDER_LOCKS: "x"}), False, id="under locks"),
        pytest.param(TEMPLATES, META, True, id="of a workflow that has started"),
    ],
)
def test_what_else_a_graph_depends_on_is_not_shared(
    templates: dict[str, WorkTemplate], meta: ObjectMeta, is_started: bool
) -> None:
    shared = shared_spec(spec_of())
    one = shared.compiled(TEMPLATES, META, is_started=False)
    other = shared.compiled(templates, meta, is_started=is_started)
    assert other is not one
    assert isinstance(other, Graph)
    assert other.status_room == compile_spec(spec_of(), {}, metadata=meta).status_room  # type: ignore[union-attr]


def test_of_many_templates_the_last_are_kept() -> None:
    shared = shared_spec(spec_of())
    first = shared.compiled(TEMPLATES, META, is_started=False)
    for step in range(30):
        last = shared.compiled({"a": template("a", jobSpec={"x": step})}, META, is_started=False)
    assert shared.compiled({"a": template("a", jobSpec={"x": 29})}, META, is_started=False) is last
    assert shared.compiled(TEMPLATES, META, is_started=False) is not first


def test_what_no_workflow_uses_any_more_is_gone() -> None:
    shared = shared_spec(spec_of(parallelism=3))
    shared.compiled(TEMPLATES, META, is_started=False)
    known = weakref.ref(shared)
    del shared
    gc.collect()
    assert known() is None


def test_a_spec_is_compared_with_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of many runs with a parameter of its own would be compared with all before."""
    compared: list[object] = []

    def is_equal(spec: object, other: object) -> bool:
        compared.append(other)
        return spec is other

    monkeypatch.setattr(WorkflowSpec, "__eq__", is_equal)
    kept = [shared_spec(spec_of(parameters=[{"name": "date", "value": f"day {day}"}])) for day in range(50)]
    assert len({id(one) for one in kept}) == 50
    assert compared == []
