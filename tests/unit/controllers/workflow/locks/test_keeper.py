"""The keeper: it makes the calls of the rules off the workers, and requeues whom they wake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName, lease_name
from pkg.apis.meta import GVR
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.workflow.locks.keeper import LockKeeper
from pkg.controllers.workflow.locks.leases import LEASES, Lease, written
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.locks.calls import Place, Take
from pkg.controllers.workflow.planner.locks.holders import Holder, LockNeeds, Want
from pkg.controllers.workflow.planner.locks.space import Space
from pkg.controllers.workflow.planner.locks.tenure import ELECTED
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.write_pool import WritePool
from pkg.telemetry.metrics import Metrics
from tests.unit.controllers.workflow.locks.lease_server import LeaseServer

DB = LockName(LockKind.MUTEX, "db")
GPU = LockName(LockKind.SEMAPHORE, "limits/gpu")
TASK = TaskKey("f", 0)
NOTHING = LockNeeds()


class Bench:
    def __init__(self) -> None:
        self.server = LeaseServer()
        self.woken: list[str] = []
        self.owned = True
        self.now = 1_000.0
        self.metrics = Metrics()
        self.pool = WritePool(4)
        self.keeper = LockKeeper(
            cast(Any, self.server),
            None,
            self.pool,
            self.metrics,
            owns=lambda _key: self.owned,
            requeue=self.woken.append,
            clock=lambda: self.now,
            wall_clock=lambda: self.now,
        )

    def want(self, name: str, *locks: LockName, keeps: bool = False) -> None:
        wants = (Want(TASK, 0, tuple(sorted(locks)), self.now),) if locks else ()
        self.keeper.update(workflow(name), LockNeeds(wants, frozenset({TASK} if keeps else ())))

    def holds(self, name: str) -> bool:
        return TASK in self.keeper.view(workflow(name), ()).granted


def workflow(name: str) -> WorkflowId:
    return WorkflowId("team", name, f"uid-{name}")


def until(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline, "not within 10 s"
        time.sleep(0.002)  # for the threads of the pool


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.keeper.begin(())
    yield made
    made.keeper.stop()
    made.pool.stop()


def test_a_lock_is_taken_and_passed_on_with_one_call_each(bench: Bench) -> None:
    bench.want("a", DB)
    until(lambda: bench.holds("a"))
    bench.want("b", DB)
    bench.want("c", DB)
    bench.woken.clear()
    assert not bench.holds("b")
    bench.want("a")
    until(lambda: bench.holds("b"))
    until(lambda: bench.woken == ["team/b"])
    assert [call.split()[0] for call in bench.server.calls] == ["create", "delete", "create"]


def test_who_holds_and_who_waits_is_counted(bench: Bench) -> None:
    bench.want("a", DB)
    until(lambda: bench.holds("a"))
    bench.want("b", DB)
    bench.now += 7
    read = bench.metrics.registry.get_sample_value
    assert read("workflow_locks_held", {"kind": "mutex"}) == 1
    assert read("workflow_locks_waiting") == 1
    assert read("workflow_locks_longest_wait_seconds") == 7
    assert read("workflow_lock_wait_duration_seconds_count", {"kind": "mutex"}) == 1


def test_a_semaphore_is_read_once_for_all_who_wait(bench: Bench) -> None:
    bench.server.put("limits", {"data": {"gpu": "2"}}, "configmaps")
    for name in "abc":
        bench.want(name, GPU)
    until(lambda: sum(map(bench.holds, "abc")) == 2)
    assert bench.server.calls.count("get limits") == 1


def test_a_call_that_came_while_the_lease_was_lost_for_a_moment_is_made_later(bench: Bench) -> None:
    bench.owned = False
    bench.want("a", DB)
    until(lambda: bench.pool.in_flight == 0)
    bench.owned = True
    bench.now += 60
    bench.keeper._tick()
    until(lambda: bench.holds("a"))


def test_a_process_that_does_not_lead_writes_nothing(bench: Bench) -> None:
    bench.owned = False
    bench.want("a", DB)
    until(lambda: bench.pool.in_flight == 0)
    assert bench.server.calls == []
    bench.keeper.end()
    bench.want("b", DB)
    assert bench.keeper.keys() == ()


def lease(holder: Holder) -> Lease:
    document = LeaseServer().put(lease_name(DB, 0), written("team", Take(Place(DB), holder), "2026-01-31T10:00:00Z"))
    return cast(Lease, LeaseServer._typed(document, Lease))


def changed(bench: Bench, delta: Delta[Lease]) -> None:
    bench.keeper._leases_changed(LEASES, (delta,))


def test_a_lease_that_is_found_requeues_its_workflow_which_may_give_it_back(bench: Bench) -> None:
    found = lease(Holder("team/a", "uid-a", "f", 0))
    bench.server.objects["leases", found.metadata.name] = {"metadata": {"uid": found.metadata.uid}}
    bench.server.objects["leases", found.metadata.name]["metadata"]["resourceVersion"] = found.metadata.resource_version
    changed(bench, Delta(found.metadata.key, None, found))
    assert bench.woken == ["team/a"]
    assert bench.keeper.workflows("team/a") == (workflow("a"),)
    assert bench.keeper.knows(workflow("a"))
    bench.keeper.clear(workflow("a"))
    bench.now += ELECTED.for_others
    bench.keeper._tick()
    until(lambda: bench.keeper.keys() == ())
    assert bench.server.objects == {}


def test_the_kinds_of_the_jobs_of_a_holder_are_known(bench: Bench) -> None:
    bench.keeper.update(workflow("a"), LockNeeds((Want(TASK, 0, (DB,), 0.0, kinds=("jobs.v1.batch",)),)))
    until(lambda: bench.holds("a"))
    assert bench.keeper.kinds(workflow("a")) == {GVR("batch", "v1", "jobs")}


def test_a_workflow_that_is_being_deleted_leaves_the_line_and_keeps_what_it_holds(bench: Bench) -> None:
    bench.want("a", DB)
    until(lambda: bench.holds("a"))
    bench.want("b", DB)
    for name in "ab":
        bench.keeper.leave(workflow(name))
    assert bench.keeper.keys() == ("team/a",)


def test_nobody_is_served_before_all_have_reported_who_stood_in_line(bench: Bench) -> None:
    bench.keeper.begin(["team/first"])
    bench.now = 1_010.0
    bench.want("second", DB)
    assert bench.server.calls == []
    bench.now = 1_000.0
    bench.want("first", DB)
    until(lambda: bench.holds("first"))
    assert not bench.holds("second")


def test_a_fault_in_the_rules_costs_the_namespace_no_lock(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the call whose answer was lost would hold up its lock for the rest of the term."""
    answered = Space.answered
    faults = [ValueError("a bug")]

    def fails_once(self: Space, *args: Any) -> None:
        if faults:
            raise faults.pop()
        answered(self, *args)

    monkeypatch.setattr(Space, "answered", fails_once)
    with capture_logs() as logs:
        bench.want("a", DB)
        until(lambda: "team/a" in bench.woken)
    assert [entry["namespace"] for entry in logs if entry["log_level"] == "error"] == ["team"]
    bench.want("a", DB)
    until(lambda: bench.holds("a"))


