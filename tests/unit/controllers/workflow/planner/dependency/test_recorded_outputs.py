"""Outputs as predicates: True once recorded, Impossible once the task has ended without them."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.recorded_outputs import truth
from pkg.controllers.workflow.planner.dependency.truth import Truth
from pkg.controllers.workflow.planner.graph.model import OutputPredicate
from pkg.controllers.workflow.planner.progress import Task
from tests.builders import Bench, compiled, draft, on, snapshot, wf
from tests.object_bench import ObjectBench
from tests.unit.controllers.workflow.planner.outputs.setups import arguments, done, output, pair, using

HAS = Task(phase=Phase.SUCCEEDED, outputs=(("x", "1"),))
FAILED, SUCCEEDED, RUNS = Task(phase=Phase.FAILED), Task(phase=Phase.SUCCEEDED), Task(phase=Phase.RUNNING)
T, U, NO = Truth.TRUE, Truth.UNKNOWN, Truth.IMPOSSIBLE


@pytest.mark.parametrize(
    ("task", "found"),
    [
        pytest.param(HAS, T, id="recorded"),
        pytest.param(RUNS, U, id="the task runs"),
        pytest.param(FAILED, NO, id="the task failed"),
        pytest.param(SUCCEEDED, NO, id="the task succeeded without it"),
    ],
)
def test_of_one_task(task: Task, found: Truth) -> None:
    workflow = wf(a={"outputs": [output()]})
    graph = compiled(workflow)
    ctx = Context(snapshot(workflow, graph), draft(graph, a=task))
    assert truth(ctx, OutputPredicate(0, "x"), 5) is found


@pytest.mark.parametrize(
    ("tasks", "whole", "second"),
    [
        pytest.param((HAS, HAS), T, T, id="both recorded"),
        pytest.param((HAS, FAILED), T, NO, id="one failed: null in the list"),
        pytest.param((FAILED, FAILED), NO, NO, id="none succeeded"),
        pytest.param((RUNS, HAS), U, T, id="the list waits for all tasks"),
        pytest.param((HAS, RUNS), U, U, id="one task runs"),
    ],
)
def test_of_a_flow_with_for(tasks: tuple[Task, ...], whole: Truth, second: Truth) -> None:
    workflow = wf(a={"for": {"replicas": 2}, "outputs": [output()]})
    graph = compiled(workflow)
    ctx = Context(snapshot(workflow, graph), draft(graph, a=tasks))
    assert truth(ctx, OutputPredicate(0, "x"), 0) is whole
    assert truth(ctx, OutputPredicate(0, "x", "1"), 0) is second
    assert truth(ctx, OutputPredicate(0, "x", "index"), 1) is second
    assert truth(ctx, OutputPredicate(0, "x", "index"), 2) is NO


# With the whole planner


def test_it_is_an_edge_that_needs_no_target() -> None:
    bench = pair()
    assert bench.phases() == {"a": "Pending", "b": "Waiting"}
    assert "waits for output x of a" in bench.flow("b").message


def test_without_the_output_the_flow_is_skipped_and_says_so() -> None:
    bench = pair()
    bench.fails("a")
    assert bench.phases() == {"a": "Failed", "b": "Skipped"}


def test_a_default_does_not_help_a_task_that_failed() -> None:
    bench = pair(default="0")
    bench.fails("a")
    assert bench.phases()["b"] == "Skipped"


def test_a_flow_whose_output_is_used_is_no_leaf() -> None:
    graph = compiled(wf(a={"outputs": [output()]}, b=using("{{flows.a.outputs.x}}")))
    assert graph.leaves == (1,)


def test_it_is_no_failure_branch() -> None:
    graph = compiled(wf(a={"outputs": [output()]}, b=using("{{flows.a.outputs.x}}")))
    assert graph["a"].recoveries == ()


def test_a_restart_runs_what_uses_the_output_again() -> None:
    bench = pair()
    bench.say(done(x="1"), "a")
    bench.settle()
    bench.succeeds("b")
    bench.set_spec(restart={"at": "1", "flows": ["a"]})
    bench.say(done(x="2"), "a")
    bench.settle()
    assert arguments(bench, "w-b-r1") == ["2"]


def test_a_retry_uses_what_is_recorded() -> None:
    bench = Bench(
        wf(
            a={"outputs": [output()]},
            b={**using("{{flows.a.outputs.x}}"), "retry": {"maxRetries": 1, "interval": "0s"}},
        )
    )
    bench.say(done(x="1"), "a")
    bench.settle()
    bench.fails("b")
    assert arguments(bench, "w-b-r1") == ["1"]


USES: dict[str, tuple[str, Any]] = {
    "the list": ("{{flows.a.outputs.x}}", ['["p",null,"r"]']),
    "an item": ("{{flows.a.outputs.x[2]}}", ["r"]),
}


@pytest.mark.parametrize(("text", "found"), USES.values(), ids=USES)
def test_values_of_a_flow_with_for(text: str, found: Any) -> None:
    bench = Bench(
        wf(a={"for": {"replicas": 3}, "outputs": [output()], "continueOnFail": True}, b={**on(), **using(text)})
    )
    bench.say(done(x="p"), "a/0")
    bench.say(done(x="r"), "a/2")
    bench.settle()
    bench.fails("a/1")
    assert arguments(bench, "w-b") == found


def test_each_index_takes_its_own() -> None:
    loop = {"for": {"replicas": 2}}
    bench = Bench(wf(a={**loop, "outputs": [output()]}, b={**loop, **using("{{flows.a.outputs.x[index]}}")}))
    bench.say(done(x="p"), "a/0")
    bench.settle()
    assert bench.phases()["b"] == "Pending"
    bench.say(done(x="q"), "a/1")
    bench.settle()
    assert (arguments(bench, "w-b-0"), arguments(bench, "w-b-1")) == (["p"], ["q"])


def test_a_parameter_may_hold_an_output() -> None:
    flow = {**using("{{params.n}}"), "parameters": [{"name": "n", "value": "got {{flows.a.outputs.x}}"}]}
    bench = Bench(wf(a={"outputs": [output()]}, b=flow))
    bench.say(done(x="1"), "a")
    bench.settle()
    assert arguments(bench, "w-b") == ["got 1"]


def test_a_render_error_quotes_no_output() -> None:
    bench = Bench(wf(a={"outputs": [output()]}, b={"patch": {"spec": {"backoffLimit": "{{flows.a.outputs.x | int}}"}}}))
    bench.say(done(x="hush-hush"), "a")
    bench.settle()
    assert bench.flow("b").reason == "RenderError"
    assert "hush-hush" not in str(bench.workflow.status.flows[1])
    assert all("hush-hush" not in event.message for event in bench.events)


@pytest.mark.parametrize(
    "flow",
    [
        pytest.param({"metadata": {"name": "{{flows.a.outputs.x}}"}}, id="an output"),
        pytest.param({"metadata": {"name": "x-{{item}}"}, "for": {"itemsFrom": "{{flows.a.outputs.x}}"}}, id="an item"),
    ],
)
def test_a_name_that_cannot_be_is_quoted_as_it_is_written(flow: dict[str, Any]) -> None:
    spec = {"gvr": {"version": "v1", "resource": "configmaps"}, "action": "Apply", "metadata": flow.pop("metadata")}
    uses = {"template": "", "templateSpec": {**spec, "jobSpec": {}}, **flow}
    bench = ObjectBench(wf(a={"outputs": [output()]}, b=uses))
    bench.settle()
    bench.say(done(x='["HUSH_HUSH"]'), "a")
    bench.settle()
    found = bench.flow("b")
    assert found.reason == "RenderError"
    assert f"{spec['metadata']['name']} gives no name: an object's name has lower case" in found.message
    assert "HUSH" not in found.message


def test_a_creation_knows_what_its_messages_must_not_quote() -> None:
    note = {"n": "{{flows.a.outputs.x}}"}
    bench = Bench(wf(a={"outputs": [output()]}, b={"patch": {"metadata": {"annotations": note}}}))
    bench.say(done(x="hush-hush"), "a")
    made = bench.step()
    while not made.creations:
        made = bench.step()
    assert [creation.hidden for creation in made.creations] == [("hush-hush",)]
