"""The compiled DAG: which flows are leaves, who is looked at when one changes, and what a retry waits."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import Strategy, Workflow
from pkg.controllers.workflow.planner.graph.model import (
    Ask,
    PreviousPredicate,
    ProbePredicate,
    RetryRule,
    StatusPredicate,
)
from tests.builders import compiled, http, on, status_of, tcp, template, wf

LEAVES: dict[str, tuple[Workflow, set[str]]] = {
    "a target is no leaf": (wf(a="", b="a"), {"b"}),
    "a target of a group is no leaf": (wf(a="", b=on(orGroups=[{"targets": ["a"]}])), {"b"}),
    "a flow that is asked by HTTP is no leaf": (wf(a="", b=on(probe=http("a"))), {"b"}),
    "a flow that is asked by TCP is no leaf": (wf(a="", b=on(probe=tcp("a"))), {"b"}),
    "a flow whose phase Running is asked for is no leaf": (wf(a="", b=on(probe=status_of("a", "Running"))), {"b"}),
    "a flow whose phase Completed is asked for is no leaf": (wf(a="", b=on(probe=status_of("a", "Completed"))), {"b"}),
    "a flow whose phase Pending is asked for is no leaf": (wf(a="", b=on(probe=status_of("a", "Pending"))), {"b"}),
    "a flow whose pod address is asked for is no leaf": (wf(a="", b={"patch": {"x": "{{flows.a.podIP}}"}}), {"b"}),
    "a flow named only with phase Failed stays a leaf": (wf(a="", b=on(probe=status_of("a", "Failed"))), {"a", "b"}),
    "Aborted reads as Failed": (wf(a="", b=on(probe=status_of("a", "Aborted"))), {"a", "b"}),
    "Terminated reads as Failed": (wf(a="", b=on(probe=status_of("a", "Terminated"))), {"a", "b"}),
    "a flow named only with phase Skipped stays a leaf": (wf(a="", b=on(probe=status_of("a", "Skipped"))), {"a", "b"}),
    "a flow named only with phase Finished stays one": (wf(a="", b=on(probe=status_of("a", "Finished"))), {"a", "b"}),
    "its own name does not count": (wf(a={"for": {"replicas": 2, "dependsOn": {"targets": ["a"]}}}), {"a"}),
    "a finally flow is none": (wf(a="", z={"finally": True}), {"a"}),
    "asked by a finally flow alone, a flow stays a leaf": (wf(a="", z={"finally": True, **on("a")}), {"a"}),
}


@pytest.mark.parametrize(("workflow", "leaves"), LEAVES.values(), ids=LEAVES)
def test_leaves(workflow: Workflow, leaves: set[str]) -> None:
    graph = compiled(workflow)
    assert {graph.nodes[number].name for number in graph.leaves} == leaves


EMPTY: dict[str, dict[str, Any]] = {
    "no dependsOn": {},
    "a dependsOn with nothing in it": {"dependsOn": {}},
    "a dependsOn with an empty probe": {"dependsOn": {"probe": {}}},
    "an empty for.dependsOn": {"for": {"dependsOn": {}}},
}


@pytest.mark.parametrize("flow", EMPTY.values(), ids=EMPTY)
def test_nothing_to_wait_for_is_no_requirement(flow: dict[str, Any]) -> None:
    assert compiled(wf(a=flow))["a"].requires == ()


def test_with_or_groups_an_empty_top_level_does_not_count() -> None:
    (clause,) = compiled(wf(a="", b="", c=on(orGroups=[{"targets": ["a"]}, {"targets": ["b"]}])))["c"].requires
    assert [len(group) for group in clause] == [1, 1]


def test_for_depends_on_is_a_clause_of_its_own() -> None:
    graph = compiled(wf(a="", b="", c={**on("a"), "for": {"replicas": 2, "dependsOn": {"targets": ["b", "c"]}}}))
    first, second = graph["c"].requires
    assert first == ((StatusPredicate(0, Ask.TARGET, Strategy.ALL),),)
    assert second == ((StatusPredicate(1, Ask.TARGET, Strategy.ALL), PreviousPredicate(Ask.TARGET)),)


STRATEGIES: dict[str, tuple[dict[str, Any], Strategy]] = {
    "All is the default for targets": (on("a"), Strategy.ALL),
    "All is the default for phases": (on(probe=status_of("a", "Running")), Strategy.ALL),
    "Any is the default for phase Failed": (on(probe=status_of("a", "Failed")), Strategy.ANY),
    "Any is the default for Aborted, which reads as Failed": (on(probe=status_of("a", "Aborted")), Strategy.ANY),
    "All can be asked for with phase Failed": (on(probe=status_of("a", "Failed"), strategy="All"), Strategy.ALL),
    "Any can be asked for": (on("a", strategy="Any"), Strategy.ANY),
    "a probed task has it too": (on(probe=http("a"), strategy="Any"), Strategy.ANY),
}


@pytest.mark.parametrize(("flow", "strategy"), STRATEGIES.values(), ids=STRATEGIES)
def test_strategy(flow: dict[str, Any], strategy: Strategy) -> None:
    ((group,),) = compiled(wf(a="", b=flow))["b"].requires
    assert isinstance(group[0], StatusPredicate | ProbePredicate)
    assert group[0].strategy is strategy


TARGETS: dict[str, tuple[Workflow, Ask]] = {
    "a target has to succeed": (wf(a="", b="a"), Ask.TARGET),
    "a target that may fail may also fail": (wf(a={"continueOnFail": True}, b="a"), Ask.TARGET_OR_FAILED),
    "a target that may be skipped may also be skipped": (
        wf(a="", b=on("a", onSkipped="Ignore")),
        Ask.TARGET_OR_SKIPPED,
    ),
    "a group inherits onSkipped": (
        wf(a="", b=on(orGroups=[{"targets": ["a"]}], onSkipped="Ignore")),
        Ask.TARGET_OR_SKIPPED,
    ),
    "both": (wf(a={"continueOnFail": True}, b=on("a", onSkipped="Ignore")), Ask.TARGET_OR_FAILED_OR_SKIPPED),
    "onSkipped concerns targets only": (
        wf(a="", b=on(probe=status_of("a", "Completed"), onSkipped="Ignore")),
        Ask.COMPLETED,
    ),
}


@pytest.mark.parametrize(("workflow", "ask"), TARGETS.values(), ids=TARGETS)
def test_what_is_asked(workflow: Workflow, ask: Ask) -> None:
    (predicate,) = compiled(workflow)["b"].predicates()
    assert isinstance(predicate, StatusPredicate)
    assert predicate.ask is ask


def test_a_flow_is_looked_at_when_what_it_waits_for_changes() -> None:
    graph = compiled(
        wf(a="", b="a", c=on(probe=http("a")), d={"for": {"replicas": 3, "dependsOn": {"targets": ["d"]}}})
    )
    assert [node.dependents for node in graph.nodes] == [(1, 2), (), (), (3,)]


def test_ranks_follow_the_edges_whatever_the_order_of_the_flows() -> None:
    graph = compiled(wf(d="b c", c="a", b="a", a=""))
    rank = {node.name: node.rank for node in graph.nodes}
    assert rank["a"] < min(rank["b"], rank["c"])
    assert max(rank["b"], rank["c"]) < rank["d"]


def test_a_finally_flow_is_no_recovery_branch() -> None:
    failed = on(probe=status_of("a", "Failed"))
    graph = compiled(wf(a="", rescue=failed, notify={"finally": True, **failed}))
    assert [graph.nodes[number].name for number in graph["a"].recoveries] == ["rescue"]


def test_for_0_is_one_task() -> None:
    graph = compiled(wf(a={"for": {"replicas": 0}}, b={"for": {"replicas": 3}}))
    assert (graph["a"].size, graph["b"].size, graph.total) == (1, 3, 4)


def test_a_template_that_needs_a_pod_address_makes_an_edge() -> None:
    templates = {"job": template("job"), "client": template("client", jobSpec={"server": "{{flows.server.podIP}}"})}
    graph = compiled(wf(server="", client={"template": "client"}), templates)
    assert graph["client"].needs_pod_ip
    assert graph["server"].is_probed
    assert graph["server"].dependents == (1,)


DELAYS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "10s, doubled, up to 5m are the defaults": ({}, [10, 20, 40, 80, 160, 300, 300]),
    "factor 1 keeps the interval": ({"factor": 1, "interval": "3s"}, [3, 3, 3]),
    "maxInterval bounds the first one too": ({"interval": "1h", "maxInterval": "2s"}, [2, 2]),
    "no interval is no delay": ({"interval": "0s"}, [0, 0]),
    "a huge factor overflows into maxInterval": ({"factor": 100, "maxInterval": "1h"}, [10, 1000, 3600]),
}


@pytest.mark.parametrize(("retry", "delays"), DELAYS.values(), ids=DELAYS)
def test_delay(retry: dict[str, Any], delays: list[float]) -> None:
    rule = compiled(wf(a={"retry": {"maxRetries": 9, **retry}}))["a"].retry
    assert [rule.delay(number) for number in range(1, len(delays) + 1)] == delays
    assert rule.delay(5000) == min(rule.max_interval, rule.delay(4999))


def test_without_retry_there_is_none_and_all_reasons_count() -> None:
    rule = compiled(wf(a=""))["a"].retry
    reasons = frozenset({"Failed", "JobDeleted", "DeadlineExceeded", "PendingTimeout", "OutputMissing"})
    assert rule == RetryRule(0, 10.0, 2.0, 300.0, reasons)
