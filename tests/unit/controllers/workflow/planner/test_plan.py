"""One pass as a whole: the order of writes, what waits for an acknowledged status, when status is written, the end."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import WorkflowStatus
from pkg.apis.meta import Condition
from pkg.controllers.workflow.planner.actions import CreateJob
from pkg.controllers.workflow.planner.control.creations import MAX_CREATIONS
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import ProbeKey
from pkg.controllers.workflow.planner.snapshot import CreateFault, Trouble
from pkg.controllers.workflow.planner.status.status_write import MAX_UNWRITTEN, MAX_WINDOW, MIN_WINDOW
from pkg.kinds.kind import Kind
from pkg.workloads import rules_for
from tests.builders import COMPLETE, JOBS, RUNNING, TEMPLATES, WIDGETS, Bench, http, on, template, wf

RETRY: dict[str, Any] = {"maxRetries": 2, "interval": "0s"}


def quiet(bench: Bench) -> Bench:
    """From here on the log counts."""
    bench.log.clear()
    return bench


def fault(
    creation: CreateJob, trouble: Trouble, reason: str = "CreateFailed", *, after: float = 1.0, message: str = "no"
) -> CreateFault:
    """A creation that did not work."""
    return CreateFault(trouble, creation.attempt, creation.name, reason, message, 0.0, 1, 1_800_000_000.0 + after)


# The order of writes, and what waits for status


def test_creations_come_before_status_and_status_before_deletions() -> None:
    bench = Bench(wf(a={"timeout": "1m", "continueOnFail": True}, b="", c="b"))
    quiet(bench)
    bench.now += 61
    bench.say(COMPLETE, "b")
    bench.step()
    assert bench.log == ["create w-c", "status", "delete w-a"]


def test_no_deletion_without_an_acknowledged_status() -> None:
    bench = Bench(wf(a={"timeout": "1m"}))
    bench.loses_writes = True
    bench.now += 61
    bench.step()
    assert bench.deleted == []
    bench.loses_writes = False
    quiet(bench).settle()
    assert bench.log[:2] == ["status", "delete w-a"]


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param("JobDeleted", id="JobDeleted"),
        pytest.param("DeadlineExceeded", id="DeadlineExceeded"),
        pytest.param("PendingTimeout", id="PendingTimeout"),
    ],
)
def test_the_attempt_after_a_verdict_that_its_job_does_not_show_waits_for_status(reason: str) -> None:
    clock = {"DeadlineExceeded": {"timeout": "1m"}, "PendingTimeout": {"pendingTimeout": "1m"}}.get(reason, {})
    bench = quiet(Bench(wf(a={"retry": RETRY, **clock})))
    bench.loses_writes = True
    if reason == "JobDeleted":
        seen = bench.observed("a")
        bench.remove(seen)
    else:
        bench.now += 61
    for _ in range(3):
        bench.step()
    assert "create w-a-r1" not in bench.log
    bench.loses_writes = False
    bench.settle()
    assert bench.log.index("status") < bench.log.index("create w-a-r1")


def test_the_attempt_after_a_failure_that_its_job_shows_need_not_wait() -> None:
    bench = quiet(Bench(wf(a={"retry": RETRY})))
    bench.loses_writes = True
    bench.say({"conditions": [{"type": "Failed", "status": "True"}]}, "a")
    bench.step()
    assert bench.log[0] == "create w-a-r1"


def test_a_task_released_by_probes_waits_for_status() -> None:
    bench = Bench(wf(a="", b=on(probe=http("a"))))
    bench.runs("a")
    quiet(bench).loses_writes = True
    bench.passed = frozenset({ProbeKey("b", "dependsOn.probe.httpGetList[0]", 0)})
    for _ in range(3):
        bench.step()
    assert bench.log == ["conflict"] * 3
    bench.loses_writes = False
    quiet(bench).settle()
    assert bench.log[:2] == ["status", "create w-b"]


def test_a_task_released_by_its_targets_does_not() -> None:
    bench = quiet(Bench(wf(a="", b="a")))
    bench.say(COMPLETE, "a")
    assert [one.name for one in bench.step().creations] == ["w-b"]


def test_a_decided_outcome_is_recorded_before_anything_is_built_on_it() -> None:
    bench = Bench(wf({"successPolicy": {"type": "Critical", "criticalFlows": ["a"]}}, a="", b="a"))
    quiet(bench)
    bench.say(COMPLETE, "a")
    bench.settle()
    assert bench.log[:2] == ["status", "create w-b"]


def test_while_the_decision_cannot_be_recorded_nothing_is_made() -> None:
    bench = Bench(wf({"successPolicy": {"type": "Critical", "criticalFlows": ["a"]}}, a="", b="a"))
    quiet(bench).loses_writes = True
    bench.say(COMPLETE, "a")
    for _ in range(3):
        bench.step()
    assert bench.log == ["conflict"] * 3


def test_a_finally_flow_starts_after_the_decision_is_recorded() -> None:
    bench = quiet(Bench(wf(a="", z={"finally": True})))
    bench.say({"conditions": [{"type": "Failed", "status": "True"}]}, "a")
    bench.settle()
    assert bench.log[:2] == ["status", "create w-z"]


def test_a_fallback_name_is_recorded_before_it_is_made() -> None:
    bench = Bench(wf(a=""), settle=False)
    bench.refuse = lambda made: fault(made, Trouble.NAME_TAKEN, "NameConflict") if made.name == "w-a" else None
    bench.settle()
    assert bench.log[-3:] == ["status", "create w-a-6a3ef3c2", "status"]
    assert bench.memory("a").renamed == "6a3ef3c2"


def test_while_the_fallback_name_cannot_be_recorded_nothing_is_made() -> None:
    bench = Bench(wf(a=""), settle=False)
    bench.refuse = lambda made: fault(made, Trouble.NAME_TAKEN, "NameConflict") if made.name == "w-a" else None
    bench.loses_writes = True
    for _ in range(4):
        bench.step()
    assert set(bench.log) == {"conflict"}
    assert bench.names == []


def test_a_fallback_name_that_is_taken_too_fails_the_task() -> None:
    bench = Bench(wf(a={"retry": RETRY}), settle=False)
    bench.refuse = lambda made: fault(made, Trouble.NAME_TAKEN, "NameConflict")
    bench.settle()
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Failed", "NameConflict")


def test_the_fallback_name_survives_a_crash() -> None:
    bench = Bench(wf(a={"retry": RETRY}), settle=False)
    bench.refuse = lambda made: fault(made, Trouble.NAME_TAKEN, "NameConflict") if made.name == "w-a" else None
    bench.settle()
    bench.crash()
    bench.fails("a")
    assert bench.names[-1] == "w-a-r1-6a3ef3c2"


# Writes of status


def test_nothing_is_written_when_nothing_changed() -> None:
    bench = Bench(wf(a="", b="a"))
    bench.writes.clear()
    for _ in range(5):
        bench.now += 100
        bench.ledger_tells_all()
        assert bench.step().patch is None
    bench.restarted()
    assert bench.writes == []


def test_every_write_carries_the_version_it_was_computed_from() -> None:
    bench = Bench(wf(a=""))
    version = bench.workflow.metadata.resource_version
    bench.say(RUNNING, "a")
    patch = bench.step(is_urgent=True).patch
    assert patch is not None
    assert patch.operations[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": version}


def test_a_conflict_means_plan_again() -> None:
    bench = Bench(wf(a=""))
    bench.loses_writes = True
    bench.say(COMPLETE, "a")
    bench.step()
    assert bench.phase == "Running"
    bench.loses_writes = False
    bench.settle()
    assert bench.phase == "Succeeded"


def test_writes_are_coalesced_in_a_window() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3}}))
    bench.now += 10
    bench.say(RUNNING, "a/0")
    assert bench.step().patch is not None
    bench.say(RUNNING, "a/1")
    made = bench.step()
    assert made.patch is None
    assert made.requeue_at is not None
    assert 0 < made.requeue_at - bench.now < 1
    bench.say(RUNNING, "a/2")
    bench.now = made.requeue_at
    assert bench.step().patch is not None
    assert bench.flow("a").running == "0-2"


def test_a_clock_that_is_set_back_does_not_put_writes_off() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3}}))
    bench.now += 10
    bench.say(RUNNING, "a/0")
    assert bench.step().patch is not None
    bench.now -= 3600
    bench.say(RUNNING, "a/1")
    assert bench.step().patch is not None


def test_a_clock_that_is_set_back_does_not_put_creations_off() -> None:
    bench = Bench(wf(a=""), settle=False)
    bench.refuse = lambda made: fault(made, Trouble.RETRY, after=60.0)
    bench.settle()
    bench.refuse = lambda _made: None
    assert bench.step().creations == ()
    bench.now -= 3600
    assert [made.name for made in bench.step().creations] == ["w-a"]


def test_the_window_grows_with_size_and_load_up_to_5_s() -> None:
    def window(replicas: int, load: float) -> float:
        bench = Bench(wf(a={"for": {"replicas": replicas}}))
        bench.now += 100
        bench.say(RUNNING, "a/0")
        bench.step()
        bench.say(RUNNING, "a/1")
        view = bench.observe(load=load)
        due = plan(view).requeue_at
        assert due is not None
        return due - bench.now

    small, loaded, huge = window(2, 0.0), window(2, 1.0), window(2, 1000.0)
    assert small < loaded < huge
    assert small < window(1000, 0.0)
    assert huge == MAX_WINDOW == 5.0


@pytest.mark.parametrize(
    ("spec", "load", "waits"),
    [({}, 5.0, True), ({}, MIN_WINDOW, False), ({}, 0.0, False), ({"mutexes": ["m"]}, 5.0, False)],
    ids=["much load", "some load", "no load", "locks"],
)
def test_under_load_the_first_write_of_a_workflow_that_makes_jobs_waits(
    spec: dict[str, Any], load: float, waits: bool
) -> None:
    bench = Bench(wf(spec, a="", b=on("a")), settle=False)
    bench.now += 100
    made = plan(bench.observe(load=load))
    assert made.creations
    assert (made.patch is None) == waits
    assert made.begun is not None
    assert (made.begun.phase, made.begun.flows) == (WorkflowPhase.PENDING, ())
    if waits:
        assert made.requeue_at == bench.now + MAX_WINDOW
        assert made.progress.is_dirty


def unwritten(metadata: dict[str, Any] | None = None, replicas: int = 1, status: WorkflowStatus | None = None) -> bool:
    """Whether the first write of a workflow waits under much load."""
    workflow = wf(a={"for": {"replicas": replicas}})
    notes = msgspec.structs.replace(workflow.metadata, annotations=metadata or {})
    bench = Bench(msgspec.structs.replace(workflow, metadata=notes, status=status or WorkflowStatus()), settle=False)
    made = plan(bench.observe(load=5.0))
    assert made.creations
    return made.patch is None


def test_the_first_write_of_a_nested_a_large_or_a_restored_workflow_never_waits() -> None:
    assert unwritten()
    assert not unwritten({labels.DEPTH: "1"})
    assert unwritten(replicas=MAX_UNWRITTEN)
    assert not unwritten(replicas=MAX_UNWRITTEN + 1)
    assert not unwritten(status=WorkflowStatus(conditions=(Condition(conds.BLOCKED, conds.TRUE, "X", "y", "", 1),)))


def test_what_comes_of_an_edit_is_written_at_once() -> None:
    bench = Bench(wf(a=""))
    bench.say(RUNNING, "a")
    bench.step()
    bench.set_spec(parallelism=3)
    assert bench.status.observed_generation == bench.workflow.metadata.generation


def test_a_workflow_that_ends_as_it_is_decided_costs_one_event() -> None:
    bench = Bench(wf(a=""))
    bench.succeeds("a")
    assert bench.told == ["WorkflowSucceeded"]


def test_a_phase_turning_final_is_written_at_once() -> None:
    bench = Bench(wf(a="", b=""))
    bench.say(COMPLETE, "a")
    bench.step()
    bench.say(COMPLETE, "b")
    bench.settle()
    assert bench.phase == "Succeeded"
    assert bench.now == bench.since


# Creations


def test_at_most_64_creations_a_pass() -> None:
    bench = Bench(wf(a={"for": {"replicas": 150}}), settle=False)
    made = [len(bench.step().creations) for _ in range(3)]
    assert made == [MAX_CREATIONS, MAX_CREATIONS, 22]
    assert MAX_CREATIONS == 64


def test_a_pass_that_did_not_make_all_says_there_is_more() -> None:
    assert Bench(wf(a={"for": {"replicas": 65}}), settle=False).step().over_limit


@pytest.mark.parametrize(
    ("room", "made"),
    [
        pytest.param(None, 9, id="as many as one pass may"),
        pytest.param(5, 5, id="as many as there is room for"),
        pytest.param(0, 0, id="none"),
    ],
)
def test_a_pass_creates_no_more_than_the_namespace_has_room_for(room: int | None, made: int) -> None:
    found = plan(Bench(wf(a={"for": {"replicas": 9}}), settle=False).observe(room=room))
    assert (len(found.creations), found.over_limit, found.requeue_now) == (made, made < 9, False)


def test_tasks_that_wait_for_their_creation_are_one_value_in_memory() -> None:
    """A workflow may have 10,000 of them."""
    bench = Bench(wf(a="", b={**on("a"), "for": {"replicas": 150}}))
    bench.say(COMPLETE, "a")
    progress = bench.step().progress
    waiting = [task for task in progress.flows[1].tasks if task.phase is Phase.WAITING]
    assert len(waiting) == 150 - MAX_CREATIONS
    assert {id(task) for task in waiting} == {id(waiting[0])}
    assert waiting[0].current.makeable == bench.now


def test_a_pass_without_room_still_reads_jobs_and_writes_status() -> None:
    bench = Bench(wf(a="", b="a"))
    bench.say(COMPLETE, "a")
    found = plan(bench.observe(room=0, is_urgent=True))
    assert (found.patch is not None, found.creations, found.over_limit) == (True, (), True)


def test_parallelism_of_the_workflow() -> None:
    bench = Bench(wf({"parallelism": 2}, a="", b="", c=""))
    assert bench.names == ["w-a", "w-b"]
    assert bench.flow("c").reason == "ParallelismReached"
    bench.succeeds("a")
    assert bench.names == ["w-a", "w-b", "w-c"]


def test_parallelism_of_a_flow() -> None:
    bench = Bench(wf(a={"for": {"replicas": 5, "parallelism": 2}}, b=""))
    assert bench.names == ["w-a-0", "w-a-1", "w-b"]
    bench.succeeds("a/1")
    assert bench.names[3:] == ["w-a-2"]


def test_a_held_job_counts_for_parallelism_and_a_backoff_task_does_not() -> None:
    bench = Bench(wf({"parallelism": 1}, a={"retry": {"maxRetries": 1, "interval": "1m"}}, b="", c=""))
    bench.fails("a")
    assert bench.names == ["w-a", "w-b"]
    bench.is_held("b")
    bench.wait(120)
    assert bench.names == ["w-a", "w-b"]
    assert bench.phases() == {"a": "Backoff", "b": "Suspended", "c": "Waiting"}


def test_parallelism_may_change_while_it_runs() -> None:
    bench = Bench(wf({"parallelism": 1}, a="", b=""))
    bench.set_spec(parallelism=2)
    assert bench.names == ["w-a", "w-b"]


# What keeps a task from being made


def test_a_missing_template_is_reported_once_and_its_job_created_as_soon_as_it_appears() -> None:
    bench = Bench(wf(a=""), {})
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Waiting", "TemplateNotFound")
    assert bench.flow("a").message.startswith("there is no WorkTemplate job in namespace team; create it")
    for _ in range(3):
        bench.wait(100)
    assert bench.told == ["TemplateNotFound"]
    bench.templates = dict(TEMPLATES)
    bench.settle()
    assert bench.names == ["w-a"]


def test_a_kind_that_is_not_served_is_reported_once_and_its_job_created_when_it_is() -> None:
    bench = Bench(wf(a={"template": "widget"}, b=""), settle=False)
    bench.kinds[WIDGETS] = None
    bench.settle()
    assert bench.flow("a").reason == "KindNotServed"
    assert bench.names == ["w-b"], "it blocks nobody else"
    for _ in range(3):
        bench.wait(100)
    assert bench.told == ["KindNotServed"]
    bench.kinds[WIDGETS] = Kind("Widget", rules_for(WIDGETS))
    bench.settle()
    assert bench.names == ["w-b", "w-a"]


def test_a_restarted_controller_does_not_report_again_a_kind_that_is_still_not_served() -> None:
    bench = Bench(wf(a={"template": "widget"}), settle=False)
    bench.kinds[WIDGETS] = None
    bench.settle()
    bench.crash()
    del bench.kinds[WIDGETS]  # not asked for yet
    bench.synced = frozenset({JOBS})
    bench.settle()
    assert bench.flow("a").reason == "KindNotServed"
    bench.kinds[WIDGETS] = None
    bench.settle()
    assert bench.told == ["KindNotServed"]


def test_a_job_that_needs_the_types_of_its_kind_waits_for_them() -> None:
    typed = template("typed", jobSpec={"backoffLimit": "{{index}}"})
    bench = Bench(wf(a={"template": "typed"}, b=""), templates={**TEMPLATES, "typed": typed}, settle=False)
    kind = bench.kinds[JOBS]
    assert kind is not None
    bench.kinds[JOBS] = dataclasses.replace(kind, schema=None)
    bench.settle()
    assert bench.flow("a").reason == "KindSyncing"
    assert bench.flow("a").message == "the types of the fields of jobs.v1.batch are being read"
    assert bench.names == ["w-b"]
    bench.kinds[JOBS] = kind
    bench.settle()
    assert "w-a" in bench.names


def test_nothing_is_made_before_the_cache_of_its_kind_is_complete() -> None:
    bench = Bench(wf(a=""), settle=False)
    bench.synced = frozenset()
    bench.settle()
    assert (bench.names, bench.flow("a").reason) == ([], "KindSyncing")


def test_a_kind_that_cannot_be_listed_is_reported_once_with_the_servers_message() -> None:
    bench = Bench(wf(a=""), settle=False)
    bench.synced, bench.unlisted = frozenset(), {JOBS: "jobs is forbidden (Forbidden, HTTP 403)"}
    bench.settle()
    assert (bench.names, bench.flow("a").reason) == ([], "KindUnreadable")
    assert "cannot list" in bench.flow("a").message
    assert "jobs is forbidden" in bench.flow("a").message
    bench.crash()
    bench.unlisted = {}  # not tried often enough yet
    bench.settle()
    assert bench.flow("a").reason == "KindUnreadable"
    bench.unlisted = {JOBS: "jobs is forbidden (Forbidden, HTTP 403)"}
    bench.settle()
    assert bench.told == ["KindUnreadable"]
    bench.synced, bench.unlisted = frozenset({JOBS}), {}
    bench.settle()
    assert (bench.names, bench.flow("a").reason) == (["w-a"], "")


def test_a_failed_creation_waits_and_says_why() -> None:
    bench = Bench(wf(a=""), settle=False)
    bench.refuse = lambda made: fault(made, Trouble.RETRY, after=5.0)
    bench.step()
    bench.settle()
    assert (bench.phases()["a"], bench.flow("a").reason, bench.flow("a").message) == ("Waiting", "CreateFailed", "no")
    assert bench.step().requeue_at == bench.now + 5
    bench.refuse = lambda _made: None
    bench.wait(5)
    assert bench.names == ["w-a"]


def test_an_obstacle_to_a_creation_is_reported_once_and_shown_until_the_job_is_created() -> None:
    spec = {"parallelism": 1}
    bench = Bench(wf(spec, a={"for": {"replicas": 2}}), settle=False)
    for used in range(4):
        bench.refuse = partial(fault, trouble=Trouble.RETRY, message=f"exceeded quota, used: {used}")
        bench.step(is_urgent=True)
        assert bench.flow("a").reason == "CreateFailed", "also between two tries"
        bench.now += 1
    assert bench.flow("a").message == "exceeded quota, used: 3"
    bench.crash()
    bench.step(is_urgent=True)
    assert bench.flow("a").reason == "CreateFailed"
    assert bench.told == ["CreateFailed"]
    bench.refuse = lambda _made: None
    bench.wait(1)
    assert (bench.names, bench.flow("a").reason) == (["w-a-0"], "ParallelismReached")


def test_refused_by_the_api_server_fails_without_retry() -> None:
    bench = Bench(wf(a={"retry": RETRY}, b="a"), settle=False)
    bench.refuse = lambda made: fault(made, Trouble.REFUSED, "Refused")
    bench.settle()
    assert (bench.phase, bench.flow("a").reason) == ("Failed", "Refused")
    assert bench.phases() == {"a": "Failed", "b": "Skipped"}


def test_what_cannot_be_rendered_fails_without_retry() -> None:
    templates = {"job": template("job", jobSpec={"x": "{{params.nobody}}"})}
    bench = Bench(wf(a={"retry": RETRY}), templates)
    assert (bench.phase, bench.flow("a").reason, bench.names) == ("Failed", "RenderError", [])


def test_a_kind_that_cannot_be_made_is_refused_with_its_reason() -> None:
    bench = Bench(wf(a={"template": "widget"}), settle=False)
    bench.kinds[WIDGETS] = Kind("Widget", rules_for(WIDGETS), refused="it is cluster-scoped")
    bench.settle()
    assert (bench.flow("a").reason, bench.flow("a").message) == ("Refused", "it is cluster-scoped")


def test_a_template_edit_holds_for_jobs_made_after_it() -> None:
    bench = Bench(wf(a={"for": {"replicas": 2, "parallelism": 1}}))
    bench.templates["job"] = template("job", jobSpec={"completions": 7, "template": {"spec": {}}})
    bench.succeeds("a/0")
    assert [msgspec.json.decode(made.body)["spec"].get("completions") for made in bench.made] == [None, 7]
    assert bench.phase == "Running"


def test_ttl_fields_of_the_kind_are_removed_with_an_event() -> None:
    job = {"ttlSecondsAfterFinished": 1, "template": {"spec": {}}}
    bench = Bench(wf(a={"for": {"replicas": 2}}), {"job": template("job", jobSpec=job)})
    assert bench.told == ["TTLRemoved"]
    assert all("ttlSecondsAfterFinished" not in msgspec.json.decode(made.body)["spec"] for made in bench.made)


# Suspend


def test_a_suspended_workflow_starts_nothing_and_says_so() -> None:
    bench = Bench(wf({"suspend": True}, a="", b="a"))
    assert (bench.phase, bench.names, bench.flow("a").reason) == ("Suspended", [], "WorkflowSuspended")
    bench.set_spec(suspend=False)
    assert (bench.phase, bench.names) == ("Running", ["w-a"])


def test_suspend_lets_running_jobs_go_on_and_starts_none_after_them() -> None:
    bench = Bench(wf(a="", b="a"))
    bench.runs("a")
    bench.set_spec(suspend=True)
    bench.succeeds("a")
    assert bench.phases() == {"a": "Succeeded", "b": "Waiting"}
    assert bench.phase == "Suspended"


def test_suspend_holds_retries_back() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "1s"}}))
    bench.fails("a")
    bench.set_spec(suspend=True)
    bench.wait(100)
    assert bench.names == ["w-a"]
    bench.set_spec(suspend=False)
    assert bench.names == ["w-a", "w-a-r1"]


def test_in_a_suspended_workflow_a_flow_whose_dependencies_are_unmet_says_these() -> None:
    """Also to a controller that has just started, and after the workflow goes on."""
    bench = Bench(wf({"suspend": True}, a="", b="a"))
    assert [bench.flow(name).reason for name in "ab"] == ["WorkflowSuspended", "WaitingForDependencies"]
    bench.restarted()
    assert [bench.flow(name).reason for name in "ab"] == ["WorkflowSuspended", "WaitingForDependencies"]
    bench.set_spec(suspend=False)
    assert [bench.flow(name).reason for name in "ab"] == ["", "WaitingForDependencies"]


def test_after_stop_finally_flows_start_in_a_suspended_workflow() -> None:
    bench = Bench(wf({"suspend": True}, a="", z={"finally": True}))
    bench.set_spec(shutdown="Stop")
    assert bench.names == ["w-z"]
    bench.succeeds("z")
    assert (bench.phase, bench.status.reason) == ("Failed", "Stopped")


# The end and after


RETAIN: dict[str, tuple[str, bool, set[str]]] = {
    "retain keeps all after success": ("retain", True, {"w-a", "w-b"}),
    "retain keeps all after failure": ("retain", False, {"w-a", "w-b"}),
    "delete removes all after success": ("delete", True, set()),
    "delete removes all after failure": ("delete", False, set()),
    "delete-on-success removes all after success": ("delete-on-success", True, set()),
    "delete-on-success keeps all after failure": ("delete-on-success", False, {"w-a", "w-b"}),
}


@pytest.mark.parametrize(("policy", "succeeds", "left"), RETAIN.values(), ids=RETAIN)
def test_job_retain_policy(policy: str, succeeds: bool, left: set[str]) -> None:
    bench = Bench(wf({"jobRetainPolicy": policy}, a="", b=""))
    bench.succeeds("a")
    assert "w-a" in bench.living, "nothing goes before the end"
    if succeeds:
        bench.succeeds("b")
    else:
        bench.fails("b")
    bench.settle()
    assert bench.living == left


SERVICES: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "retain leaves a ready service": ({}, {}, True),
    "delete takes it at the end": ({"jobRetainPolicy": "delete"}, {}, False),
    "delete-on-success takes it at the end": ({"jobRetainPolicy": "delete-on-success"}, {}, False),
    "Terminate always takes it": ({}, {"shutdown": "Terminate"}, False),
    "the timeout always takes it": ({}, {"timeout": "1s"}, False),
    "Stop leaves it": ({}, {"shutdown": "Stop"}, True),
}


@pytest.mark.parametrize(("spec", "change", "stays"), SERVICES.values(), ids=SERVICES)
def test_ready_services_at_the_end(spec: dict[str, Any], change: dict[str, Any], stays: bool) -> None:
    bench = Bench(wf(spec, a={"template": "service"}, b="a"))
    bench.is_ready("a")
    bench.now += 2
    if change:
        bench.set_spec(**change)
    if change.get("shutdown") == "Stop" or not change:
        bench.succeeds("b")
    bench.settle()
    assert bench.status.phase is not None
    assert bench.status.phase.is_final
    assert ("w-a" in bench.living) is stays


def test_cancel_takes_ready_services() -> None:
    bench = Bench(wf({"successPolicy": {"remaining": "Cancel"}}, a={"template": "service"}, b="a"))
    bench.is_ready("a")
    bench.fails("b")
    bench.settle()
    assert bench.living == {"w-b"}
    assert bench.phases()["a"] == "Succeeded"


def test_a_timeout_set_after_the_end_takes_no_service() -> None:
    bench = Bench(wf(a={"template": "service"}, b=""))
    bench.is_ready("a")
    bench.wait(60)
    bench.succeeds("b")
    bench.set_spec(timeout="10s")
    bench.wait(1)
    assert bench.living == {"w-a", "w-b"}


def test_ttl_deletes_the_workflow_after_its_end() -> None:
    bench = Bench(wf({"ttlSecondsAfterFinished": 60}, a=""))
    bench.succeeds("a")
    made = bench.step()
    assert (made.workflow_deletion, made.requeue_at) == (None, bench.now + 60)
    bench.now += 60
    deletion = bench.step().workflow_deletion
    assert deletion is not None
    assert (deletion.name, deletion.uid) == ("w", bench.workflow.metadata.uid)


def test_a_final_state_never_changes() -> None:
    bench = Bench(wf(a=""))
    bench.succeeds("a")
    before = bench.status
    bench.fails("a")
    bench.set_spec(shutdown="Terminate")
    bench.vanishes("a")
    bench.restarted().wait(1e6)
    assert bench.status == msgspec.structs.replace(before, observed_generation=2)


def test_stop_ends_failed_with_its_reason() -> None:
    bench = Bench(wf(a="", b="a"))
    bench.runs("a")
    bench.set_spec(shutdown="Stop")
    assert (bench.phase, bench.phases()) == ("Terminating", {"a": "Running", "b": "Skipped"})
    bench.succeeds("a")
    assert (bench.phase, bench.status.reason) == ("Failed", "Stopped")


def test_stop_that_is_taken_back_has_stopped_all_the_same() -> None:
    bench = Bench(wf(a="", b="a"))
    bench.set_spec(shutdown="Stop")
    bench.set_spec(shutdown=None)
    bench.succeeds("a")
    assert (bench.phase, bench.status.reason, bench.names) == ("Failed", "Stopped", ["w-a"])


# A spec that changes, a spec that cannot run


def test_fields_that_may_change_do_not_count() -> None:
    bench = Bench(wf(a=""))
    bench.set_spec(parallelism=3, timeout="1h", ttlSecondsAfterFinished=5, suspend=True)
    bench.set_spec(suspend=False)
    assert bench.phase == "Running"


def test_a_default_that_is_written_out_is_no_change() -> None:
    bench = Bench(wf(a=""))
    bench.set_spec(jobRetainPolicy="retain")
    assert bench.phase == "Running"


def test_after_the_end_an_edit_changes_nothing_and_one_event_says_so() -> None:
    bench = Bench(wf(a=""))
    bench.succeeds("a")
    bench.events.clear()
    bench.set_spec(queueName="other")
    bench.wait(1000)
    bench.restarted()
    assert (bench.phase, bench.told) == ("Succeeded", ["SpecChanged"])
    assert bench.status.observed_generation == bench.workflow.metadata.generation


def test_after_the_end_so_does_an_edit_into_a_spec_that_can_never_run() -> None:
    bench = Bench(wf({"ttlSecondsAfterFinished": 60}, a=""))
    bench.succeeds("a")
    bench.events.clear()
    bench.edit_spec(flows=[{"name": "a", "template": "job", "dependsOn": {"targets": ["nobody"]}}])
    bench.restarted()
    assert (bench.phase, bench.told) == ("Succeeded", ["SpecChanged"])
    assert bench.wait(61).workflow_deletion is not None


def test_a_spec_that_can_never_run_ends_failed_and_says_all_that_is_wrong() -> None:
    bench = Bench(wf(a="b", b="a", c="nobody"))
    assert (bench.phase, bench.status.reason, bench.names) == ("Failed", "Invalid", [])
    assert "spec.flows[2].dependsOn.targets[0]: no flow is named" in bench.status.message
    assert "a -> b -> a" in bench.status.message
    assert bench.condition("Succeeded") is not None
    assert bench.told == ["Invalid"]
    assert bench.step().patch is None


def test_ttl_deletes_a_workflow_that_could_never_run_too() -> None:
    bench = Bench(wf({"ttlSecondsAfterFinished": 60}, a="nobody"))
    assert bench.step().requeue_at == bench.now + 60
    assert bench.wait(61).workflow_deletion is not None


def test_a_cycle_that_a_template_edit_makes_ends_the_workflow() -> None:
    bench = Bench(wf(a="", b="a"), {"job": TEMPLATES["job"]})
    bench.templates["job"] = template("job", jobSpec={"x": "{{flows.b.podIP}}"})
    bench.settle()
    assert (bench.phase, bench.status.reason) == ("Failed", "Invalid")


# Every workflow ends


def test_for_0_is_one_skipped_task() -> None:
    bench = Bench(wf(a={"for": {"replicas": 0}}))
    assert (bench.phase, bench.phases()["a"], bench.status.tasks.total) == ("Succeeded", "Skipped", 1)


def test_behind_for_0_flows_are_skipped() -> None:
    bench = Bench(wf(a={"for": {"replicas": 0}}, b="a", c=on("a", onSkipped="Ignore")))
    assert bench.phases() == {"a": "Skipped", "b": "Skipped", "c": "Pending"}


def test_flows_of_one_workflow_may_be_of_different_kinds() -> None:
    assert {made.gvr for made in Bench(wf(a="", b={"template": "widget"})).made} == {JOBS, WIDGETS}


def test_the_pass_that_ends_a_drained_workflow_is_followed_by_one_more() -> None:
    """Its ttl and a restart that waited for the end are looked at in the pass after it; nothing else wakes that."""
    bench = Bench(wf({"ttlSecondsAfterFinished": 60}, a="", b=""))
    bench.fails("a")
    bench.say(COMPLETE, "b")
    made = bench.step()
    assert bench.phase == "Failed"
    assert made.requeue_now
    assert bench.step().requeue_at == bench.now + 60
