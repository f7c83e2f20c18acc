"""Single predicates and paths."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.workloads import paths
from pkg.workloads.look import Look
from pkg.workloads.model import Predicate, RuleError, RuleFault
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
        pytest.param({"path": "status.one", "in": [True, 2]}, False, id="true is not 1 in a list either"),
        pytest.param({"path": "status.flag", "in": [1, 2]}, False, id="nor 1 true"),
        pytest.param({"path": "status.flag", "in": [False, True]}, True, id="in a list of booleans"),
        pytest.param({"path": "status.none", "in": [None]}, True, id="null is a value"),
        pytest.param({"path": "status.one", "in": [1.0]}, True, id="a number of the other kind"),
        pytest.param({"path": "status.groups", "in": ["a"]}, False, id="a list is in no list of plain values"),
        pytest.param({"path": "status.groups", "eq": [{"name": "a", "active": 0}]}, False, id="eq of lists"),
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
        pytest.param({"path": "status.other.deep.er", "exists": False}, True, id="a missing field is absent"),
        pytest.param({"path": "status.phase", "exists": False}, False, id="a field with a value is not absent"),
        pytest.param({"path": "status.empty", "eq": ""}, True, id="an empty text is a value"),
        pytest.param({"path": "metadata.name", "eq": "work-a"}, True, id="metadata can be read"),
        pytest.param({"path": "spec.suspend", "eq": True}, True, id="spec.suspend can be read"),
        pytest.param({"cond": "Ready"}, False, id="a condition is True by default"),
        pytest.param({"cond": "Ready", "is": "False"}, True, id="a condition that is False"),
        pytest.param({"cond": "Ready", "is": "False", "reasonIn": ["Slow", "Late"]}, True, id="for that reason"),
        pytest.param({"cond": "Ready", "is": "False", "reasonIn": ["Late"]}, False, id="not for that reason"),
        pytest.param({"all": [{"cond": "Ready", "is": "False"}, {"path": "status.one", "eq": 1}]}, True, id="all hold"),
        pytest.param({"all": [{"cond": "Ready"}, {"path": "status.one", "eq": 1}]}, False, id="one does not hold"),
    ],
)
def test_predicate(raw: dict[str, Any], matches: bool) -> None:
    test = compile_predicate(msgspec.convert(raw, Predicate), where="here")
    assert (test(Look(job(STATUS, suspend=True))) is not None) is matches


def test_a_condition_outranks_a_word_as_evidence() -> None:
    raw = {"all": [{"path": "status.phase", "eq": "Running"}, {"cond": "Ready", "is": "False"}]}
    evidence = compile_predicate(msgspec.convert(raw, Predicate), where="here")(Look(job(STATUS)))
    assert evidence["reason"] == "Slow"


@pytest.mark.parametrize("text", ["", "status.", "a..b", "a[0]", "a.b[*", "a b", "**"])
def test_a_path_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(paths.PathError, match="step of a path"):
        paths.parse(text)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param({"path": "status.l[*]", "in": ["a"]}, {"l": [0] * 400_000}, id="in over a long list"),
        pytest.param({"path": "status.l[*].a", "eq": 1}, {"l": [{}] * 400_000}, id="a field of every item"),
        pytest.param({"path": "status.*.*", "gt": 1}, {"l": {str(n): 0 for n in range(200_000)}}, id="every value"),
        pytest.param({"path": "status.l[*]", "eq": [0] * 1000}, {"l": [[0] * 1000] * 400}, id="eq of long lists"),
        pytest.param({"path": "status.l[*]", "exists": False}, {"l": [1] * 400_000}, id="exists over a long list"),
    ],
)
def test_a_predicate_that_visits_too_much_is_a_fault_that_names_it(raw: dict[str, Any], status: dict[str, Any]) -> None:
    test = compile_predicate(msgspec.convert(raw, Predicate), where="spec.statusRules.ok[0]")
    with pytest.raises(RuleFault, match=r"spec\.statusRules\.ok\[0\]: the rules would take more than 300,000 steps"):
        test(Look(job(status)))


def test_many_predicates_share_one_budget() -> None:
    test = compile_predicate(msgspec.convert({"path": "status.l[*]", "in": ["a"]}, Predicate), where="here")
    look = Look(job({"l": [0] * 20_000}))
    for _ in range(3):
        assert test(look) is None
    with pytest.raises(RuleFault):
        test(look)


def test_a_value_nested_deeper_than_the_one_it_is_compared_to_is_compared_all_the_same() -> None:
    test = compile_predicate(msgspec.convert({"path": "status.l", "eq": nested(10)}, Predicate), where="here")
    assert test(Look(job({"l": nested(100_000)}))) is None
    assert test(Look(job({"l": nested(10)}))) is True


def test_a_value_of_eq_that_is_nested_deeply_is_refused() -> None:
    with pytest.raises(RuleError, match=r"^here: the value of eq has more than 16 levels"):
        compile_predicate(msgspec.convert({"path": "status.l", "eq": nested(20)}, Predicate), where="here")


def test_a_path_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(paths.PathError, match=r"'status\.a\[\*\].* has 900,008 characters; a path has at most 512"):
        paths.parse("status.a" + "[*]" * 300_000)


def test_slots_make_maps_on_the_way_but_no_items() -> None:
    body: dict[str, Any] = {"spec": {"tasks": [{"a": 1}, "odd", {"b": None}]}}
    for holder, key in paths.slots(paths.parse("spec.tasks[*].b.c"), body, create=True):
        holder[key] = 1
    assert body == {"spec": {"tasks": [{"a": 1, "b": {"c": 1}}, "odd", {"b": {"c": 1}}]}}


def test_slots_change_nothing_without_create() -> None:
    body: dict[str, Any] = {"spec": {}}
    assert list(paths.slots(paths.parse("spec.template.spec.x"), body, create=False)) == []
    assert body == {"spec": {}}
