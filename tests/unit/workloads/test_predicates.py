"""Single predicates and paths."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.workloads import paths
from pkg.workloads.model import Predicate
from pkg.workloads.predicates import compile_predicate
from tests.unit.workloads.builders import cond, conds, job

STATUS = {
    "phase": "Running",
    "empty": "",
    "none": None,
    "flag": True,
    "one": 1,
    "groups": [{"name": "a", "active": 0}, {"name": "b", "active": 2}],
    "roles": {"Master": {"active": 1}, "Worker": {"active": 0}},
    **conds(cond("Ready", "False", "Slow")),
}


@pytest.mark.parametrize(
    ("raw", "matches"),
    [
        pytest.param({"path": "status.phase", "eq": "Running"}, True, id="eq"),
        pytest.param({"path": "status.phase", "eq": "running"}, False, id="eq is exact"),
        pytest.param({"path": "status.phase", "in": ["A", "Running"]}, True, id="in"),
        pytest.param({"path": "status.one", "eq": True}, False, id="true is not 1"),
        pytest.param({"path": "status.flag", "eq": 1}, False, id="1 is not true"),
        pytest.param({"path": "status.flag", "eq": True}, True, id="true is true"),
        pytest.param({"path": "status.flag", "gt": 0}, False, id="a boolean is no number"),
        pytest.param({"path": "status.one", "gt": 0.5}, True, id="gt"),
        pytest.param({"path": "status.phase", "gt": 0}, False, id="a word is no number"),
        pytest.param({"path": "status.groups[*].active", "gt": 1}, True, id="any item of a list"),
        pytest.param({"path": "status.groups[*].active", "gt": 2}, False, id="no item of a list"),
        pytest.param({"path": "status.roles.*.active", "gt": 0}, True, id="any value of a map"),
        pytest.param({"path": "status.groups.active", "exists": True}, False, id="a list is not stepped into silently"),
        pytest.param({"path": "status.phase", "exists": True}, True, id="exists"),
        pytest.param({"path": "status.none", "exists": True}, False, id="null does not exist"),
        pytest.param({"path": "status.none", "exists": False}, True, id="null is absent"),
        pytest.param({"path": "status.other.deep.er", "exists": False}, True, id="what is not there is absent"),
        pytest.param({"path": "status.phase", "exists": False}, False, id="what is there is not absent"),
        pytest.param({"path": "status.empty", "eq": ""}, True, id="an empty text is a value"),
        pytest.param({"path": "metadata.name", "eq": "work-a"}, True, id="metadata can be asked"),
        pytest.param({"path": "spec.suspend", "eq": True}, True, id="spec.suspend can be asked"),
        pytest.param({"cond": "Ready"}, False, id="a condition is True unless said otherwise"),
        pytest.param({"cond": "Ready", "is": "False"}, True, id="a condition that is False"),
        pytest.param({"cond": "Ready", "is": "False", "reasonIn": ["Slow", "Late"]}, True, id="for that reason"),
        pytest.param({"cond": "Ready", "is": "False", "reasonIn": ["Late"]}, False, id="not for that reason"),
        pytest.param({"all": [{"cond": "Ready", "is": "False"}, {"path": "status.one", "eq": 1}]}, True, id="all hold"),
        pytest.param({"all": [{"cond": "Ready"}, {"path": "status.one", "eq": 1}]}, False, id="one does not hold"),
    ],
)
def test_predicate(raw: dict[str, Any], matches: bool) -> None:
    test = compile_predicate(msgspec.convert(raw, Predicate), where="here")
    assert (test(job(STATUS, suspend=True)) is not None) is matches


def test_a_condition_outranks_a_word_as_evidence() -> None:
    raw = {"all": [{"path": "status.phase", "eq": "Running"}, {"cond": "Ready", "is": "False"}]}
    evidence = compile_predicate(msgspec.convert(raw, Predicate), where="here")(job(STATUS))
    assert evidence["reason"] == "Slow"


@pytest.mark.parametrize("text", ["", ".status", "status.", "a..b", "a[0]", "a.b[*", "a b", "**"])
def test_a_path_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(paths.PathError, match="step of a path"):
        paths.parse(text)


def test_slots_make_maps_on_the_way_but_no_items() -> None:
    body: dict[str, Any] = {"spec": {"tasks": [{"a": 1}, "odd", {"b": None}]}}
    for holder, key in paths.slots(paths.parse("spec.tasks[*].b.c"), body, create=True):
        holder[key] = 1
    assert body == {"spec": {"tasks": [{"a": 1, "b": {"c": 1}}, "odd", {"b": {"c": 1}}]}}


def test_slots_change_nothing_without_create() -> None:
    body: dict[str, Any] = {"spec": {}}
    assert list(paths.slots(paths.parse("spec.template.spec.x"), body, create=False)) == []
    assert body == {"spec": {}}
