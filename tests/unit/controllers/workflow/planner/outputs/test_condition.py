"""`when` is judged once per task when its dependencies are True."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.controllers.workflow.planner.actions import Plan
from tests.builders import Bench, on, wf
from tests.unit.controllers.workflow.planner.outputs.setups import WITH_PARAMETER, done, output

TRUE: dict[str, tuple[str, dict[str, Any]]] = {
    "an output": ("outputs.a.x == '3'", {}),
    "an output as a number": ("double(outputs.a.x) > 2.5", {}),
    "an output that is there": ("has(outputs.a.x)", {}),
    "a list of outputs": ("outputs.l.x[1] == '1' && size(outputs.l.x) == 2", {}),
    "the phase of a flow": ("flows.a.phase == 'Succeeded'", {}),
    "the counts of a flow": ("flows.l.succeeded == 2 && flows.l.failed == 0", {}),
    "a parameter": ("int(params.n) == 7", {"parameters": [{"name": "n", "value": "7"}]}),
    "a parameter with an output in it": (
        "params.n == 'is 3'",
        {"parameters": [{"name": "n", "value": "is {{flows.a.outputs.x}}"}]},
    ),
    "the workflow": ("workflow.name == 'w' && workflow.namespace == 'team'", {}),
    "index and replicas": ("index == 0 && replicas == 1", {}),
    "no item": ("item == null", {}),
    "a macro over outputs": ("outputs.l.x.exists(v, v == '0')", {}),
}


def judged(when: str, **fields: Any) -> Bench:
    """Flow `b` with this condition, after `a` handed out 3 and both of `l` their index."""
    loop = {"for": {"replicas": 2}, "outputs": [output()]}
    bench = Bench(wf(a={"outputs": [output()]}, l=loop, b={**on("a l"), "when": when, **fields}))
    bench.say(done(x=3), "a")
    bench.say(done(x=0), "l/0")
    bench.say(done(x=1), "l/1")
    bench.settle()
    return bench


@pytest.mark.parametrize(("when", "fields"), TRUE.values(), ids=TRUE)
def test_true_lets_the_task_run(when: str, fields: dict[str, Any]) -> None:
    bench = judged(when, **fields)
    assert bench.phases()["b"] == "Pending"


@pytest.mark.parametrize(("when", "fields"), TRUE.values(), ids=TRUE)
def test_false_skips_it(when: str, fields: dict[str, Any]) -> None:
    bench = judged(f"!({when})", **fields)
    assert (bench.phases()["b"], bench.flow("b").reason) == ("Skipped", "WhenFalse")
    assert when in bench.flow("b").message


@pytest.mark.parametrize(
    ("when", "why"),
    [
        pytest.param("double(outputs.l.x[0] + 'x') > 1.0", "a text that is no number", id="a text that is no number"),
        pytest.param("outputs.l.x[5] == ''", "there is no item at [5]: the list has 2", id="past the end of a list"),
        pytest.param("outputs.l.x[1]", "the result is STRING", id="neither true nor false"),
    ],
)
def test_a_fault_fails_it(when: str, why: str) -> None:
    bench = judged(when)
    assert (bench.phases()["b"], bench.flow("b").reason) == ("Failed", "RenderError")
    assert why in bench.flow("b").message


def test_an_item_that_the_flow_does_not_have_is_named_as_the_cause() -> None:
    bench = judged("item.name == 'a'")
    assert bench.flow("b").message == (
        "when cannot be judged: it reads a key of what is no object; item is null, because the flow has no for.items"
    )


def test_a_fault_quotes_no_output() -> None:
    bench = judged("{'a': true}[outputs.a.x]")
    assert bench.flow("b").reason == "RenderError"
    assert '"3"' not in bench.flow("b").message


def test_a_skip_counts_as_any_other() -> None:
    bench = Bench(wf(a={"when": "false"}, b="a", c=on("a", onSkipped="Ignore")))
    assert bench.phases() == {"a": "Skipped", "b": "Skipped", "c": "Pending"}


def test_each_task_is_judged_by_itself() -> None:
    bench = Bench(wf(a={"for": {"replicas": 4}, "when": "index % 2 == 0"}))
    assert (bench.flow("a").pending, bench.flow("a").skipped) == ("0,2", "1,3")


def test_each_item_is_judged_by_itself() -> None:
    bench = Bench(wf(a={"for": {"items": ["x", "y"]}, "when": "item == 'y'"}))
    assert (bench.flow("a").pending, bench.flow("a").skipped) == ("1", "0")


def test_naming_a_flow_waits_for_its_end_however_it_ends() -> None:
    bench = Bench(wf(a={"continueOnFail": True}, b={"when": "flows.a.failed > 0"}))
    assert bench.phases()["b"] == "Waiting"
    bench.fails("a")
    assert bench.phases()["b"] == "Pending"


def test_a_default_of_the_template_is_a_parameter_too() -> None:
    bench = Bench(wf(a={"when": "params.limit == '3'"}), WITH_PARAMETER)
    assert bench.phases()["a"] == "Pending"


def test_a_template_that_may_have_the_value_is_waited_for() -> None:
    bench = Bench(wf(a={"when": "params.limit == '3'"}), {})
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Waiting", "TemplateNotFound")
    bench.templates = dict(WITH_PARAMETER)
    bench.settle()
    assert bench.phases()["a"] == "Pending"


def test_a_job_proves_that_it_was_true() -> None:
    bench = Bench(wf(a={"outputs": [output()]}, b={"when": "outputs.a.x == '1'"}))
    bench.say(done(x=1), "a")
    bench.settle()
    bench.crash()
    bench.lose_status()
    bench.say(done(x=2), "a")
    bench.settle()
    assert bench.phases()["b"] == "Pending"


def test_a_restart_judges_again() -> None:
    bench = Bench(wf(a={"outputs": [output()], "continueOnFail": True}, b={"when": "outputs.a.x == '1'"}))
    bench.say(done(x=0), "a")
    bench.settle()
    assert bench.phases() == {"a": "Succeeded", "b": "Skipped"}
    bench.set_spec(restart={"at": "1", "flows": ["a"]})
    bench.say(done(x=1), "a")
    bench.settle()
    assert bench.phases()["b"] == "Pending"


def test_a_large_flow_is_judged_in_parts() -> None:
    bench = Bench(wf({"parallelism": 1}, a={"for": {"replicas": 3000}, "when": "index < 0"}))
    bench.units = 100
    made: Plan = bench.settle()
    assert (bench.phases()["a"], made.requeue_now) == ("Skipped", False)
