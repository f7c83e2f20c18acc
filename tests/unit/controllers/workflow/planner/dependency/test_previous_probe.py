"""A probe of the own flow in for.dependsOn asks the previous index."""

from __future__ import annotations

from tests.builders import Bench, compiled, wf

PATH = "for.dependsOn.probe.tcpSocketList[0]"
ONE_BY_ONE = {"for": {"replicas": 3, "dependsOn": {"probe": {"tcpSocketList": [{"taskName": "a", "port": 80}]}}}}


def test_each_index_waits_for_the_one_before_to_answer() -> None:
    bench = Bench(wf(a=ONE_BY_ONE))
    assert bench.tasks("a") == ["Pending", "Waiting", "Waiting"], "at index 0 it counts as True"
    bench.runs("a/0")
    bench.passes("a", PATH, 0)
    assert bench.tasks("a") == ["Running", "Pending", "Waiting"]


def test_an_index_that_ended_without_an_answer_skips_those_behind_it() -> None:
    bench = Bench(wf(a={**ONE_BY_ONE, "continueOnFail": True}))
    bench.fails("a/0")
    assert bench.tasks("a") == ["Failed", "Skipped", "Skipped"]


def test_asking_its_own_previous_index_leaves_a_flow_a_leaf() -> None:
    assert compiled(wf(a=ONE_BY_ONE)).leaves == (0,)
