"""The real reconciler over stores fed by hand: what it does with keys, terms, failures and deletions."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias
from unittest.mock import Mock

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.people import CREATED_BY, EDITED_BY, Question
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import (
    WORKFLOWS,
    WORKTEMPLATES,
    Action,
    Completion,
    FlowStatus,
    Restart,
    RetainPolicy,
    Shutdown,
    Workflow,
    WorkflowSpec,
    WorkflowStatus,
)
from pkg.apis.meta import Job
from pkg.controllers.engine.access_cache import Authorize, Known
from pkg.controllers.engine.deltas import Deleted, Modified
from pkg.controllers.engine.result import Again, Done, Drop, Later, Parked, Result
from pkg.controllers.workflow import restored
from pkg.controllers.workflow.memory import Memory
from pkg.controllers.workflow.observer import HALF_LIFE, IN_FLIGHT_SECONDS
from pkg.controllers.workflow.planner.actions import Plan
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.in_force import CompiledSpec
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.controllers.workflow.reconciler import BEHIND_SECONDS
from pkg.controllers.workflow.rights import Rights
from pkg.controllers.workflow.room import MAX_CREATIONS
from pkg.kube.errors import Transient
from pkg.version import build
from tests.builders import POD, WORKFLOW, http, on, template, wf
from tests.property.controller import Controller, Late
from tests.property.one_workflow import settle, world_with
from tests.property.world import JOBS, KEY, NAME, WIDGETS, Fate, Trap, World


@pytest.fixture(autouse=True)
def _no_logs(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    capsys.readouterr()


def world_of(spec: dict[str, Any] | None = None, /, **flows: Any) -> World:
    """A world with one workflow, whose jobs pend for a second and then run for five."""
    return world_with(wf(spec, **flows), Fate())


def controller_of(world: World) -> Controller:
    return Controller(world, lambda _flow, _path, _index: None)


def spare_of(world: World, *, has_list: bool = True) -> Controller:
    """A controller that does not lead. It has the list of jobs, or begins to read it; its watch tells nothing yet."""
    spare = controller_of(world)
    spare.is_leader = False
    spare.informers.ensure(JOBS)
    if has_list:
        spare.deliver(JOBS)
    return spare


def started(spec: dict[str, Any] | None = None, /, **flows: Any) -> tuple[World, Controller]:
    world = world_of(spec, **(flows or {"a": ""}))
    controller = controller_of(world)
    settle(controller)
    return world, controller


def names(world: World) -> list[str]:
    return [life.name for life in world.jobs()]


def mark_deleted(world: World, *finalizers: str) -> None:
    meta = msgspec.structs.replace(
        world.workflow.metadata,
        deletion_timestamp=datetime.fromtimestamp(int(world.now), UTC),
        finalizers=finalizers,
    )
    world.update(WORKFLOWS, NAME, metadata=meta)


def orphan_jobs(world: World) -> None:
    """What the garbage collector does with the dependents of an object that has the finalizer `orphan`."""
    for life in world.jobs():
        meta = world.objects[life.gvr, life.name].metadata
        world.update(life.gvr, life.name, metadata=msgspec.structs.replace(meta, owner_references=()))


def seconds_of(result: Result) -> float:
    """When the key runs again."""
    assert isinstance(result, Later)
    return result.seconds


def test_a_key_that_is_not_ours_is_left_alone() -> None:
    world = world_of(a="")
    controller = controller_of(world)
    controller.is_leader = False
    assert controller.reconciler.reconcile(KEY) == Done()
    assert world.calls == 0


def test_nothing_is_done_before_the_cache_has_caught_up_with_the_start() -> None:
    world = world_of(a="")
    controller = controller_of(world)
    fence = int(world.workflow.metadata.resource_version) + 1
    controller.reconciler.begin_term({KEY: fence})
    assert seconds_of(controller.reconciler.reconcile(KEY)) == BEHIND_SECONDS
    assert world.calls == 0
    world.set_spec(parallelism=5)
    controller.deliver_all()
    settle(controller)
    assert names(world) == ["w-a"]


def test_nothing_is_made_for_a_workflow_that_is_being_deleted() -> None:
    world = world_of(a="")
    mark_deleted(world)
    controller = controller_of(world)
    assert controller.reconciler.reconcile(KEY) == Done()
    assert world.lives == []


def test_when_a_workflow_goes_the_controller_deletes_its_jobs_itself() -> None:
    world, controller = started(a="", b="")
    mark_deleted(world)
    settle(controller)
    assert names(world) == []
    assert {life.deleted_by for life in world.lives} == {"controller"}


@pytest.mark.parametrize("flow", ["", {"template": "nowhere"}], ids=["that made a job", "that never made a job"])
def test_nothing_is_remembered_of_a_workflow_that_is_gone(flow: Any) -> None:
    world, controller = started(a=flow)
    reconciler = controller.reconciler
    assert len(reconciler._memories.by_workflow) == 1
    controller.workflows.apply(Deleted(world.objects.pop((WORKFLOWS, NAME))))
    reconciler.reconcile(KEY)
    controller.deliver_all()
    reconciler.reconcile(KEY)
    assert (reconciler._memories.by_workflow, reconciler.known()) == ({}, ())
    assert reconciler.users_of(JOBS) == ()


def test_jobs_of_a_workflow_that_is_gone_already_are_deleted_too() -> None:
    world, controller = started(a="", b="")
    controller.workflows.apply(Deleted(world.objects.pop((WORKFLOWS, NAME))))
    assert controller.reconciler.reconcile(KEY) == Drop()
    assert names(world) == []


@pytest.mark.parametrize("finalizers", [("orphan",), ("x/y", "orphan")], ids=["alone", "among others"])
def test_jobs_of_a_workflow_that_is_deleted_with_the_finalizer_orphan_stay(finalizers: tuple[str, ...]) -> None:
    world, controller = started(a="", b="")
    mark_deleted(world, *finalizers)
    settle(controller)
    assert names(world) == ["w-a", "w-b"]
    orphan_jobs(world)
    settle(controller)
    controller.workflows.apply(Deleted(world.objects.pop((WORKFLOWS, NAME))))
    assert controller.reconciler.reconcile(KEY) == Drop()
    assert names(world) == ["w-a", "w-b"]
    assert controller.reconciler._memories.by_workflow == {}


@pytest.mark.parametrize("is_gone", [True, False], ids=["the workflow is gone", "another finalizer keeps the workflow"])
def test_orphaned_jobs_stay_although_the_cache_still_shows_their_owner(is_gone: bool) -> None:
    """The watches of jobs are behind, and the state with the finalizer `orphan` was never seen."""
    world, controller = started(a="", b="")
    orphan_jobs(world)
    mark_deleted(world, "x/y")
    gone = world.workflow
    controller.workflows.apply(Deleted(gone) if is_gone else Modified(gone))
    assert isinstance(controller.reconciler.reconcile(KEY), Again)
    assert names(world) == ["w-a", "w-b"]
    controller.deliver_all()
    assert not isinstance(controller.reconciler.reconcile(KEY), Again)
    assert names(world) == ["w-a", "w-b"]


@pytest.mark.parametrize("finalizers", [(), ("foregroundDeletion",)], ids=["background", "foreground"])
def test_jobs_of_a_workflow_that_is_not_orphaning_are_deleted_in_the_version_that_is_cached(
    finalizers: tuple[str, ...],
) -> None:
    world, controller = started(a="", b="")
    world.advance(world.now + 2.0)  # the jobs have begun to run, and the cache does not show it yet
    mark_deleted(world, *finalizers)
    controller.workflows.apply(Modified(world.workflow))
    assert isinstance(controller.reconciler.reconcile(KEY), Again)
    assert names(world) == ["w-a", "w-b"]
    settle(controller)
    assert names(world) == []


def test_jobs_of_a_workflow_that_cannot_be_decoded_stay() -> None:
    """It was edited into something unreadable, and this controller has never seen it otherwise."""
    world, controller = started(a="", b="")
    store = controller.workflows
    there = world.workflow
    store.replace([], world.version)
    store.replace([], world.version, undecodable={KEY})
    assert controller.reconciler.reconcile(KEY) == Done()
    assert len(names(world)) == 2
    store.apply(Deleted(there))
    assert controller.reconciler.reconcile(KEY) == Drop()
    assert names(world) == []


def test_deletions_that_fail_are_tried_again() -> None:
    world, controller = started()
    mark_deleted(world)
    controller.deliver_all()
    world.traps.append(Trap(1, "transient", after=False))
    assert isinstance(controller.reconciler.reconcile(KEY), Again)
    assert controller.reconciler.reconcile(KEY) == Done()
    assert names(world) == []


@pytest.mark.parametrize("how", ["by its policy", "with the workflow", "after the workflow"])
def test_a_pass_deletes_some_jobs_and_the_key_goes_to_the_back_until_all_are_gone(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    for module in ("reconciler", "cleanup", "writer"):
        monkeypatch.setattr(f"pkg.controllers.workflow.{module}.MAX_DELETIONS", 10)
    world, controller = started({"jobRetainPolicy": "delete"}, a={"for": {"replicas": 35}})
    if how == "by its policy":
        world.advance(world.now + 10)
    elif how == "with the workflow":
        mark_deleted(world)
    else:
        gone = world.objects.pop((WORKFLOWS, NAME))
        world.log[WORKFLOWS].append(Deleted(gone))
    left = [35]
    controller.deliver_all()
    controller.is_queued = True
    while controller.is_due():
        controller.reconcile()
        controller.deliver_all()
        left.append(len(world.jobs()))
        assert left[-2] - left[-1] <= 10
        assert len(left) < 20
    assert left[-1] == 0
    assert {life.deleted_by for life in world.lives} == {"controller"}


def test_a_conflict_is_planned_again_from_the_newer_copy() -> None:
    world, controller = started()
    world.advance(world.now + 10)
    world.set_spec(parallelism=7)  # nobody has told the controller
    controller.deliver(JOBS)
    assert isinstance(controller.reconciler.reconcile(KEY), Again)
    assert not world.workflow.status.completion_time
    settle(controller)
    assert world.workflow.status.phase == "Succeeded"


def test_a_creation_that_failed_is_tried_again_after_its_delay() -> None:
    world = world_of(a="")
    controller = controller_of(world)
    controller.deliver_all()
    controller.reconcile()
    controller.deliver_all()
    world.traps.append(Trap(1, "throttled", after=False))
    outcome = controller.reconciler.reconcile(KEY)
    assert isinstance(outcome, Later)
    assert 0 < outcome.seconds <= 0.5
    world.advance(world.now + 0.5)
    controller.is_queued = True
    settle(controller)
    assert names(world) == ["w-a"]


def unanswered(**flows: Any) -> tuple[World, Controller]:
    """The first job was made, but its answer was lost."""
    world = world_of(**flows)
    controller = controller_of(world)
    controller.deliver_all()
    controller.reconcile()
    controller.deliver_all()
    world.traps.append(Trap(1, "transient", after=True))
    assert isinstance(controller.reconciler.reconcile(KEY), Later)
    return world, controller


def test_what_the_api_server_warns_of_is_in_the_status() -> None:
    world = world_of(a="")
    world.warnings = ("batch/v1 is old",)
    controller = controller_of(world)
    settle(controller)
    world.advance(world.now + 0.9)  # the window between two writes of status
    settle(controller)
    (flow,) = world.workflow.status.flows
    assert (flow.phase, flow.reason, flow.message) == ("Pending", "ServerWarning", "batch/v1 is old")


def test_a_creation_whose_answer_was_lost_is_found_to_be_ours() -> None:
    world, controller = unanswered(a="")
    world.advance(world.now + 1)
    controller.is_queued = True
    settle(controller)
    assert len(world.lives) == 1


def test_what_waited_for_a_job_that_is_found_finished_is_made_at_once() -> None:
    """The answer to its creation was lost, and the watch has told nothing of it; what it tells later is no news."""
    world, controller = unanswered(a="", b="a")
    world.advance(world.now + 10)
    assert seconds_of(controller.reconciler.reconcile(KEY)) == 0
    settle(controller)
    assert names(world) == ["w-a", "w-b"]


def test_a_lease_that_is_lost_for_a_moment_ends_the_reconcile_and_the_key_is_requeued() -> None:
    world, controller = started()
    world.advance(world.now + 10)
    controller.deliver_all()
    original = controller.reconciler._executor._owns
    controller.reconciler._executor._owns = lambda _key: False
    before = world.calls
    assert isinstance(controller.reconciler.reconcile(KEY), Later), "the Lease is back already"
    assert world.calls == before
    controller.reconciler._executor._owns = original
    controller.is_queued = True
    settle(controller)
    assert world.workflow.status.phase == "Succeeded"


def test_a_reconcile_that_fails_unexpectedly_loses_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    world, controller = started()
    world.advance(world.now + 10)
    controller.deliver_all()
    with monkeypatch.context() as broken:
        broken.setattr(world, "plan", lambda _snapshot: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            controller.reconciler.reconcile(KEY)
    controller.is_queued = True
    settle(controller)
    assert world.workflow.status.phase == "Succeeded"


def test_a_workflow_that_is_nested_too_deeply_is_left_alone_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    world, controller = started()
    world.advance(world.now + 10)
    controller.deliver_all()

    def dive(snapshot: Any) -> Any:
        return dive(snapshot)

    told: list[str] = []
    recorder: Any = controller.reconciler._writer._recorder
    with monkeypatch.context() as broken:
        broken.setattr(world, "plan", dive)
        broken.setattr(recorder, "emit", lambda _about, _type, reason, _message: told.append(reason))
        assert controller.reconciler.reconcile(KEY) == Done()
    assert told == ["NestedTooDeeply"]
    controller.is_queued = True
    settle(controller)
    assert world.workflow.status.phase == "Succeeded"


@pytest.mark.skipif(build() == "compiled", reason="replaces a method, which compiled code does not ask for")
@pytest.mark.parametrize("ends", [False, True], ids=["that ends", "that is deleted"])
def test_a_watch_event_of_a_job_while_its_creation_is_absorbed_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    world = world_of(None, a="")
    controller = controller_of(world)
    store = controller.informers.ensure(JOBS)
    absorb = store.absorb

    def interrupted(made: Job) -> Any:
        """The watch is faster than the thread that made the job."""
        delta = absorb(made)
        if ends:
            world.delete_job(world.jobs()[0], "somebody")
        else:
            world.advance(world.now + 10)
        controller.deliver(JOBS)
        return delta

    controller.deliver_all()
    with monkeypatch.context() as racing:
        racing.setattr(store, "absorb", interrupted)
        settle(controller)
    assert world.workflow.status.phase == ("Failed" if ends else "Succeeded")
    assert world.workflow.status.flows[0].reason == ("JobDeleted" if ends else "")


def test_of_a_workflow_that_goes_while_another_leads_nothing_is_remembered() -> None:
    world, controller = started()
    asked: list[tuple[WorkflowId, frozenset[Any]]] = []
    controller.prober.want = lambda workflow, requests: asked.append((workflow, frozenset(requests)))  # type: ignore[method-assign]
    controller.is_leader = False
    controller.reconcile()
    assert asked == [(WORKFLOW, frozenset())]
    assert list(controller.reconciler.pending()) == []
    world.log[WORKFLOWS].append(Deleted(world.update(WORKFLOWS, NAME)))
    world.delete_job(world.jobs()[0], "garbage collection")
    for _ in range(2):
        controller.deliver_all()
        controller.reconcile()
    assert (controller.reconciler.known(), controller.reconciler._memories.by_workflow) == ((), {})
    assert controller.ledger.keys() == frozenset()


@pytest.mark.parametrize("is_leader", [False, True], ids=["another process leads", "the workflow is being deleted"])
def test_no_right_is_asked_for_again_where_nothing_is_made(is_leader: bool) -> None:
    watched: set[Question] = set()

    class Denies:
        """Nobody has any right."""

        def look(self, question: Question) -> Known:
            return Known(False, 0.0)

        def trouble(self, question: Question) -> None:
            return None

        def watch(self, questions: Iterable[Question]) -> None:
            watched.update(questions)

        def unwatch(self, questions: Iterable[Question]) -> None:
            watched.difference_update(questions)

        def answers(self, questions: Iterable[Question], seconds: float) -> Mapping[Question, bool | None]:
            return dict.fromkeys(questions, False)

    class Asks(Controller):
        def make_rights(self) -> Rights:
            return Rights(Authorize.ENFORCE, Denies(), lambda _key: None)

    by_alice = {CREATED_BY: '{"user":"alice"}', EDITED_BY: '{"user":"alice"}'}

    world = world_of(a="")
    world.update(WORKFLOWS, NAME, metadata=msgspec.structs.replace(world.workflow.metadata, annotations=by_alice))
    for (gvr, name), found in list(world.objects.items()):
        if gvr == WORKTEMPLATES:
            meta = msgspec.structs.replace(found.metadata, annotations=by_alice)
            world.update(WORKTEMPLATES, name, metadata=meta)
    controller = Asks(world, lambda _flow, _path, _index: None)
    settle(controller)
    assert [question.person.user for question in watched] == ["alice"]
    controller.is_leader = is_leader
    if is_leader:
        mark_deleted(world)
        controller.deliver_all()
    controller.reconciler.reconcile(KEY)
    assert watched == set()


def test_of_an_earlier_workflow_of_the_same_name_nothing_is_remembered() -> None:
    world, controller = started(a={"template": "nowhere"})
    meta = msgspec.structs.replace(world.workflow.metadata, uid="another")
    world.update(WORKFLOWS, NAME, metadata=meta)
    settle(controller)
    assert [one.uid for one in controller.reconciler._memories.by_workflow] == ["another"]


def remade(old: Workflow, **labels: str) -> dict[str, Any]:
    """What of a Workflow is another if it is deleted and made anew, suspended."""
    meta = msgspec.structs.replace(old.metadata, uid="another", labels=labels)
    return {"metadata": meta, "spec": msgspec.structs.replace(old.spec, suspend=True), "status": WorkflowStatus()}


@pytest.mark.parametrize(
    ("labels", "has_room"),
    [
        pytest.param({}, True, id="which waits for a person"),
        pytest.param({}, False, id="which waits for room"),
        pytest.param({restored.LABEL: "backup"}, True, id="which is held after a restore"),
    ],
)
def test_deletions_that_fail_are_tried_again_beside_a_new_workflow_of_the_name(
    labels: dict[str, str], has_room: bool
) -> None:
    world, controller = started(a="", b="")
    world.update(WORKFLOWS, NAME, **remade(world.workflow, **labels))
    controller.deliver_all()
    if not has_room:
        controller.room.take("team", MAX_CREATIONS, 0)
    world.traps.append(Trap(1, "transient", after=False))
    assert isinstance(controller.reconciler.reconcile(KEY), Again)
    assert names(world) != []
    assert not isinstance(controller.reconciler.reconcile(KEY), Again)
    assert names(world) == []


@pytest.mark.skipif(build() == "compiled", reason="replaces a part, which a compiled reconciler does not allow")
@pytest.mark.parametrize(
    ("seconds", "is_sooner"),
    [
        pytest.param(1_000.0, False, id="a timer of the new one"),
        pytest.param(0.01, True, id="what is left of the one before"),
    ],
)
def test_what_is_due_first_counts_beside_an_earlier_workflow_of_the_name(seconds: float, is_sooner: bool) -> None:
    _, controller = started(a="", b="a")
    own = controller.reconciler.reconcile(KEY)
    before = Mock(wraps=controller.reconciler._cleanup)
    before.holding = lambda _key: (WorkflowId("team", NAME, "another"),)
    before.clear = lambda _workflow: Later(seconds, "it holds locks, and its jobs are not known yet")
    controller.reconciler._cleanup = before
    assert seconds_of(controller.reconciler.reconcile(KEY)) == (seconds if is_sooner else seconds_of(own))


def test_a_new_term_looks_at_everything_again() -> None:
    world, controller = started(a="", b="a")
    controller.is_leader = False
    world.advance(world.now + 10)
    controller.deliver_all()
    controller.reconcile()
    assert names(world) == ["w-a"]
    controller.lead()
    settle(controller)
    assert names(world) == ["w-a", "w-b"]


def test_the_users_of_a_kind_are_listed() -> None:
    _, controller = started()
    assert controller.reconciler.users_of(JOBS) == (KEY,)


def test_pending_jobs_are_listed_for_their_events() -> None:
    world, controller = started(a="", b="")
    world.advance(world.now + 0.9)  # the next write of status is due, and with it a plan that includes the jobs
    settle(controller)
    assert {(one.task.flow, one.workflow.key) for one in controller.reconciler.pending()} == {("a", KEY), ("b", KEY)}
    world.advance(world.now + 2)
    settle(controller)
    assert list(controller.reconciler.pending()) == []


def test_a_pass_over_an_unchanged_workflow_calls_nobody() -> None:
    world, controller = started()
    before = world.calls
    for _ in range(3):
        controller.reconciler.reconcile(KEY)
    assert world.calls == before


def test_a_refusal_before_a_restart_is_no_answer_to_the_attempt_after_it() -> None:
    """An attempt that was never made has the same number again, and the cause may have gone."""
    fates = [Fate(refused="for good")]
    world = world_of(a="")
    world.fate_of = lambda _flow, _index, _attempt: fates[0]
    controller = controller_of(world)
    settle(controller)
    assert (world.workflow.status.phase, names(world)) == ("Failed", [])
    fates[0] = Fate()
    world.set_spec(restart=Restart("1"))
    settle(controller)
    assert names(world) == ["w-a"]


def test_after_a_restart_a_service_that_serves_is_still_asked() -> None:
    """Its task is not touched, and none of its jobs has changed: it has to be looked at all the same."""
    wait = {"dependsOn": {"probe": {"httpGetList": [{"taskName": "s", "port": 80}]}}}
    world = world_of(s={"template": "service"}, a=wait)
    world.fate_of = lambda flow, _index, _attempt: Fate(ends="ready" if flow == "s" else "fail")
    controller = Controller(world, lambda _flow, _path, _index: 10.0)
    settle(controller)
    for _ in range(20):
        world.advance(controller.next_due() or world.now)
        settle(controller)
    assert world.workflow.status.phase == "Failed"
    world.set_spec(restart=Restart("1"))
    settle(controller)
    assert names(world) == ["w-s", "w-a", "w-a-r1"]


def test_a_pod_address_that_was_there_before_this_process_led_is_found() -> None:
    """No event of the pod comes any more: the look that finds the job must be followed by one that asks for its pod."""
    world, controller = started(a="", b={"patch": {"metadata": {"annotations": {"peer": "{{flows.a.podIP}}"}}}})
    world.advance(world.now + 2)
    settle(controller)
    controller.lead()
    controller.pods.lead_address = lambda *_args: "127.64.0.1"  # type: ignore[method-assign]
    settle(controller)
    assert names(world) == ["w-a", "w-b"]


# Creations that are answered late


class Parking(Controller):
    """A controller whose creations are answered when the test says so."""

    def make_pool(self) -> Late:
        self.pool = Late()
        return self.pool


def parked(spec: dict[str, Any] | None = None, /, **flows: Any) -> tuple[World, Parking, list[str]]:
    """A world that holds back the answer to the first creation, and what is noted from then on."""
    world = world_of(spec, **(flows or {"a": ""}))
    controller = Parking(world, lambda _flow, _path, _index: None)
    controller.deliver_all()
    while not controller.pool.calls:
        controller.deliver_all()
        result = controller.reconciler.reconcile(KEY)
    assert isinstance(result, Parked)
    noted: list[str] = []
    world.note = noted.append
    controller.is_queued = False
    return world, controller, noted


def test_a_key_whose_creation_is_not_answered_is_parked_and_no_second_reconcile_runs() -> None:
    world, controller, noted = parked(a="", b="")
    before, progress = world.calls, world.workflow.status
    world.set_spec(parallelism=5)
    controller.deliver_all()
    for _ in range(3):
        assert isinstance(controller.reconciler.reconcile(KEY), Parked)
    assert (world.calls, noted) == (before, [])
    assert world.workflow.status is progress


def test_after_the_answer_the_key_is_woken_and_the_reconcile_goes_on_with_the_status() -> None:
    world, controller, noted = parked()
    controller.pool.answer(0)
    assert controller.is_queued
    result = controller.reconciler.reconcile(KEY)
    assert isinstance(result, Later)
    world.advance(world.now + result.seconds)
    controller.is_queued = True
    settle(controller)
    assert world.workflow.status.flows[0].phase == "Pending"
    assert noted == ["job w-a made"]


def test_what_was_in_flight_a_moment_ago_delays_the_next_write_of_status() -> None:
    world, controller = started(a="", b="a")
    observer = controller.reconciler._observer
    memory = controller.reconciler._memories.by_workflow[WorkflowId.of(world.workflow)]

    def load() -> float:
        return observer.take_snapshot(world.workflow, memory, 0.0).load

    quiet = load()
    observer._in_flight = lambda: 16
    busy = load()
    observer._in_flight = lambda: 0
    world.advance(world.now + HALF_LIFE)
    assert busy == pytest.approx(quiet + 16 * IN_FLIGHT_SECONDS)
    assert load() == pytest.approx(quiet + 8 * IN_FLIGHT_SECONDS)


StartNoting: TypeAlias = Callable[[World], list[Snapshot]]


@pytest.fixture
def start_noting(monkeypatch: pytest.MonkeyPatch) -> StartNoting:
    """Begins to note what is planned; the list grows."""

    def start(world: World) -> list[Snapshot]:
        made: list[Snapshot] = []

        def noting(snapshot: Snapshot) -> Plan:
            made.append(snapshot)
            return plan(snapshot)

        monkeypatch.setattr(world, "plan", noting)
        return made

    return start


@pytest.mark.parametrize(
    ("b", "completion", "plans"),
    [
        pytest.param("a", None, 1, id="b waits for the end of a"),
        pytest.param({"dependsOn": {"targets": ["a"]}, "timeout": "1h"}, None, 2, id="b has a timeout"),
        pytest.param(
            {"dependsOn": {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Pending"}]}}},
            None,
            2,
            id="b waits for the job of a",
        ),
        pytest.param("a", Completion.CREATED, 2, id="a is done once its job is there"),
    ],
)
def test_a_job_that_was_just_created_is_left_to_the_next_plan_if_nothing_follows_from_it(
    start_noting: StartNoting, b: Any, completion: Completion | None, plans: int
) -> None:
    world, controller = started(z="", a="z", b=b)
    made_from = controller.templates.get("team/job")
    assert made_from is not None
    if completion is not None:
        spec = msgspec.structs.replace(made_from.spec, completion=completion)
        meta = msgspec.structs.replace(made_from.metadata, resource_version="99999")
        controller.templates.absorb(msgspec.structs.replace(made_from, metadata=meta, spec=spec))
    world.advance(world.now + 6.5)  # z ends, and status was written a moment ago
    controller.deliver_all()
    made = start_noting(world)
    memory = controller.reconciler._memories.by_workflow[WorkflowId.of(world.workflow)]
    assert memory.progress is not None
    memory.progress = msgspec.structs.replace(memory.progress, written_at=world.now)
    controller.reconcile()
    assert len(made) == plans
    assert "w-a" in names(world)


@pytest.mark.parametrize("is_newer", [True, False], ids=["after the last status", "before the last status"])
def test_a_new_leader_goes_on_before_its_list_if_it_has_read_the_jobs(is_newer: bool) -> None:
    """If another one led since they were read, jobs that its status records are missing in what was read."""
    world, leader = started(a="", b="a")
    world.advance(world.now + 2)
    settle(leader)  # status says which kinds there are
    spare = spare_of(world, has_list=False)
    assert spare.read_first(JOBS) == "a page"
    if not is_newer:
        assert spare.read_first(JOBS) == "the jobs of the workflow"
    for _ in range(8):
        world.advance(world.now + 1)
        settle(leader)
    assert names(world) == ["w-a", "w-b"]
    leader.is_leader = False
    spare.deliver(WORKFLOWS)
    if is_newer:
        assert spare.read_first(JOBS) == "the jobs of the workflow"
    spare.lead()
    world.advance(world.now + 10)
    spare.reconcile()
    world.advance(world.now + 10)
    spare.reconcile()
    assert [flow.phase for flow in world.workflow.status.flows] == ["Succeeded", "Running"]
    memory = spare.reconciler._memories.by_workflow[WorkflowId.of(world.workflow)]
    assert (JOBS in memory.synced) is is_newer
    settle(spare)
    assert world.workflow.status.phase == "Succeeded"


def test_a_timeout_that_comes_back_as_an_edit_is_taken_back_waits_for_the_list() -> None:
    """The jobs were read first, for the edited spec has no timeout. Nobody sees before the list that one has ended."""
    world, leader = started(a={"timeout": "8s"})
    world.advance(world.now + 2)
    settle(leader)
    flow = world.workflow.spec.flows[0]
    world.set_spec(flows=(msgspec.structs.replace(flow, timeout=None),))
    settle(leader)
    spare = spare_of(world, has_list=False)
    assert spare.read_first(JOBS) == "a page"
    assert spare.read_first(JOBS) == "the jobs of the workflow"
    leader.is_leader = False
    spare.lead()
    spare.reconcile()
    world.set_spec(flows=(flow,))
    for _ in range(3):
        world.advance(world.now + 5)
        spare.deliver(WORKFLOWS)
        spare.is_queued = True
        spare.reconcile()
    assert [flow.phase for flow in world.workflow.status.flows] == ["Running"]
    settle(spare)
    assert world.workflow.status.phase == "Succeeded"


def test_a_new_leader_asks_for_the_jobs_that_its_watch_has_not_told_of() -> None:
    """Its list was complete before the leader made them. What only the status knows is not taken for deleted."""
    world, leader = started(a="", b="a")
    spare = spare_of(world)
    for _ in range(8):
        world.advance(world.now + 1)
        settle(leader)
    assert names(world) == ["w-a", "w-b"]
    leader.is_leader = False
    spare.deliver(WORKFLOWS)
    spare.lead()
    for _ in range(3):
        world.advance(world.now + 10)
        spare.is_queued = True
        spare.reconcile()
    assert [flow.phase for flow in world.workflow.status.flows] == ["Succeeded", "Running"]
    assert spare.read_asked()
    spare.reconcile()
    assert world.workflow.status.phase == "Succeeded"
    assert names(world) == ["w-a", "w-b"]
    assert not spare.read_asked(), "what was read is not asked for again"


def test_a_workflow_whose_jobs_the_watch_tells_of_while_they_are_asked_for_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bookmark that says so wakes nobody."""
    world, leader = started({"parallelism": 1}, a="", b="")
    spare = spare_of(world)
    world.set_spec(parallelism=2)
    leader.is_leader = False
    spare.deliver(WORKFLOWS)
    spare.lead()
    asking = spare.informers.ask

    def ask(gvr: Any, *about: Any) -> bool:
        spare.informers.stores[gvr].advance(world.version)
        return asking(gvr, *about)

    monkeypatch.setattr(spare.informers, "ask", ask)
    spare.reconcile()
    assert names(world) == ["w-a", "w-b"]


