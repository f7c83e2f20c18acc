"""True, Unknown or Impossible: the whole truth table, latches, groups, skips, replicas, probes and pod addresses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Strategy
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.probes import needed_probes
from pkg.controllers.workflow.planner.dependency.truth import Truth, both, either, over_replicas, truth
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Ask, Graph
from pkg.controllers.workflow.planner.progress import Task
from pkg.kinds.kind import Kind
from pkg.workloads import rules_for
from tests.builders import (
    COMPLETE,
    FAILED,
    HELD,
    RUNNING,
    TEMPLATES,
    WIDGETS,
    Bench,
    http,
    on,
    status_of,
    task,
    tcp,
    template,
    wf,
)

T, U, N, X = Truth.TRUE, Truth.UNKNOWN, Truth.IMPOSSIBLE, Truth.TIMED_OUT

STANDINGS: dict[str, Task] = {
    "waiting": Task(phase=Phase.WAITING),
    "pending": Task(phase=Phase.PENDING, had_job=True),
    "held": Task(phase=Phase.SUSPENDED, had_job=True),
    "running": Task(phase=Phase.RUNNING, had_job=True, ran=True),
    "in backoff after a run": Task(phase=Phase.BACKOFF, had_job=True, ran=True, reported=True),
    "in backoff, vanished before it ran": Task(phase=Phase.BACKOFF, had_job=True),
    "succeeded": Task(phase=Phase.SUCCEEDED, had_job=True, ran=True),
    "failed after a run": Task(phase=Phase.FAILED, had_job=True, ran=True, reported=True),
    "failed by its own report, never seen to run": Task(phase=Phase.FAILED, had_job=True, reported=True),
    "failed by PendingTimeout": Task(phase=Phase.FAILED, had_job=True),
    "failed without a job": Task(phase=Phase.FAILED),
    "skipped": Task(phase=Phase.SKIPPED),
    "cancelled while it ran": Task(phase=Phase.CANCELLED, had_job=True, ran=True),
    "cancelled before it ran": Task(phase=Phase.CANCELLED, had_job=True),
}
# One column per standing, in the order above.
TABLE: dict[Ask, str] = {
    Ask.TARGET: "                       U U U U  U U  T  I I I I  I  I I",
    Ask.TARGET_OR_FAILED: "             U U U U  U U  T  T T T T  I  I I",
    Ask.TARGET_OR_SKIPPED: "            U U U U  U U  T  I I I I  T  I I",
    Ask.TARGET_OR_FAILED_OR_SKIPPED: "  U U U U  U U  T  T T T T  T  I I",
    Ask.PENDING: "                      U T T T  T T  T  T T T I  I  T T",
    Ask.RUNNING: "                      U U U T  T U  T  T T I I  I  T I",
    Ask.COMPLETED: "                    U U U U  U U  T  I I I I  I  I I",
    Ask.FAILED: "                       U U U U  U U  I  T T T T  I  I I",
    Ask.SKIPPED: "                      U U U U  U U  I  I I I I  T  I I",
    Ask.FINISHED: "                     U U U U  U U  T  T T T T  T  T T",
}
CASES = [
    pytest.param(ask, STANDINGS[name], value, id=f"{ask.name} of a task that is {name}")
    for ask, row in TABLE.items()
    for name, value in zip(STANDINGS, row.split(), strict=True)
]


@pytest.mark.parametrize(("ask", "asked", "value"), CASES)
def test_the_truth_table(ask: Ask, asked: Task, value: str) -> None:
    assert truth(ask, asked.facts) is {"T": T, "U": U, "I": N}[value]


def test_no_question_is_left_out_of_the_table() -> None:
    assert set(TABLE) == set(Ask)


@pytest.mark.parametrize(
    ("values", "conjunction", "disjunction"),
    [
        pytest.param([], T, T, id="nothing to ask is True"),
        pytest.param([T, U], U, T, id="True and Unknown"),
        pytest.param([U, N], N, U, id="AND is Impossible if any part is, OR only if all are"),
        pytest.param([N, N], N, N, id="all Impossible"),
        pytest.param([T, N], N, T, id="True and Impossible"),
        pytest.param([N, X], X, X, id="a ProbeTimeout among the causes shows"),
        pytest.param([T, U, X], X, T, id="everything at once"),
        pytest.param([U, X], X, U, id="Unknown keeps an OR open"),
    ],
)
def test_three_valued_logic(values: list[Truth], conjunction: Truth, disjunction: Truth) -> None:
    assert both(values) is conjunction
    assert either(values) is disjunction
    assert over_replicas(Strategy.ALL, values) is conjunction
    assert over_replicas(Strategy.ANY, values) is disjunction


# Latching


def test_a_phase_that_was_true_once_stays_true() -> None:
    bench = Bench(wf({"parallelism": 1}, a={"continueOnFail": True}, b=on(probe=status_of("a", "Running"))))
    bench.runs("a")
    assert bench.living == {"w-a"}, "b has to wait for the slot"
    bench.fails("a")
    assert "w-b" in bench.names, "a has run, and that is not taken back"


def test_latches_are_kept_per_predicate() -> None:
    """One probe passes, then the other; the first need not pass at that moment any more."""
    bench = Bench(wf(a="", b=on(probe={**http("a"), **tcp("a")})))
    bench.runs("a")
    bench.passes("b")
    bench.passed = frozenset()
    bench.passes("b", "dependsOn.probe.tcpSocketList[0]")
    assert "w-b" in bench.names


def test_latches_are_kept_per_replica() -> None:
    bench = Bench(wf(a={"for": {"replicas": 2}}, b=on(probe=http("a"))))
    bench.runs("a/0", "a/1")
    bench.passes("b", index=0)
    bench.passed = frozenset()
    assert bench.wait(10).creations == ()
    bench.passes("b", index=1)
    assert "w-b" in bench.names


def test_latches_survive_a_crash_by_status() -> None:
    bench = Bench(wf(a="", b=on(probe={**http("a"), **tcp("a")})))
    bench.runs("a")
    bench.passes("b")
    bench.restarted().passes("b", "dependsOn.probe.tcpSocketList[0]")
    assert "w-b" in bench.names


@pytest.mark.parametrize("later", [{}, HELD], ids=["pending", "held by a queue"])
def test_that_a_task_has_run_is_known_after_a_crash_though_its_job_runs_no_more(later: dict[str, Any]) -> None:
    bench = Bench(wf(a={"continueOnFail": True}, x="", b=on("x", probe=status_of("a", "Running"))))
    bench.runs("a")
    bench.say(later, "a")
    bench.settle()
    bench.restarted().restarted().vanishes("a")
    bench.succeeds("x")
    assert bench.phases() == {"a": "Failed", "x": "Succeeded", "b": "Pending"}


def test_that_a_task_never_had_a_job_is_known_after_a_crash() -> None:
    """One that failed by its pendingTimeout may have had one or not, and status has to say which."""
    asks = on("x", orGroups=[{"probe": status_of("a", "Pending")}])
    late = {"template": "nobody", "pendingTimeout": "1m", "continueOnFail": True}
    bench = Bench(
        wf(a=late, r={**late, "retry": {"maxRetries": 1}}, x="", b=asks, c=on(probe=status_of("r", "Pending")))
    )
    bench.wait(61)
    bench.restarted().restarted()
    assert bench.phases() == {"a": "Failed", "r": "Backoff", "x": "Pending", "b": "Waiting", "c": "Waiting"}


def test_that_a_task_had_a_job_is_known_after_a_crash_though_its_retry_could_not_be_made() -> None:
    flaky = {"continueOnFail": True, "retry": {"maxRetries": 1, "interval": "1s"}}
    bench = Bench(wf(a=flaky, x="", b=on("x", probe=status_of("a", "Pending"))))
    bench.templates["job"] = template("job", jobSpec={"broken": "{{params.nobody}}"})
    bench.fails("a")
    bench.wait(1)
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Failed", "RenderError")
    bench.templates["job"] = TEMPLATES["job"]
    bench.restarted().restarted().succeeds("x")
    assert bench.phases()["b"] == "Pending"


def test_a_pod_address_does_not_latch() -> None:
    bench = Bench(wf({"parallelism": 1}, a="", b={"patch": {"x": "{{flows.a.podIP}}"}}))
    bench.runs("a")
    bench.pod_ips = {task("a"): "127.0.0.1"}
    bench.wait(1)
    assert bench.task("b").released is not None
    bench.pod_ips = {}
    bench.wait(1)
    assert bench.task("b").released is None


# Groups


def test_targets_and_probe_must_both_hold() -> None:
    bench = Bench(wf(a="", b="", c=on("a", probe=status_of("b", "Running"))))
    bench.succeeds("a")
    assert "w-c" not in bench.names
    bench.runs("b")
    assert "w-c" in bench.names


def test_any_group_is_enough() -> None:
    bench = Bench(wf(a="", b="", c="", d=on("a b", orGroups=[{"targets": ["c"]}])))
    bench.succeeds("c")
    assert "w-d" in bench.names


def test_or_is_impossible_only_when_all_groups_are() -> None:
    bench = Bench(wf(a={"continueOnFail": False}, b="", c="", d=on("a", orGroups=[{"targets": ["b"]}])), settle=False)
    bench.set_spec(successPolicy={"remaining": "Continue"})
    bench.fails("a")
    assert bench.phases()["d"] == "Waiting"
    bench.fails("b")
    assert bench.phases()["d"] == "Skipped"


def test_with_groups_an_empty_top_level_is_not_simply_true() -> None:
    bench = Bench(wf(a="", b=on(orGroups=[{"targets": ["a"]}])))
    assert bench.names == ["w-a"]


# Skips


def test_an_impossible_dependency_skips_with_a_reason() -> None:
    bench = Bench(wf({"successPolicy": {"remaining": "Continue"}}, a="", b="a", c="b"))
    bench.fails("a")
    assert bench.phases() == {"a": "Failed", "b": "Skipped", "c": "Skipped"}
    assert bench.flow("b").reason == "DependenciesImpossible"
    assert bench.flow("b").message == "it waited for a to succeed, which is Failed"


@pytest.mark.parametrize(
    ("flow", "phase"),
    [
        pytest.param(on("b"), "Skipped", id="a skipped target skips, by default"),
        pytest.param(on("b", onSkipped="Skip"), "Skipped", id="a skipped target skips"),
        pytest.param(on("b", onSkipped="Ignore"), "Pending", id="a skipped target is ignored"),
        pytest.param(on(orGroups=[{"targets": ["b"]}], onSkipped="Ignore"), "Pending", id="groups inherit it"),
        pytest.param(
            on(probe=status_of("b", "Completed"), onSkipped="Ignore"), "Skipped", id="it is no word on probes"
        ),
        pytest.param(on(probe=status_of("b", "Skipped")), "Pending", id="phase Skipped waits for just that"),
        pytest.param(on(probe=status_of("b", "Finished")), "Pending", id="phase Finished takes any end"),
    ],
)
def test_behind_a_skipped_flow(flow: dict[str, Any], phase: str) -> None:
    bench = Bench(wf(a="", b=on(probe=status_of("a", "Failed")), c=flow))
    bench.succeeds("a")
    assert bench.phases() == {"a": "Succeeded", "b": "Skipped", "c": phase}


def test_continue_on_fail_lets_those_that_wait_go_on() -> None:
    bench = Bench(wf(a={"continueOnFail": True}, b="a"))
    bench.fails("a")
    assert "w-b" in bench.names


def test_phase_failed_waits_until_retries_are_spent() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "1s"}}, b=on(probe=status_of("a", "Failed"))))
    bench.fails("a")
    assert "w-b" not in bench.names
    bench.wait(1)
    bench.fails("a")
    assert "w-b" in bench.names


# Replicas


def test_without_for_depends_on_all_replicas_start_together() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3}}))
    assert bench.names == ["w-a-0", "w-a-1", "w-a-2"]


def test_its_own_name_means_the_previous_index() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3, "dependsOn": {"targets": ["a"]}}}))
    assert bench.names == ["w-a-0"], "at index 0 it counts as True"
    bench.succeeds("a/0")
    assert bench.names == ["w-a-0", "w-a-1"]
    bench.fails("a/1")
    assert bench.tasks("a") == ["Succeeded", "Failed", "Skipped"]


def test_a_phase_of_the_previous_index() -> None:
    running = {"probe": status_of("a", "Running")}
    bench = Bench(wf(a={"for": {"replicas": 3, "dependsOn": running}}))
    bench.runs("a/0")
    assert bench.names == ["w-a-0", "w-a-1"]


def test_for_depends_on_may_name_other_flows_and_is_anded() -> None:
    bench = Bench(wf(a="", b="", c={**on("a"), "for": {"replicas": 2, "dependsOn": {"targets": ["b"]}}}))
    bench.succeeds("a")
    assert "w-c-0" not in bench.names
    bench.succeeds("b")
    assert {"w-c-0", "w-c-1"} <= set(bench.names)


def test_a_replica_that_waits_holds_up_no_other() -> None:
    bench = Bench(wf(a={"for": {"replicas": 2}}, b={"for": {"replicas": 2}, "patch": {"x": "{{flows.a.podIP}}"}}))
    bench.runs("a/0", "a/1")
    bench.pod_ips = {task("a/1"): "127.0.0.2"}
    bench.wait(1)
    assert bench.names[2:] == ["w-b-1"]


def test_strategy_all_wants_every_replica_and_any_just_one() -> None:
    bench = Bench(wf(a={"for": {"replicas": 2}}, every="a", some=on("a", strategy="Any")))
    bench.succeeds("a/1")
    assert bench.names[2:] == ["w-some"]
    bench.succeeds("a/0")
    assert bench.names[3:] == ["w-every"]


def test_one_failed_replica_makes_all_impossible_and_leaves_any_open() -> None:
    policy = {"successPolicy": {"remaining": "Continue"}}
    bench = Bench(wf(policy, a={"for": {"replicas": 2}}, every="a", some=on("a", strategy="Any")))
    bench.fails("a/0")
    assert (bench.phases()["every"], bench.phases()["some"]) == ("Skipped", "Waiting")
    bench.fails("a/1")
    assert bench.phases()["some"] == "Skipped"


# HTTP and TCP probes


def gate(probe: dict[str, Any], **flows: Any) -> Bench:
    """`a` runs, `b` waits for its probe, `c` for the failure of `b`."""
    policy = {"successPolicy": {"remaining": "Continue"}}
    bench = Bench(wf(policy, a=flows.pop("a", ""), b=on(probe=probe), c=on(probe=status_of("b", "Failed")), **flows))
    bench.runs("a")
    return bench


def test_a_probe_that_passed_releases() -> None:
    bench = gate(http("a"))
    assert bench.flow("b").message == "waits for a to answer HTTP /ok on port 8080"
    bench.passes("b")
    assert "w-b" in bench.names


def test_the_asked_task_ended_well_first_is_a_probe_timeout() -> None:
    bench = gate(http("a"))
    bench.succeeds("a")
    assert bench.phases() == {"a": "Succeeded", "b": "Failed", "c": "Pending"}
    assert bench.flow("b").reason == "ProbeTimeout"


def test_one_of_several_asked_tasks_ended_well_first() -> None:
    """The message can be told, though the asked flow goes on and nobody said when to give up."""
    bench = Bench(wf(a={"for": {"replicas": 2}}, b=on(probe=http("a"))))
    bench.succeeds("a/0")
    assert bench.tasks("a") == ["Succeeded", "Pending"]
    assert (bench.flow("b").reason, bench.flow("b").message) == (
        "ProbeTimeout",
        "a did not answer HTTP /ok on port 8080 before it ended",
    )


def test_the_asked_task_failed_first_skips() -> None:
    bench = gate(http("a"))
    bench.fails("a")
    assert bench.phases() == {"a": "Failed", "b": "Skipped", "c": "Skipped"}


def test_fail_after_counts_from_when_the_attempt_first_ran() -> None:
    bench = Bench(wf(a="", b=on(probe=http("a", failAfter="10s")), c=on(probe=status_of("b", "Failed"))))
    bench.wait(60)
    assert bench.phases()["b"] == "Waiting", "it does not run yet"
    bench.runs("a")
    bench.wait(9.9)
    assert bench.phases()["b"] == "Waiting"
    bench.wait(0.2)
    assert bench.phases() == {"a": "Running", "b": "Failed", "c": "Pending"}
    assert bench.flow("b").message == "a did not answer HTTP /ok on port 8080 within 10s of running"


def test_the_pass_says_when_a_probe_gives_up() -> None:
    bench = gate(http("a", failAfter="10s"))
    assert bench.step().requeue_at == bench.now + 10


def test_while_the_asked_task_is_in_backoff_nobody_gives_up() -> None:
    bench = gate(http("a", failAfter="10s"), a={"retry": {"maxRetries": 1, "interval": "60s"}})
    bench.fails("a")
    bench.wait(30)
    assert bench.phases()["b"] == "Waiting"
    bench.wait(31)
    bench.runs("a")
    bench.wait(9)
    assert bench.phases()["b"] == "Waiting", "the clock began anew with the attempt"
    bench.wait(2)
    assert bench.phases()["b"] == "Failed"


def test_without_fail_after_nobody_gives_up() -> None:
    bench = gate(http("a"))
    bench.wait(1e6)
    assert bench.phases()["b"] == "Waiting"


def test_probes_are_wanted_only_while_somebody_waits_and_the_job_may_be_asked() -> None:
    def wanted(bench: Bench) -> set[tuple[str, int]]:
        seen = bench.observe()
        progress, graph = bench.progress, seen.graph
        assert progress is not None
        assert isinstance(graph, Graph)
        needed = needed_probes(Context(seen, Draft(graph, progress)))
        return {(one.asked.flow, one.asked.index) for one in needed}

    bench = Bench(wf(x="", a={**on("x"), "for": {"replicas": 2}}, b=on(probe=http("a"))))
    assert wanted(bench) == set(), "a has no job yet"
    bench.succeeds("x")
    assert wanted(bench) == {("a", 0), ("a", 1)}
    bench.runs("a/0", "a/1")
    bench.passes("b", index=0)
    assert wanted(bench) == {("a", 1)}
    bench.passes("b", index=1)
    assert wanted(bench) == set()


def test_a_ready_service_is_asked_until_its_job_is_gone() -> None:
    bench = Bench(wf(a={"template": "service"}, x="", b=on("x", probe=http("a"))))
    bench.is_ready("a")
    assert bench.phases()["a"] == "Succeeded"
    assert len(bench.step().probes) == 1
    bench.wait(1000)
    assert bench.phases()["b"] == "Waiting"
    bench.vanishes("a")
    assert bench.phases() == {"a": "Succeeded", "x": "Pending", "b": "Failed"}
    assert bench.flow("b").reason == "ProbeTimeout"


@pytest.mark.parametrize("end", [COMPLETE, FAILED], ids=["completed", "failed"])
@pytest.mark.parametrize("is_crashing", [False, True], ids=["seen", "after a crash"])
def test_a_ready_service_whose_job_is_over_is_asked_no_more(end: dict[str, Any], is_crashing: bool) -> None:
    """It stays Succeeded, but a gate on it would stay shut for ever, and every workflow ends once its jobs do."""
    bench = Bench(wf(a={"template": "service"}, b=on(probe=http("a")), c=on(probe=status_of("b", "Failed"))))
    bench.is_ready("a")
    assert bench.phases()["b"] == "Waiting"
    bench.say(end, "a")
    if is_crashing:
        bench.crash()
    bench.settle()
    assert (bench.phases()["a"], bench.phases()["b"]) == ("Succeeded", "Failed")
    assert bench.flow("b").reason == "ProbeTimeout"
    assert bench.succeeds("c").probes == ()
    assert bench.phase == "Succeeded"


def test_a_service_whose_job_is_over_before_it_was_ready_is_not_asked() -> None:
    bench = Bench(wf(a={"template": "service"}, b=on(probe=http("a"))))
    bench.succeeds("a")
    assert (bench.phases(), bench.phase) == ({"a": "Succeeded", "b": "Failed"}, "Failed")


def test_a_kind_that_serves_for_ever_is_asked_until_its_job_is_gone_whatever_it_reports() -> None:
    deployments = GVR("apps", "v1", "deployments")
    bench = Bench(
        wf(a={"template": "web"}, b=on(probe=http("a"))),
        {**TEMPLATES, "web": template("web", deployments)},
        settle=False,
    )
    bench.kinds[deployments] = Kind(kind="Deployment", row=rules_for(deployments))
    bench.synced |= {deployments}
    bench.settle()
    ready = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}
    bench.say(ready, "a")
    bench.settle()
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    bench.say({**ready, "conditions": [stuck]}, "a")
    bench.settle()
    assert bench.phases() == {"a": "Succeeded", "b": "Waiting"}


def test_a_service_may_give_an_answer_after_it_became_ready() -> None:
    bench = Bench(wf(a={"template": "service"}, b=on(probe=http("a"))))
    bench.is_ready("a")
    bench.passes("b")
    assert "w-b" in bench.names


def test_fail_after_of_a_ready_service_goes_on_after_a_restart_of_the_controller() -> None:
    bench = Bench(wf(a={"template": "service"}, b=on(probe=http("a", failAfter="10s"))))
    bench.is_ready("a")
    bench.wait(5)
    bench.restarted().wait(6)
    assert bench.flow("b").reason == "ProbeTimeout"


def test_a_strategy_over_probed_replicas() -> None:
    flows = {"every": on(probe=http("a")), "some": on(probe=http("a"), strategy="Any")}
    bench = Bench(wf(a={"for": {"replicas": 2}}, **flows))
    bench.runs("a/0", "a/1")
    bench.passes("every", index=1)
    bench.passes("some", index=1)
    assert bench.names[2:] == ["w-some"]


def test_options_of_a_probe_reach_the_prober() -> None:
    probe = http("a", periodSeconds=7, timeoutSeconds=3, successThreshold=2, role="worker", pods="All")
    bench = Bench(wf(a="", b=on(probe=probe)))
    bench.runs("a")
    (request,) = bench.step().probes
    assert (request.period, request.timeout, request.threshold) == (7.0, 3.0, 2)
    assert (request.role, str(request.pods), request.attempt) == ("worker", "All", 0)
    assert request.gvr == "jobs.v1.batch"


def test_what_was_left_out_of_a_probe() -> None:
    bench = Bench(wf(a="", b=on(probe=tcp("a"))))
    (request,) = bench.step().probes
    assert (request.period, request.timeout, request.threshold) == (5.0, 2.0, 1)
    assert (request.role, str(request.pods)) == ("", "Lead")


# Pod addresses


def test_an_address_of_the_same_index_else_of_index_0() -> None:
    patch = {"spec": {"x": "{{flows.a.podIP}}"}}
    bench = Bench(
        wf(a={"for": {"replicas": 2}}, b={"for": {"replicas": 3}, "patch": patch}),
        {"job": template("job", WIDGETS, jobSpec={})},
    )
    bench.say(RUNNING, "a/0", "a/1")
    bench.pod_ips = {task("a/0"): "127.0.0.1", task("a/1"): "127.0.0.2"}
    bench.settle()
    made = {creation.name: msgspec.json.decode(creation.body)["spec"]["x"] for creation in bench.made[2:]}
    assert made == {"w-b-0": "127.0.0.1", "w-b-1": "127.0.0.2", "w-b-2": "127.0.0.1"}


def test_without_an_address_it_waits_and_says_so() -> None:
    bench = Bench(wf(a="", b={"patch": {"x": "{{flows.a.podIP}}"}}))
    bench.runs("a")
    assert bench.flow("b").message == "waits for the pod address of a (now Running)"


def test_an_address_of_a_task_that_ended_is_impossible() -> None:
    bench = Bench(wf(a="", b={"patch": {"x": "{{flows.a.podIP}}"}}))
    bench.succeeds("a")
    assert bench.phases()["b"] == "Skipped"
    assert bench.flow("b").message == "a ended before its pod had an address"


def test_the_address_of_a_ready_service_counts_until_its_job_is_gone() -> None:
    bench = Bench(wf(a={"template": "service"}, b={"patch": {"x": "{{flows.a.podIP}}"}}))
    bench.is_ready("a")
    assert bench.phases()["b"] == "Waiting"
    bench.vanishes("a")
    assert bench.phases()["b"] == "Skipped"


def test_a_retry_needs_the_address_of_now() -> None:
    retry = {"maxRetries": 1, "interval": "1s"}
    bench = Bench(wf(a={"template": "service"}, b={"retry": retry, "patch": {"x": "{{flows.a.podIP}}"}}))
    bench.is_ready("a")
    bench.pod_ips = {task("a"): "127.0.0.1"}
    bench.wait(1)
    bench.pod_ips = {}
    bench.fails("b")
    bench.wait(1)
    assert bench.names == ["w-a", "w-b"]
    assert bench.flow("b").message == "waits for the pod address of a, which has none now"
    bench.pod_ips = {task("a"): "127.0.0.9"}
    bench.wait(1)
    assert bench.names == ["w-a", "w-b", "w-b-r1"]
