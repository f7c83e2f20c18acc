"""Status rules that break while their template is in use: nothing fails, nothing is lost, nothing hangs for it."""

from __future__ import annotations

from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1 import conditions
from pkg.kinds.kind import Kind
from pkg.workloads import rules_for
from tests.builders import WIDGETS, Bench, template, wf

GOOD = {"ok": [{"path": "status.step", "eq": "baked"}], "running": [{"path": "status.step", "eq": "baking"}]}
BROKEN = {"ok": [{"cel": "object.status.step =="}]}


def widget(rules: Any, generation: int = 1) -> dict[str, Any]:
    made = template("widget", WIDGETS, jobSpec={}, statusRules=rules)
    return {
        "widget": msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, generation=generation))
    }


def bench_of(rules: Any, **flows: Any) -> Bench:
    return Bench(wf(**{name: {"template": "widget", **flow} for name, flow in flows.items()}), widget(rules))


def faulty(bench: Bench) -> str | None:
    """The status of the condition Blocked, None without it."""
    found = conditions.find(bench.workflow.status.conditions, conditions.BLOCKED)
    return found.status if found is not None else None


def edit(bench: Bench, rules: Any) -> None:
    """The template is changed, and every job is looked at anew, as the controller does then."""
    (old,) = bench.templates.values()
    bench.templates = widget(rules, old.metadata.generation + 1)
    bench.ledger_tells_all()
    bench.settle()


def test_no_job_is_made_by_rules_that_cannot_be_used_and_it_goes_on_when_they_are_mended() -> None:
    bench = bench_of(BROKEN, a={})
    assert bench.names == []
    assert (bench.phases(), bench.flow("a").reason) == ({"a": "Waiting"}, "StatusRuleFault")
    assert bench.flow("a").message.startswith("WorkTemplate widget: spec.statusRules.ok[0]: cel: line 1")
    assert faulty(bench) == "True"
    edit(bench, GOOD)
    assert bench.names == ["w-a"]
    assert faulty(bench) == "False"


def test_a_job_that_runs_stays_so_while_its_rules_are_broken() -> None:
    bench = bench_of(GOOD, a={})
    bench.say({"step": "baking"}, "a")
    bench.settle()
    edit(bench, BROKEN)
    assert (bench.phases(), bench.flow("a").reason) == ({"a": "Running"}, "StatusRuleFault")
    assert faulty(bench) == "True"
    bench.say({"step": "baked"}, "a")
    bench.settle()
    assert bench.phases() == {"a": "Running"}, "nobody can tell now"
    edit(bench, GOOD)
    assert bench.phases() == {"a": "Succeeded"}
    assert bench.phase == "Succeeded"
    assert faulty(bench) == "False"


def test_rules_that_work_are_worth_no_condition() -> None:
    bench = bench_of(GOOD, a={})
    bench.say({"step": "baked"}, "a")
    bench.settle()
    assert (bench.phase, faulty(bench)) == ("Succeeded", None)


def test_what_was_judged_before_stays_judged_and_the_workflow_ends() -> None:
    bench = Bench(
        wf(a={"template": "widget"}, b={"template": "job", "dependsOn": {"targets": ["a"]}}),
        {**widget(GOOD), "job": template("job")},
    )
    bench.say({"step": "baked"}, "a")
    bench.settle()
    assert bench.phases()["a"] == "Succeeded"
    bench.templates = {**widget(BROKEN, 2), "job": template("job")}
    bench.ledger_tells_all()
    bench.succeeds("b")
    assert bench.phase == "Succeeded"
    assert bench.deleted == []


def test_a_timeout_still_stops_a_job_that_rules_cannot_judge() -> None:
    bench = bench_of(GOOD, a={"timeout": "10s"})
    bench.say({"step": "baking"}, "a")
    bench.settle()
    edit(bench, BROKEN)
    bench.wait(11)
    assert (bench.phases(), bench.flow("a").reason) == ({"a": "Failed"}, "DeadlineExceeded")
    assert [deletion.name for deletion in bench.deleted] == ["w-a"]


def test_rules_of_a_kind_without_the_status_subresource_have_no_observed_generation_gate() -> None:
    bench = bench_of(GOOD, a={})
    bench.say({"step": "baked", "observedGeneration": -1}, "a")
    bench.settle()
    assert bench.phases() == {"a": "Pending"}
    assert bench.flow("a").reason == "StatusOutdated"
    bench.kinds[WIDGETS] = Kind("Widget", rules_for(WIDGETS), has_status=False)
    bench.ledger_tells_all()
    bench.settle()
    assert bench.phases() == {"a": "Succeeded"}