def test_status_does_not_say_that_a_kind_is_read_while_the_jobs_of_one_workflow_are() -> None:
    world, leader = started({"parallelism": 1}, a="", b="")
    before = world.workflow.status.flows[1]
    spare = spare_of(world)
    world.set_spec(parallelism=2)
    leader.is_leader = False
    spare.deliver(WORKFLOWS)
    spare.lead()
    spare.reconcile()
    assert names(world) == ["w-a"]
    assert world.workflow.status.flows[1] == before
    spare.informers.troubled = "the server is overloaded"  # after some tries, of which the workflow is told
    spare.is_queued = True
    spare.reconcile()
    world.advance(world.now + 2)
    spare.reconcile()
    assert world.workflow.status.flows[1].reason == "KindUnreadable"
    assert "the server is overloaded" in world.workflow.status.flows[1].message
    spare.informers.troubled = ""
    assert spare.read_asked()
    settle(spare)
    assert names(world) == ["w-a", "w-b"]


@pytest.mark.parametrize("is_seen_first", [True, False], ids=["at the first reconcile", "a moment later"])
def test_a_restart_after_a_takeover_leaves_a_service_that_the_watch_has_not_told_of(is_seen_first: bool) -> None:
    wait = {"dependsOn": {"probe": {"httpGetList": [{"taskName": "s", "port": 80}]}}}
    world = world_of(s={"template": "service"}, a=wait)
    world.fate_of = lambda flow, _index, _attempt: Fate(ends="ready" if flow == "s" else "fail")
    leader, spare = (Controller(world, lambda *_: 10.0) for _ in range(2))
    spare.is_leader = False
    for gvr in (JOBS, WIDGETS):
        spare.informers.ensure(gvr)
        spare.deliver(gvr)
    settle(leader)
    while world.workflow.status.phase != "Failed":
        world.advance(leader.next_due() or world.now)
        settle(leader)
    leader.is_leader = False
    if not is_seen_first:
        spare.deliver(WORKFLOWS)
        spare.lead()
        spare.reconcile()
    world.set_spec(restart=Restart("1"))
    spare.deliver(WORKFLOWS)
    if is_seen_first:
        spare.lead()
    for _ in range(3):
        spare.is_queued = True
        spare.reconcile()
    assert [flow.phase for flow in world.workflow.status.flows] == ["Succeeded", "Failed"], "it waits for the jobs"
    settle(spare)
    assert names(world) == ["w-s", "w-a", "w-a-r1"], "the service goes on to serve"


