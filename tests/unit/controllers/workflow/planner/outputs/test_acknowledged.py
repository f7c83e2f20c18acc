"""No job is made from an output, or follows from a verdict on outputs, before status records it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import COMPLETE, Bench, on, status_of, wf
from tests.unit.controllers.workflow.planner.outputs.setups import done, output, using

HANDS_OUT = {"outputs": [output()]}


def stuck(bench: Bench, status: dict[str, Any]) -> Bench:
    """Flow `a` ends so, and no write of status comes through."""
    bench.log.clear()
    bench.loses_writes = True
    bench.say(status, "a")
    for _ in range(3):
        bench.step()
    return bench


@pytest.mark.parametrize(
    ("flows", "status"),
    [
        pytest.param({"a": HANDS_OUT, "b": using("{{flows.a.outputs.x}}")}, done(x=1), id="it uses the output"),
        pytest.param({"a": HANDS_OUT, "b": on("a")}, done(x=1), id="it waits for the flow alone"),
        pytest.param({"a": HANDS_OUT, "b": on(probe=status_of("a", "Failed"))}, done(), id="it waits for its failure"),
        pytest.param(
            {"a": HANDS_OUT, "c": on("a"), "b": on("c", onSkipped="Ignore")}, done(), id="it follows a skip behind it"
        ),
        pytest.param(
            {"a": {}, "c": {"when": "flows.a.failed > 0"}, "b": on("c", onSkipped="Ignore")},
            COMPLETE,
            id="it follows a condition that was false",
        ),
    ],
)
def test_the_job_waits_for_status(flows: dict[str, Any], status: dict[str, Any]) -> None:
    bench = stuck(Bench(wf({"successPolicy": {"type": "Critical", "criticalFlows": ["b"]}}, **flows)), status)
    assert "create w-b" not in bench.log
    bench.loses_writes = False
    bench.settle()
    assert bench.log.index("status") < bench.log.index("create w-b")


@pytest.mark.parametrize(
    "flows",
    [
        pytest.param({"a": {}, "b": "a"}, id="no outputs"),
        pytest.param({"a": {}, "b": "a", "c": HANDS_OUT}, id="outputs of another flow"),
        pytest.param({"a": {}, "b": {**on("a"), **HANDS_OUT}}, id="outputs of its own"),
    ],
)
def test_what_a_job_shows_need_not_wait(flows: dict[str, Any]) -> None:
    bench = stuck(Bench(wf(**flows)), COMPLETE)
    assert "create w-b" in bench.log


def test_indexes_do_not_wait_for_each_other() -> None:
    loop = {"for": {"replicas": 2}}
    bench = Bench(wf(a={**loop, **HANDS_OUT}, b={**loop, **using("{{flows.a.outputs.x[index]}}")}))
    bench.say(done(x="0"), "a/0")
    bench.settle()
    assert "w-b-0" in bench.names
    bench.loses_writes = True
    bench.say(done(x="1"), "a/1")
    bench.step()
    assert "w-b-1" not in bench.names


def test_there_is_one_more_status_write_per_flow() -> None:
    plain, given = Bench(wf(a="", b="a", c="b")), Bench(wf(a=HANDS_OUT, b={**on("a"), **HANDS_OUT}, c="b"))
    for bench in (plain, given):
        for name in "abc":
            bench.say(done(x=1), name)
            bench.settle()
    assert len(given.writes) <= len(plain.writes) + 2


def test_a_crash_before_the_write_reads_again_and_after_it_does_not() -> None:
    bench = stuck(Bench(wf(a=HANDS_OUT, b=using("{{flows.a.outputs.x}}"))), done(x="first"))
    bench.say(done(x="second"), "a")
    bench.loses_writes = False
    bench.restarted()
    assert bench.flow("a").outputs[0].value == "second"
    bench.say(done(x="third"), "a")
    bench.restarted()
    assert bench.flow("a").outputs[0].value == "second"
