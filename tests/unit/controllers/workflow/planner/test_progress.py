"""Equal states of flows share their memory: a cluster may have tens of thousands of flows."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase, fold
from pkg.controllers.workflow.planner.draft import Draft, compact_tally
from pkg.controllers.workflow.planner.progress import (
    NEVER,
    Task,
    count_in,
    empty_flow,
    folded,
    from_flows,
    tally_of,
)
from tests.builders import compiled, wf


def test_flows_of_one_task_begin_with_the_same_value() -> None:
    graph = compiled(wf(a={}, b={"for": {"replicas": 1}}, c={"for": {"replicas": 0}}, d={"for": {"replicas": 0}}))
    a, b, c, d = (empty_flow(node) for node in graph.nodes)
    assert a is b
    assert c is d
    assert (a.phase, c.phase) == (Phase.WAITING, Phase.SKIPPED)


@pytest.mark.parametrize("size", [2, 10_000])
def test_a_wide_flow_begins_with_as_many_waiting_tasks(size: int) -> None:
    (node,) = compiled(wf(a={"for": {"replicas": size}})).nodes
    state = empty_flow(node)
    assert state.tasks == (Task(),) * size
    assert state.count(Phase.WAITING) == size


@pytest.mark.parametrize("phase", Phase)
def test_a_flow_whose_tasks_are_all_in_one_phase_is_in_that_phase(phase: Phase) -> None:
    tally = tally_of([Task(phase=phase)] * 3)
    assert folded(tally) == fold({phase: 3}) == phase


def test_a_flow_with_tasks_in_several_phases_is_in_the_first_that_counts() -> None:
    tally = tally_of([Task(phase=Phase.SUCCEEDED), Task(phase=Phase.PENDING), Task(phase=Phase.WAITING)])
    assert folded(tally) is Phase.PENDING
    assert count_in(tally, (Phase.PENDING, Phase.WAITING)) == 2


def test_flows_whose_tasks_have_the_same_facts_share_their_tally() -> None:
    running = [Task(phase=Phase.RUNNING, had_job=True)] * 3
    assert compact_tally(tally_of(running)) is compact_tally(tally_of(running))
    assert dict(compact_tally(tally_of(running))) == tally_of(running)


def test_a_shared_tally_is_not_changed_by_the_next_pass() -> None:
    graph = compiled(wf(a={}, b={}))
    draft = Draft(graph, from_flows(empty_flow(node) for node in graph.nodes))
    draft.put(0, 0, Task(phase=Phase.RUNNING, had_job=True))
    one, other = draft.freeze_flow(0, NEVER), draft.freeze_flow(1, NEVER)
    assert one.count(Phase.RUNNING) == 1
    assert other.count(Phase.WAITING) == 1
    assert empty_flow(graph.nodes[0]).count(Phase.WAITING) == 1