def test_no_timeout_comes_while_the_watch_has_to_tell_what_happened_during_the_first_list() -> None:
    world, leader = started(a={"timeout": "10s"})
    world.advance(world.now + 2)
    settle(leader)
    spare = spare_of(world, has_list=False)
    assert spare.read_first(JOBS) == "a page"
    world.advance(world.now + 10)
    leader.is_leader = False
    spare.relist(JOBS)
    spare.lead()
    spare.reconcile()
    assert [flow.phase for flow in world.workflow.status.flows] == ["Running"]
    settle(spare)
    assert world.workflow.status.phase == "Succeeded"


def test_a_success_before_the_timeout_of_the_workflow_counts_though_the_watch_has_not_told_of_it() -> None:
    world, leader = started({"timeout": "8s"}, a="")
    world.advance(world.now + 2)
    settle(leader)
    spare = spare_of(world)
    world.set_spec(parallelism=5)
    leader.is_leader = False
    world.advance(world.now + 10)
    spare.deliver(WORKFLOWS)
    spare.lead()
    spare.reconcile()
    assert world.workflow.status.phase == "Running"
    assert spare.wake_at is None, "the answer wakes it, not the time"
    assert spare.read_asked()
    settle(spare)
    assert world.workflow.status.phase == "Succeeded"


