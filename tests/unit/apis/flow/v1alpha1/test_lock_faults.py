"""What is wrong with the locks of a Workflow, beyond what the schema of the CRD refuses."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.cost import estimate
from pkg.apis.flow.v1alpha1.locks import UNDER_LOCKS
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.schema_faults import schema_faults
from pkg.apis.flow.v1alpha1.types import WorkflowSpec
from pkg.apis.flow.v1alpha1.validation import validate_nesting, validate_with_templates, validate_workflow
from pkg.apis.meta import ObjectMeta
from tests.manifests import decoded
from tests.unit.apis.flow.v1alpha1.test_locks import semaphore


def spec(fields: dict[str, Any] | None = None, /, **flow: Any) -> WorkflowSpec:
    return decoded({"flows": [{"name": "a", **flow}, {"name": "b"}], **(fields or {})}, WorkflowSpec)


GOOD = {
    "a mutex of a flow": spec(mutexes=["database"]),
    "a semaphore of a flow": spec(semaphores=[semaphore()]),
    "a mutex and a semaphore that are called the same": spec(mutexes=["x"], semaphores=[semaphore("x", "x")]),
    "two keys of one ConfigMap": spec(semaphores=[semaphore("gpus", "a"), semaphore("gpus", "b")]),
    "locks of the workflow": spec({"mutexes": ["database"], "semaphores": [semaphore()]}),
}


@pytest.mark.parametrize("given", GOOD.values(), ids=GOOD)
def test_what_is_right(given: WorkflowSpec) -> None:
    assert validate_workflow(given) == ()


BAD: dict[str, tuple[WorkflowSpec, str, str]] = {
    "a mutex twice": (
        spec(mutexes=["x", "y", "x"]),
        "spec.flows[0].mutexes[2]",
        'mutex "x" is given twice, first in spec.flows[0].mutexes[0]; keep one',
    ),
    "a semaphore twice": (
        spec({"semaphores": [semaphore(), semaphore()]}),
        "spec.semaphores[1]",
        "semaphore gpus/licences is given twice, first in spec.semaphores[0]; keep one",
    ),
    "one lock on both levels": (
        spec({"mutexes": ["x"]}, mutexes=["x"]),
        "spec.flows[0].mutexes",
        "the workflow has locks of its own",
    ),
    "different locks on both levels": (
        spec({"mutexes": ["x"]}, semaphores=[semaphore()]),
        "spec.flows[0].semaphores",
        "Give the locks to the workflow or to its flows, not to both",
    ),
}


@pytest.mark.parametrize(("given", "path", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong(given: WorkflowSpec, path: str, message: str) -> None:
    (found,) = validate_workflow(given)
    assert found.path == path
    assert message in found.message


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(spec({"mutexes": ["x"]}), id="a mutex of the workflow"),
        pytest.param(spec(semaphores=[semaphore()]), id="a semaphore of a flow"),
    ],
)
def test_a_workflow_under_locks_can_name_none(given: WorkflowSpec) -> None:
    under = ObjectMeta(name="w", annotations={UNDER_LOCKS: "flow train of Workflow nightly"})
    (found,) = validate_nesting(given, under)
    assert "a job of flow train of Workflow nightly, which holds locks" in found.message
    assert validate_nesting(given, ObjectMeta(name="w")) == ()


def test_a_workflow_under_locks_may_have_no_locks() -> None:
    assert validate_nesting(spec(), ObjectMeta(annotations={UNDER_LOCKS: "Workflow nightly"})) == ()


INNER: dict[str, Any] = {"flows": [{"name": "x"}, {"name": "y", "mutexes": ["in"]}], "semaphores": [semaphore()]}


def making(resource: str = "workflows", **flow: Any) -> dict[str, Any]:
    """Fields of a flow that makes a Workflow with locks, on both levels, so that both are named."""
    gvr = {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": resource}
    return {"templateSpec": {"gvr": gvr, "jobSpec": INNER}, **flow}


@pytest.mark.parametrize(
    ("given", "above"),
    [
        pytest.param(spec(**making(mutexes=["out"])), "spec.flows[0]", id="the flow holds one"),
        pytest.param(spec({"mutexes": ["out"]}, **making()), "spec", id="the workflow holds one"),
    ],
)
def test_locks_below_locks_show_with_the_template(given: WorkflowSpec, above: str) -> None:
    found = validate_with_templates(Reading(given))
    place = "spec.flows[0] (template a.templateSpec).jobSpec"
    assert [one.path for one in found] == [f"{place}.semaphores", f"{place}.flows[1].mutexes"]
    assert all(f"runs while {above} holds locks, so it can name none" in one.message for one in found)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(spec(**making()), id="nobody above holds one"),
        pytest.param(spec(**making(mutexes=["out"], patch={"spec": {"semaphores": None}})), id="a patch may remove it"),
        pytest.param(spec(**making("cronworkflows", mutexes=["out"])), id="another kind"),
    ],
)
def test_locks_below_nobody_are_right(given: WorkflowSpec) -> None:
    assert not [one for one in validate_with_templates(Reading(given)) if "holds locks" in one.message]


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        pytest.param({"mutexes": ["Data Base"]}, 'lower case letters, digits, "-" and "."', id="a name with a blank"),
        pytest.param({"mutexes": [""]}, "", id="an empty name"),
        pytest.param({"mutexes": "database"}, "a list", id="no list"),
        pytest.param({"semaphores": [semaphore(key="a b")]}, 'letters, digits, "-", "_" and "."', id="no key"),
        pytest.param({"semaphores": [{"configMapKeyRef": {"name": "x"}}]}, "must be given", id="no key at all"),
        pytest.param({"mutexes": [f"m{n}" for n in range(17)]}, "16", id="too many"),
    ],
)
def test_what_the_schema_refuses(flow: dict[str, Any], message: str) -> None:
    found = list(schema_faults({"flows": [{"name": "a", **flow}]}, WorkflowSpec, "spec"))
    assert found
    assert any(message in one.message for one in found), found


def test_the_estimate_of_the_status_counts_since_when_tasks_wait() -> None:
    bare, locked = spec({"flows": [{"name": "a"}]}), spec({"flows": [{"name": "a", "mutexes": ["x"]}]})
    whole = spec({"flows": [{"name": "a"}], "mutexes": ["x"]})
    assert estimate(locked).status > estimate(bare).status
    assert estimate(whole).status == estimate(locked).status