def test_a_fault_in_what_a_reconcile_says_fails_the_reconcile(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Space, "update", fails)
    with pytest.raises(ValueError, match="a bug"):
        bench.want("a", DB)


def test_a_workflow_without_locks_costs_nothing(bench: Bench) -> None:
    assert bench.keeper.view(workflow("a"), ()).granted == {}
    bench.keeper.leave(workflow("a"))
    bench.keeper.clear(workflow("a"))
    assert bench.keeper.workflows("team/a") == ()
    assert bench.server.calls == []


@pytest.mark.parametrize(
    ("verb", "lock"), [pytest.param("create", DB, id="a Lease"), pytest.param("get", GPU, id="a ConfigMap")]
)
def test_a_call_that_ends_in_an_unexpected_fault_is_logged_and_made_again(
    bench: Bench, verb: str, lock: LockName
) -> None:
    bench.server.put("limits", {"data": {"gpu": "2"}}, "configmaps")
    bench.server.errors[verb] = [ValueError("no JSON")]
    with capture_logs() as logs:
        bench.want("a", lock)
        until(lambda: bench.server.calls and bench.pool.in_flight == 0)
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "locks: unexpected fault in a call, tried again"
    ]
    assert not bench.holds("a")
    bench.now += 11
    bench.keeper._tick()
    until(lambda: bench.holds("a"))