def test_a_flow_keeps_its_start_delay_while_its_kind_cannot_be_listed() -> None:
    world = world_of(f={"template": "widget", "startDelay": "10s"}, g=on("f"))
    controller = controller_of(world)
    controller.silent.add(WIDGETS)  # its list fails
    settle(controller)
    world.advance(world.now + 3)
    settle(controller)
    spec = msgspec.structs.replace(world.objects[WORKTEMPLATES, "widget"].spec, action=Action.APPLY)
    controller.templates.absorb(world.update(WORKTEMPLATES, "widget", generation=True, spec=spec))
    controller.is_queued = True
    for _ in range(3):
        settle(controller)
        world.advance(controller.next_due() or world.now)
    assert world.workflow.status.flows[0].phase != "Waiting"


def test_a_new_workflow_asks_for_no_jobs() -> None:
    """Nor does one whose jobs the watch has told of. A read for each of them would be a list per workflow."""
    world, controller = started(a="", b="a")
    for _ in range(20):
        assert controller.informers.asked == {}
        world.advance(world.now + 1)
        settle(controller)
    assert world.workflow.status.phase == "Succeeded"
    assert controller.informers.known == {}


@pytest.mark.skipif(build() == "compiled", reason="replaces a method, which a compiled observer does not allow")
def test_a_template_that_comes_in_the_middle_of_a_reconcile_counts_in_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The graph was compiled without it, so that b would not wait for the output that the template names."""
    output = {"name": "x", "from": {"path": "metadata.name"}}
    world, controller = started(a={"outputs": [output]}, b={"template": "reader"})
    observer = controller.reconciler._observer
    compiling = observer.compile

    def compile_late(workflow: Workflow, memory: Memory) -> CompiledSpec:
        spec = compiling(workflow, memory)
        if controller.templates.get("team/reader") is None:
            late = template("reader", jobSpec={**POD, "note": "{{flows.a.outputs.x}}"})
            controller.templates.absorb(world.add(WORKTEMPLATES, late))
        return spec

    monkeypatch.setattr(observer, "compile", compile_late)
    for _ in range(20):
        controller.is_queued = True
        settle(controller)
        world.advance(world.now + 1)
    assert [flow.phase for flow in world.workflow.status.flows] == ["Succeeded", "Succeeded"]


def test_status_says_that_a_job_was_created_after_it_said_why_it_could_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job itself says nothing more: a queue or its operator takes its time."""
    world = world_of(a="", b="a")
    world.fate_of = lambda *_: Fate(pends=100_000.0)
    controller = controller_of(world)
    creating = World.create

    def failing(world: World, *given: Any, **how: Any) -> Job:
        if world.workflow.status.flows and world.workflow.status.flows[0].reason == "CreateFailed":
            return creating(world, *given, **how)
        raise Transient("the server is overloaded")

    monkeypatch.setattr(World, "create", failing)
    for _ in range(240):
        settle(controller)
        world.advance(world.now + 0.5)
    assert names(world) == ["w-a"]
    flow = world.workflow.status.flows[0]
    assert (flow.phase, flow.reason) == ("Pending", "")


