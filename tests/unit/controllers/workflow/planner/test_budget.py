"""The budget of a pass: work that exceeds it is left for later passes, and nothing is decided from half of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.controllers.workflow.planner.budget import PASS_BUDGET
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency import release
from pkg.controllers.workflow.planner.dependency.probes import needed_probes
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import from_flows
from pkg.controllers.workflow.planner.status.jobs import JOB_UNITS
from pkg.controllers.workflow.planner.status.workflow_status import is_rendered
from tests.builders import COMPLETE, Bench, http, on, status_of, wf

SHAPES: dict[str, dict[str, Any]] = {
    "a chain": {"a": "", "b": "a", "c": "b"},
    "a fan": {"a": "", "b": {**on("a"), "for": {"replicas": 12}}, "c": "b"},
    "replicas in a row": {"a": {"for": {"replicas": 6, "dependsOn": {"targets": ["a"]}}}, "b": "a"},
    "a branch that is skipped": {"a": "", "b": on(probe=status_of("a", "Failed")), "c": "b", "d": "a"},
}


def ends(units: int, shape: dict[str, Any]) -> tuple[dict[str, str], list[str], str]:
    """Final phases, the names of all jobs, and the phase of the workflow, with every job succeeding in turn."""
    bench = Bench(wf(**shape), settle=False)
    bench.units = units
    bench.settle()
    for _ in range(60):
        running = [f"{one.task.flow}/{one.task.index}" for one in bench.made]
        bench.succeeds(*running)
        if bench.status.phase is not None and bench.status.phase.is_final:
            return bench.phases(), sorted(one.name for one in bench.made), str(bench.status.phase)
    raise AssertionError("the workflow does not end")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("units", [1, 3, 40])
def test_a_small_budget_changes_only_when_things_happen(shape: dict[str, Any], units: int) -> None:
    assert ends(units, shape) == ends(PASS_BUDGET, shape)


def test_after_a_restart_nothing_is_decided_before_every_job_has_been_looked_at() -> None:
    bench = Bench(wf(a={"for": {"replicas": 20}}, b="a"))
    bench.runs(*(f"a/{index}" for index in range(20)))
    bench.crash()
    first = plan(bench.observe(), 5)
    assert (first.creations, first.patch, first.deletions, first.requeue_now) == ((), None, (), True)
    assert len(first.progress.unfolded) > 10, "the jobs that were not looked at"
    bench.crash()
    bench.units = 5
    bench.settle()
    assert (bench.tasks("a"), bench.phases()["b"]) == (["Running"] * 20, "Waiting")
    assert bench.progress is not None
    assert not bench.progress.unfolded


def test_a_pass_creates_at_least_one_job() -> None:
    bench = Bench(wf(a={"for": {"replicas": 5}}), settle=False)
    bench.units = 1
    made = [len(bench.step().creations) for _ in range(12)]
    assert sum(made) == 5
    assert max(made) == 1


def test_the_answer_of_a_probe_is_evaluated_once_for_all_flows_that_wait_for_it() -> None:
    """Flows x replicas does not multiply: 40 flows that ask 50 replicas cost little more than one flow."""

    def units_of(flows: int) -> int:
        waiting = {f"w{number}": on(probe=http("a")) for number in range(flows)}
        bench = Bench(wf(a={"for": {"replicas": 50}}, **waiting))
        bench.settle()
        seen = bench.observe()
        assert isinstance(seen.graph, Graph)
        ctx = Context(seen, Draft(seen.graph, bench.progress or from_flows([])))
        before = ctx.budget.left
        release.reconcile(ctx, range(len(ctx.graph.nodes)), may_release=lambda _node: True)
        return before - ctx.budget.left

    assert units_of(40) < units_of(1) + 40 * 5


def test_each_question_is_asked_once() -> None:
    waiting = {f"w{number}": on(probe=http("a")) for number in range(10)}
    bench = Bench(wf(a={"for": {"replicas": 4}}, **waiting))
    bench.settle()
    bench.runs(*(f"a/{index}" for index in range(4)))
    seen = bench.observe()
    assert isinstance(seen.graph, Graph)
    needed = list(needed_probes(Context(seen, Draft(seen.graph, bench.progress or from_flows([])))))
    assert sorted(request.key.index for request in needed) == [0, 1, 2, 3]
    bench.passes("w0", index=0)
    assert all(bench.memory(f"w{number}").passed for number in range(10))


def test_a_pass_renders_few_jobs_that_are_large_or_whose_patch_does_not_apply() -> None:
    broken = {"patch": [{"op": "remove", "path": "/spec/nothing"}], "for": {"replicas": 200}}
    bench = Bench(wf(a=broken), settle=False)
    first = bench.step()
    failed = sum(task.phase is Phase.FAILED for task in first.progress.flows[0].tasks)
    assert 0 < failed < 20
    assert first.over_limit
    bench.settle()
    assert set(bench.tasks("a")) == {"Failed", "Skipped"}, "the first failures decide, and the others are skipped"
    large = {"patch": {"metadata": {"annotations": {"x": "y" * 200_000}}}, "for": {"replicas": 60}}
    assert 0 < len(Bench(wf(b=large), settle=False).step().creations) < 20


def test_the_status_of_many_flows_is_rendered_in_several_passes_and_written_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pkg.controllers.workflow.planner.status.status_write.MAX_RENDERED", 3)
    bench = Bench(wf(**{f"f{number}": "" for number in range(8)}), settle=False)
    seen = bench.observe(room=0)
    whole = plan(replace(seen, is_urgent=True))
    passes = [plan(seen)]
    while passes[-1].patch is None:
        assert passes[-1].requeue_at == seen.now
        passes.append(plan(replace(seen, progress=passes[-1].progress, dirty=frozenset())))
    assert len(passes) == 3
    assert passes[-1].patch == whole.patch


def test_the_passes_that_only_read_jobs_render_what_they_have_read() -> None:
    bench = Bench(wf(a="", b="", c=""))
    bench.runs("a", "b", "c")
    bench.crash()
    first = plan(bench.observe(), JOB_UNITS)
    assert first.patch is None
    assert first.progress.unfolded
    assert is_rendered(first.progress)


def test_whether_the_end_waits_for_a_job_is_asked_by_a_pass_that_has_budget_for_it() -> None:
    bench = Bench(wf(a={"for": {"replicas": 10}}))
    for index in range(10):
        bench.say(COMPLETE, f"a/{index}")
    first = plan(bench.observe(), 10 * (JOB_UNITS + 1) + 1)
    assert first.requeue_now
    assert first.progress.decision is not None
    assert first.patch is not None
    assert not any(one.get("value") == "Succeeded" and one["path"] == "/status/phase" for one in first.patch.operations)
    bench.crash()
    bench.units = 10 * (JOB_UNITS + 1) + 1
    bench.settle()
    assert bench.status.phase == "Succeeded"
