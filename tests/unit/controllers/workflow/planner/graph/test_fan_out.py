"""The graph takes the numbers of tasks that status records, and nothing else changes."""

from __future__ import annotations

from typing import Any

from pkg.apis.flow.v1alpha1.cost import Cost
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import FlowRecord, FlowStatus, Record, WorkflowStatus
from pkg.controllers.workflow.planner.graph.fan_out import excess, recorded_counts, with_counts
from tests.builders import compiled, wf

LIST: dict[str, Any] = {"outputs": [{"name": "files", "from": {"path": "status.files"}}]}
EACH: dict[str, Any] = {"for": {"itemsFrom": "{{flows.list.outputs.files}}"}}
GRAPH = compiled(wf(list=LIST, each=EACH, twin=EACH, after="each"))


def test_until_a_run_knows_the_number_there_is_one_task() -> None:
    assert [(node.count, node.size) for node in GRAPH.nodes] == [(1, 1), (None, 1), (None, 1), (1, 1)]
    assert (GRAPH.fan_outs, GRAPH.total) == ((1, 2), 4)


def test_a_recorded_number_makes_the_tasks() -> None:
    found = with_counts(GRAPH, {"each": 3, "twin": 0, "list": 7})
    assert [(node.count, node.size) for node in found.nodes] == [(1, 1), (3, 3), (0, 1), (1, 1)]
    assert found.total == 6
    assert found["twin"].is_empty
    assert found["each"].requires == GRAPH["each"].requires
    assert with_counts(found, {"each": 3, "twin": 0}) is found
    assert with_counts(found, {}) == GRAPH


def test_the_numbers_are_read_from_the_record() -> None:
    flows = tuple(FlowStatus(name, Phase.WAITING) for name in ("list", "each", "twin", "after"))
    record = Record(flows=(FlowRecord("1", tasks=3), FlowRecord("2", tasks=0), FlowRecord("0", tasks=9)))
    assert recorded_counts(GRAPH, WorkflowStatus(flows=flows, record=record)) == {"each": 3, "twin": 0}
    assert recorded_counts(GRAPH, WorkflowStatus()) == {}


def test_all_tasks_together_have_a_bound() -> None:
    each, twin = GRAPH["each"], GRAPH["twin"]
    assert excess(GRAPH, [(each, 9_997)]) == ""
    assert excess(GRAPH, [(each, 9_998)]) == "the workflow would have 10,001 tasks, and at most 10,000 are allowed"
    assert excess(GRAPH, [(each, 5_000), (twin, 5_000)]).startswith("the workflow would have 10,002 tasks")
    half = with_counts(GRAPH, {"each": 5_000})
    assert excess(half, [(twin, 5_000)]).startswith("the workflow would have 10,002 tasks")
    assert excess(half, [(twin, 4_998)]) == ""


def test_what_tasks_cost_adds_up_over_flows() -> None:
    assert GRAPH["each"].growth.of(10).template_bytes == 9 * GRAPH["each"].growth.task.template_bytes > 0
    assert isinstance(GRAPH.cost, Cost)