@pytest.mark.parametrize(
    ("happens", "plans"),
    [
        pytest.param(lambda world, controller: None, 1, id="nothing else"),
        pytest.param(lambda world, controller: world.set_spec(parallelism=5), 2, id="the spec is edited"),
        pytest.param(lambda world, controller: world.advance(world.now + 1.0), 2, id="the job runs"),
        pytest.param(lambda world, controller: world.advance(world.now + 6.0), 2, id="status is due"),
        pytest.param(lambda world, controller: controller._wake(KEY), 2, id="something that nobody keeps note of"),
    ],
)
def test_the_event_of_a_job_that_was_just_created_causes_no_plan(
    start_noting: StartNoting,
    happens: Callable[[World, Controller], None],
    plans: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, controller = started(z="", a="z")
    world.advance(world.now + 6.5)  # z ends, and status was written a moment ago
    controller.deliver_all()
    memory = controller.reconciler._memories.by_workflow[WorkflowId.of(world.workflow)]
    assert memory.progress is not None
    memory.progress = msgspec.structs.replace(memory.progress, written_at=world.now)
    create = World.create

    def late(*args: Any, **kwargs: Any) -> Any:
        made = create(*args, **kwargs)
        controller.deliver_all()  # the watch is faster than the response
        return made

    monkeypatch.setattr(World, "create", late)
    made = start_noting(world)
    controller.reconcile()
    assert ("w-a" in names(world), controller.is_queued, len(made)) == (True, False, 1)
    happens(world, controller)
    controller.deliver_all()
    controller.reconcile()
    assert len(made) == plans
    settle(controller)
    world.advance(world.now + 20)
    settle(controller)
    assert world.workflow.status.progress == "2/2"


def test_after_a_creation_that_took_long_the_reconcile_goes_on_with_what_is_known_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, controller = started(z="", a="z")
    world.advance(world.now + 6.5)  # z ends
    controller.deliver_all()
    creating = World.create

    def late(world: World, *given: Any, **how: Any) -> Job:
        job = creating(world, *given, **how)
        world.advance(world.now + 5.0)
        return job

    monkeypatch.setattr(World, "create", late)
    assert isinstance(controller.reconciler.reconcile(KEY), Parked)
    assert ("w-a" in names(world), controller.is_queued) == (True, True)
    settle(controller)
    world.advance(world.now + 20)
    settle(controller)
    assert world.workflow.status.progress == "2/2"


def test_a_created_job_that_a_list_shows_in_a_later_state_than_the_answer_is_planned() -> None:
    world, controller = started(z="", a="z")
    world.advance(world.now + 6.5)  # z ends
    controller.deliver_all()
    create = World.create

    def late(*args: Any, **kwargs: Any) -> Any:
        made = create(*args, **kwargs)
        world.advance(world.now + 1.0)  # the job runs
        controller.relist(JOBS)
        controller.is_queued = False  # as the watch would leave it: the job was expected
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "create", late)
        controller.reconcile()
    assert ("w-a" in names(world), controller.is_queued) == (True, True)


