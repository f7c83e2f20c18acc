"""The value of a flow's dependencies: what an index costs, and that nothing is lost by evaluating shared parts once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1.types import Strategy
from pkg.controllers.workflow.planner.budget import Budget
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.predicates import Evaluator, formula
from pkg.controllers.workflow.planner.dependency.truth import Truth, both, either
from pkg.controllers.workflow.planner.graph.model import (
    Ask,
    Clause,
    Node,
    Predicate,
    PreviousPredicate,
    StatusPredicate,
)
from tests.builders import compiled, draft, snapshot, wf

GROUPS, TARGETS, REPLICAS = 20, 30, 50


def wide() -> tuple[Context, Node]:
    """A flow with many groups that name the same flows, each replica of which waits for the previous one."""
    first = {f"f{number}": "" for number in range(TARGETS)}
    groups = [{"targets": list(first)}] * GROUPS
    last = {
        "dependsOn": {"orGroups": groups},
        "for": {"replicas": REPLICAS, "dependsOn": {"targets": ["last"]}},
    }
    workflow = wf(**first, last=last)
    graph = compiled(workflow)
    ctx = Context(snapshot(workflow, graph), draft(graph))
    return ctx, graph.nodes[-1]


def test_an_index_costs_nothing_for_the_predicates_that_do_not_depend_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ctx, node = wide()
    hashes, real = [0], StatusPredicate.__hash__

    def counted(self: StatusPredicate) -> int:
        hashes[0] += 1
        return real(self)

    monkeypatch.setattr(StatusPredicate, "__hash__", counted)
    at = Evaluator(ctx).requires(node)
    once = hashes[0]
    assert all(at(index)[0] is Truth.UNKNOWN for index in range(REPLICAS))
    assert hashes[0] == once


def test_a_predicate_that_many_groups_name_is_counted_in_each() -> None:
    ctx, node = wide()
    before = ctx.budget.left
    Evaluator(ctx).requires(node)
    assert before - ctx.budget.left > TARGETS + GROUPS * TARGETS // 20


PREDICATES: list[Predicate] = [
    *(StatusPredicate(flow, Ask.TARGET, Strategy.ALL) for flow in range(4)),
    *(PreviousPredicate(ask) for ask in (Ask.TARGET, Ask.RUNNING, Ask.FAILED)),
]
CLAUSES = st.lists(
    st.lists(st.lists(st.sampled_from(PREDICATES), max_size=4).map(tuple), max_size=4).map(tuple), max_size=3
)


@given(CLAUSES.map(tuple), st.lists(st.sampled_from(Truth), min_size=len(PREDICATES), max_size=len(PREDICATES)))
def test_value_and_blocker_are_those_of_the_whole_formula(requires: tuple[Clause, ...], found: list[Truth]) -> None:
    _ctx, node = wide()
    values: dict[Predicate, Truth] = dict(zip(PREDICATES, found, strict=True))
    node = replace(node, requires=requires)
    at = formula(requires, values.__getitem__, lambda predicate, _index: values[predicate], Budget())
    value, blocker = at(1)
    expected = both(either(both(values[part] for part in group) for group in clause) for clause in requires)
    assert value is expected
    unmet = [part for part in node.predicates() if values[part] is not Truth.TRUE]
    sign = 1 if expected.is_impossible else -1
    held_by: Any = max(unmet, key=lambda part: sign * values[part], default=None)
    assert blocker == (None if expected is Truth.TRUE else held_by)