def parked_with_a(world: World) -> Parking:
    """The creation of `a` is not answered yet, and the key is parked; `z`, after which it comes, has ended."""
    controller = Parking(world, lambda _flow, _path, _index: None)
    settle(controller)
    controller.pool.answer(0)
    settle(controller)
    world.advance(world.now + 6.5)  # z has ended
    controller.deliver_all()
    memory = controller.reconciler._memories.by_workflow[WorkflowId.of(world.workflow)]
    assert memory.progress is not None
    memory.progress = msgspec.structs.replace(memory.progress, written_at=world.now)
    controller.reconcile()
    return controller


@pytest.mark.parametrize(
    ("happens", "plans"),
    [
        pytest.param(lambda world: None, 0, id="nothing"),
        pytest.param(lambda world: world.set_spec(parallelism=5), 1, id="the spec is edited"),
        pytest.param(lambda world: world.advance(world.now + 1.0), 1, id="the job runs"),
    ],
)
def test_a_parked_reconcile_plans_again_if_anything_happened_meanwhile(
    start_noting: StartNoting, happens: Callable[[World], None], plans: int
) -> None:
    world = world_of(z="", a="z")
    controller = parked_with_a(world)
    made = start_noting(world)
    controller.pool.answer(0)
    happens(world)
    controller.deliver_all()
    controller.reconcile()
    assert len(made) == plans
    settle(controller)
    world.advance(world.now + 20)
    settle(controller)
    assert world.workflow.status.progress == "2/2"


@pytest.mark.parametrize(
    ("happens", "plans"),
    [
        pytest.param(lambda controller: controller._unpark(KEY), 0, id="what a cache keeps note of"),
        pytest.param(lambda controller: controller._wake(KEY), 1, id="something that nobody keeps note of"),
    ],
)
def test_a_pass_that_finds_creations_unanswered_swallows_nothing(
    start_noting: StartNoting, happens: Callable[[Controller], None], plans: int
) -> None:
    """A key that was added while it was being parked runs once more at once, if an earlier call unparked it."""
    world = world_of(z="", a="z")
    controller = parked_with_a(world)
    made = start_noting(world)
    happens(controller)
    for _ in range(2):
        assert controller.reconciler._parked
        controller.reconcile()
    controller.pool.answer(0)
    controller.deliver_all()
    controller.reconcile()
    assert (len(made), controller.reconciler._parked) == (plans, {})


def test_the_next_batch_follows_the_answer_without_a_reconcile() -> None:
    _, controller, noted = parked(a={"for": {"replicas": 5}})
    controller.pool.answer(0)
    assert (len(controller.pool.calls), controller.is_queued) == (2, False)
    for _ in range(2):
        controller.pool.answer(0)
    for _ in range(2):
        controller.pool.answer(0)
    assert (len(noted), controller.pool.calls, controller.is_queued) == (5, [], True)


def test_a_workflow_that_is_new_is_not_begun_before_its_namespace_has_room() -> None:
    world = world_of(a="")
    controller = controller_of(world)
    controller.deliver_all()
    controller.room.take("team", MAX_CREATIONS, 0)
    assert controller.reconciler.reconcile(KEY) == Done()
    assert (world.calls, controller.reconciler.known()) == (0, ())
    controller.is_queued = False
    controller.room.give_back("team", MAX_CREATIONS, 0)
    assert controller.is_queued
    settle(controller)
    assert names(world) == ["w-a"]


def test_status_is_in_memory_once_after_it_was_written() -> None:
    _, controller = started(a="", b="")
    (memory,) = controller.reconciler._memories.by_workflow.values()
    cached = controller.workflows.get(KEY)
    assert memory.progress is not None
    assert cached is not None
    rendered = [made[1] for made in memory.progress.rendered if made is not None]
    assert [one is other for one, other in zip(rendered, cached.status.flows, strict=True)] == [True, True]


def test_a_workflow_without_room_reads_its_jobs_and_creates_more_once_it_is_called() -> None:
    world, controller = started(a="", b="a")
    controller.room.take("team", MAX_CREATIONS, 0)
    world.advance(world.now + 10)
    settle(controller)
    assert [(flow.name, flow.phase) for flow in world.workflow.status.flows] == [("a", "Succeeded"), ("b", "Waiting")]
    assert names(world) == ["w-a"]
    controller.room.give_back("team", MAX_CREATIONS, 0)
    settle(controller)
    assert names(world) == ["w-a", "w-b"]


def test_a_workflow_that_is_deleted_while_it_waits_for_room_does_not_stop_the_line() -> None:
    world = world_of(a="")
    controller = controller_of(world)
    controller.deliver_all()
    controller.room.take("team", MAX_CREATIONS, 0)
    controller.reconciler.reconcile(KEY)
    controller.room.wait("team/other")
    mark_deleted(world)
    controller.deliver_all()
    controller.reconciler.reconcile(KEY)
    controller.room.give_back("team", MAX_CREATIONS, 0)
    controller.reconciler.reconcile(KEY)
    assert controller.room.waiting("team") == 0


def test_a_spec_that_changed_meanwhile_is_planned_anew_with_the_job_that_was_made() -> None:
    world, controller, _ = parked()
    world.set_spec(flows=(*world.workflow.spec.flows, *wf(b="").spec.flows))
    controller.deliver_all()
    controller.pool.answer(0)
    settle(controller)
    assert names(world) == ["w-a"]
    assert world.workflow.status.reason == "SpecChanged"


def test_a_workflow_that_went_meanwhile_leaves_no_job() -> None:
    world, controller, noted = parked()
    mark_deleted(world)
    settle(controller)
    assert noted == [], "nothing is deleted before the creation is answered"
    controller.pool.answer(0)
    settle(controller)
    assert (names(world), world.lives[0].deleted_by) == ([], "controller")


def test_a_lease_that_is_lost_meanwhile_makes_no_job_and_a_new_term_makes_it_once() -> None:
    world, controller, noted = parked()
    controller.is_leader = False
    assert controller.reconciler.reconcile(KEY) == Done()
    controller.pool.answer(0)
    assert noted == []
    controller.lead()
    again = controller.reconciler.reconcile(KEY)
    assert isinstance(again, Later), "the creation was refused by this process itself, and this may be the last requeue"
    controller.is_queued = True
    while not names(world):
        settle(controller)
        controller.pool.answer(0)
    settle(controller)
    assert names(world) == ["w-a"]
    assert world.workflow.status.flows[0].phase == "Pending"


# After the end


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the flows of each spec that is compiled."""
    names: list[str] = []

    def counted(spec: WorkflowSpec, templates: Any, **options: Any) -> Any:
        names.append("".join(flow.name for flow in spec.flows))
        return compile_spec(spec, templates, **options)

    monkeypatch.setattr("pkg.controllers.workflow.planner.graph.shared._SHARED", weakref.WeakValueDictionary())
    for module in ("in_force", "shared"):
        monkeypatch.setattr(f"pkg.controllers.workflow.planner.graph.{module}.compile_spec", counted)
    return names


def ended(spec: dict[str, Any] | None = None, /, fate: Fate | None = None, **flows: Any) -> tuple[World, Controller]:
    """A workflow that has ended, and a controller that has just begun."""
    world = world_of(spec, **(flows or {"a": ""}))
    if fate is not None:
        world.fate_of = lambda _flow, _index, _attempt: fate
    controller = controller_of(world)
    settle(controller)
    for _ in range(20):
        world.advance(controller.next_due() or world.now)
        settle(controller)
    assert world.workflow.status.phase in ("Succeeded", "Failed")
    return world, controller_of(world)


def test_a_workflow_that_has_ended_is_not_compiled_by_a_new_leader(compiled: list[str]) -> None:
    world, controller = ended(a="", b="a")
    before = world.calls
    compiled.clear()
    settle(controller)
    assert controller.reconciler.reconcile(KEY) == Done()
    assert (compiled, world.calls) == ([], before)
    assert next(iter(controller.reconciler._memories.by_workflow.values())).spec.compiled == ()


@pytest.mark.skipif(build() == "compiled", reason="replaces methods, which a compiled ledger does not allow")
def test_a_reconcile_after_the_end_reads_no_job_while_none_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    _, controller = ended(a={"for": {"replicas": 9}})
    settle(controller)
    monkeypatch.setattr(controller.ledger, "jobs", lambda *_: pytest.fail("all jobs are read"))
    monkeypatch.setattr(controller.ledger, "take_changes", lambda *_: pytest.fail("all jobs are copied"))
    for _ in range(3):
        assert controller.reconciler.reconcile(KEY) == Done()


def test_a_restart_after_the_end_is_carried_out(compiled: list[str]) -> None:
    world, controller = ended(fate=Fate(ends="fail"))
    settle(controller)
    compiled.clear()
    world.set_spec(restart=Restart("1"))
    settle(controller)
    assert compiled == ["a"]
    assert names(world) == ["w-a", "w-a-r1"]


def test_jobs_that_the_policy_removes_go_without_the_graph(compiled: list[str]) -> None:
    """The last leader recorded the end and deleted nothing."""
    world, controller = ended(a={"for": {"replicas": 5}})
    world.set_spec(job_retain_policy=RetainPolicy.DELETE)
    in_force = {"job_retain_policy": RetainPolicy.DELETE, "spec_hash": spec_hash(world.workflow.spec)}
    world.update(WORKFLOWS, NAME, status=records.moved(world.workflow.status, **in_force))
    compiled.clear()
    settle(controller)
    assert (names(world), compiled) == ([], [])


def test_a_policy_that_is_edited_after_the_end_removes_no_job(compiled: list[str]) -> None:
    world, controller = ended(a="")
    world.set_spec(job_retain_policy=RetainPolicy.DELETE)
    compiled.clear()
    settle(controller)
    assert (names(world), compiled) == (["w-a"], [])


def test_a_service_that_goes_on_after_the_end_is_judged_once(compiled: list[str]) -> None:
    world = world_of(s={"template": "service"}, a="s")
    world.fate_of = lambda flow, _index, _attempt: Fate(ends="ready" if flow == "s" else "ok")
    controller = Controller(world, lambda _flow, _path, _index: None)
    settle(controller)
    for _ in range(20):
        world.advance(controller.next_due() or world.now)
        settle(controller)
    assert world.workflow.status.phase == "Succeeded"
    compiled.clear()
    for step in range(3):
        world.update(WIDGETS, "w-s", status={"phase": "Running", "step": step})
        settle(controller)
    assert (compiled, names(world)) == ([], ["w-s", "w-a"])
    world.set_spec(shutdown=Shutdown.TERMINATE)
    settle(controller)
    assert (compiled, names(world)) == (["sa"], ["w-a"])


def test_jobs_of_a_workflow_may_be_being_deleted_until_their_cache_is_complete() -> None:
    """After a restart the ledger is empty, and the job of a workflow that has ended hangs on a finalizer."""
    world, controller = started()
    for _ in range(20):
        world.advance(world.now + 1)
        controller.is_queued = True
        settle(controller)
    assert world.workflow.status.phase == "Succeeded"
    assert not controller.reconciler.may_have_deleting_jobs(world.workflow)
    (job,) = world.jobs()
    deleted_at = datetime.fromtimestamp(int(world.now), UTC)
    meta = msgspec.structs.replace(world.objects[JOBS, job.name].metadata, deletion_timestamp=deleted_at)
    world.update(JOBS, job.name, metadata=meta)
    restarted = controller_of(world)
    assert restarted.reconciler.may_have_deleting_jobs(world.workflow)
    assert restarted.reconciler.users_of(JOBS) == (KEY,)
    restarted.deliver(JOBS)
    assert restarted.reconciler.may_have_deleting_jobs(world.workflow)
    world.update(JOBS, job.name, metadata=msgspec.structs.replace(meta, deletion_timestamp=None))
    restarted.deliver(JOBS)
    assert not restarted.reconciler.may_have_deleting_jobs(world.workflow)


def test_a_gate_does_not_give_up_early_after_a_reconcile_that_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status does not record when a replica became ready, and the controller has led for longer than the gate waits."""
    server = {"template": "service", "for": {"replicas": 2}}
    world = world_of(server=server, gate=on(probe=http("server", failAfter="10s")))
    world.fate_of = lambda _flow, _index, _attempt: Fate(ends="ready")
    controller = controller_of(world)
    settle(controller)
    world.advance(world.now + 60)
    settle(controller)
    with monkeypatch.context() as patch:
        patch.setattr(world, "plan", Mock(side_effect=RuntimeError("a bug")))
        with pytest.raises(RuntimeError):
            controller.reconciler.reconcile(KEY)
    controller.reconciler.reconcile(KEY)
    assert flows_of(world)["gate"].phase == "Waiting"
    world.advance(world.now + 11)
    settle(controller)
    controller.reconciler.reconcile(KEY)
    assert flows_of(world)["gate"].reason == "ProbeTimeout"


def flows_of(world: World) -> dict[str, FlowStatus]:
    return {flow.name: flow for flow in world.workflow.status.flows}
