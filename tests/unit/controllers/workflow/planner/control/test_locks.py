"""A task whose locks are held waits in line. One that holds its locks gets its job, and gives them back after it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.actions import CreateJob, Plan
from pkg.controllers.workflow.planner.locks.holders import WHOLE, KnownJobs, LockAnswer, LockNeeds, LockView, Want
from pkg.controllers.workflow.planner.locks.words import TAKING
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import CreateFault, Trouble
from tests.builders import JOBS, NOW, Bench, task, wf

DB = LockName(LockKind.MUTEX, "db")
LOCKED: dict[str, Any] = {"mutexes": ["db"]}
HELD = LockAnswer(Reasons.LOCK_HELD, "waits for mutex db, held by other/train since 2026-01-31T10:00:00Z")


def bench_of(spec: dict[str, Any] | None = None, /, **flows: Any) -> Bench:
    bench = Bench(wf(spec or {}, **flows), settle=False)
    bench.locks = LockView()
    bench.settle()
    return bench


def grant(bench: Bench, *names: str, attempt: int = 0) -> Plan:
    """These tasks hold their locks, for this attempt."""
    granted = {(WHOLE if name == "*" else task(name)): attempt for name in names}
    bench.locks = LockView(granted=granted, holders=frozenset(granted))
    return bench.settle()


def needs(bench: Bench) -> LockNeeds:
    """What the plan needs, without what it knows of jobs."""
    found = bench.settle().locks
    assert found is not None
    return replace(found, jobs={})


def standing(bench: Bench) -> list[TaskKey]:
    return [want.task for want in needs(bench).wants]


def made(bench: Bench) -> list[str]:
    return [creation.name for creation in bench.made]


def test_a_task_stands_in_line_before_its_job_is_made() -> None:
    bench = bench_of(a=LOCKED, b="")
    assert made(bench) == ["w-b"]
    assert needs(bench) == LockNeeds((Want(task("a"), 0, (DB,), NOW, kinds=(str(JOBS),), shown=TAKING),))


def test_the_job_is_made_once_the_task_holds_its_locks() -> None:
    bench = bench_of(a=LOCKED)
    grant(bench, "a")
    assert made(bench) == ["w-a"]
    assert needs(bench) == LockNeeds((), frozenset({task("a")}))


def test_the_flow_says_what_it_waits_for() -> None:
    bench = bench_of(a=LOCKED)
    bench.locks = LockView(answers={task("a"): HELD})
    bench.settle()
    shown = bench.flow("a")
    assert (shown.phase, shown.reason, shown.message) == (Phase.WAITING, HELD.reason, HELD.message)


def test_nobody_waits_for_locks_before_its_dependencies_are_met() -> None:
    bench = bench_of(b="", a={**LOCKED, "dependsOn": {"targets": ["b"]}})
    assert standing(bench) == []
    bench.succeeds("b")
    assert standing(bench) == [task("a")]


def test_the_lock_is_kept_until_status_records_the_end() -> None:
    bench = bench_of(a=LOCKED, b="")
    grant(bench, "a")
    bench.runs("a")
    bench.say({"conditions": [{"type": "Complete", "status": "True"}]}, "a")
    bench.loses_writes = True
    found = bench.step()
    # The plan says what is so once its write has succeeded; the keeper learns of it only then.
    assert found.patch is not None
    jobs = {task("a"): KnownJobs(frozenset({bench.observed("a").job.metadata.uid}), 0, is_final=True)}
    assert found.locks == LockNeeds(jobs=jobs)
    bench.loses_writes = False
    bench.settle()
    assert needs(bench) == LockNeeds()


def test_the_end_of_a_task_that_holds_a_lock_is_written_at_once() -> None:
    bench = bench_of(a=LOCKED, b="")
    grant(bench, "a")
    bench.runs("a")
    bench.say({"conditions": [{"type": "Complete", "status": "True"}]}, "a")
    assert bench.step().patch is not None


def test_nothing_is_held_between_two_attempts_and_each_stands_in_line_anew() -> None:
    bench = bench_of(a={**LOCKED, "retry": {"maxRetries": 1, "interval": "10s"}})
    grant(bench, "a")
    bench.fails("a")
    assert needs(bench) == LockNeeds()
    bench.locks = LockView()
    bench.wait(11)
    assert [(want.attempt, want.since) for want in needs(bench).wants] == [(1, NOW + 11)]
    grant(bench, "a", attempt=1)
    assert made(bench) == ["w-a", "w-a-r1"]


def test_what_was_granted_for_one_attempt_does_not_count_for_the_next() -> None:
    bench = bench_of(a={**LOCKED, "retry": {"maxRetries": 1, "interval": "0s"}})
    grant(bench, "a")
    bench.fails("a")
    assert made(bench) == ["w-a"]
    assert standing(bench) == [task("a")]
    assert needs(bench).keeps == frozenset()


def test_a_lock_is_kept_while_the_job_is_being_deleted() -> None:
    bench = bench_of(a={**LOCKED, "timeout": "1m"}, b="")
    grant(bench, "a")
    bench.runs("a")
    bench.lingers = True
    bench.wait(61)
    assert bench.flow("a").reason == Reasons.DEADLINE_EXCEEDED
    assert needs(bench).keeps == {task("a")}
    bench.vanishes("a")
    assert needs(bench).keeps == frozenset()


def refusal(made: CreateJob, *, is_unanswered: bool) -> CreateFault:
    return CreateFault(
        Trouble.RETRY, made.attempt, made.name, Reasons.QUOTA_EXCEEDED, "no room", NOW, 1, NOW + 5, NOW, is_unanswered
    )


def test_a_refused_creation_gives_the_lock_back_and_stands_in_line_again() -> None:
    bench = bench_of(a=LOCKED)
    bench.refuse = lambda creation: refusal(creation, is_unanswered=False)
    bench.locks = LockView(granted={task("a"): 0}, holders=frozenset({task("a")}))
    bench.settle()
    assert needs(bench) == LockNeeds()
    assert bench.flow("a").reason == Reasons.QUOTA_EXCEEDED
    bench.locks = LockView()
    bench.wait(6)
    assert [want.since for want in needs(bench).wants] == [NOW + 6]


def test_a_creation_without_an_answer_keeps_the_lock() -> None:
    bench = bench_of(a=LOCKED)
    bench.refuse = lambda creation: refusal(creation, is_unanswered=True)
    bench.locks = LockView(granted={task("a"): 0}, holders=frozenset({task("a")}))
    bench.settle()
    assert standing(bench) == [task("a")]


def test_a_task_without_a_template_does_not_stand_in_line() -> None:
    bench = bench_of(a={**LOCKED, "template": "missing"})
    assert standing(bench) == []
    assert bench.flow("a").reason == Reasons.TEMPLATE_NOT_FOUND


def test_a_suspended_task_leaves_the_line() -> None:
    bench = bench_of(a=LOCKED)
    bench.set_spec(suspend=True)
    assert standing(bench) == []
    bench.now += 5
    bench.set_spec(suspend=None)
    assert [want.since for want in needs(bench).wants] == [NOW + 5]


def test_no_more_tasks_stand_in_line_than_may_run() -> None:
    bench = bench_of(a={**LOCKED, "for": {"replicas": 5, "parallelism": 2}})
    assert standing(bench) == [task("a/0"), task("a/1")]


def test_who_waits_takes_no_slot_from_others() -> None:
    bench = bench_of({"parallelism": 1}, a=LOCKED, b="")
    assert made(bench) == ["w-b"]


def test_who_holds_its_locks_and_finds_no_slot_gives_them_back() -> None:
    bench = bench_of({"parallelism": 1}, a=LOCKED, b="")
    grant(bench, "a")
    assert made(bench) == ["w-b"]
    assert needs(bench) == LockNeeds()


def test_a_later_index_that_holds_its_locks_starts_before_an_earlier_one() -> None:
    bench = bench_of(a={**LOCKED, "for": {"replicas": 3, "parallelism": 1}})
    grant(bench, "a/2")
    assert made(bench) == ["w-a-2"]


def test_the_clock_of_pending_timeout_stands_still_while_it_waits() -> None:
    bench = bench_of(a={**LOCKED, "pendingTimeout": "1m"})
    bench.wait(600)
    assert bench.flow("a").phase is Phase.WAITING
    grant(bench, "a")
    bench.wait(61)
    assert bench.flow("a").reason == Reasons.PENDING_TIMEOUT


def test_the_place_in_line_outlives_the_controller() -> None:
    bench = bench_of(a={**LOCKED, "for": {"replicas": 2}}, b="")
    bench.now += 100
    bench.restarted()
    assert [want.since for want in needs(bench).wants] == [NOW, NOW]


def test_a_controller_that_still_reads_the_jobs_takes_no_place_in_line_away() -> None:
    bench = bench_of(a=LOCKED, b="")
    bench.now += 100
    bench.crash()
    bench.synced -= {JOBS}
    assert [want.since for want in needs(bench).wants] == [NOW]
    assert bench.flow("a").reason == Reasons.KIND_SYNCING
    bench.synced |= {JOBS}
    assert [want.since for want in needs(bench).wants] == [NOW]


def test_who_has_no_slot_says_so() -> None:
    bench = bench_of({"parallelism": 1}, b="", a=LOCKED)
    assert standing(bench) == []
    assert bench.flow("a").reason == Reasons.PARALLELISM_REACHED


def test_a_shutdown_ends_the_wait() -> None:
    bench = bench_of(a=LOCKED, b="")
    bench.set_spec(shutdown="Stop")
    assert standing(bench) == []


def test_a_workflow_takes_its_locks_before_its_first_job() -> None:
    bench = bench_of(LOCKED, a="", b="a")
    assert made(bench) == []
    assert needs(bench) == LockNeeds((Want(WHOLE, 0, (DB,), NOW, kinds=(str(JOBS),), shown=TAKING),))
    grant(bench, "*")
    assert made(bench) == ["w-a"]


def test_a_workflow_holds_its_locks_until_it_is_final_suspended_or_not() -> None:
    bench = bench_of(LOCKED, a="", b="a")
    grant(bench, "*")
    bench.succeeds("a")
    bench.set_spec(suspend=True)
    assert needs(bench).keeps == {WHOLE}
    bench.set_spec(suspend=None)
    bench.succeeds("b")
    assert bench.workflow.status.phase == "Succeeded"
    assert needs(bench) == LockNeeds()


def test_a_workflow_that_ended_keeps_its_locks_while_its_jobs_are_being_deleted() -> None:
    bench = bench_of(LOCKED, a="")
    grant(bench, "*")
    bench.runs("a")
    bench.lingers = True
    bench.set_spec(shutdown="Terminate")
    assert bench.workflow.status.phase == "Failed"
    assert needs(bench).keeps == {WHOLE}
    bench.vanishes("a")
    assert needs(bench).keeps == frozenset()


def test_what_a_workflow_holds_while_an_edit_holds_it_is_kept() -> None:
    bench = bench_of(a=LOCKED, b={**LOCKED, "mutexes": ["other"]})
    grant(bench, "a")
    bench.runs("a")
    bench.edit_spec(flows=[{"name": "a", "template": "job"}])
    bench.restarted()
    found = needs(bench)
    assert found.keeps == {task("a")}
    assert found.wants == ()


def test_a_workflow_without_locks_says_nothing_of_locks() -> None:
    assert bench_of(a="").settle().locks is None


def test_where_nobody_keeps_locks_every_task_starts() -> None:
    assert made(Bench(wf(a=LOCKED))) == ["w-a"]


@pytest.mark.parametrize("count", [300])
def test_the_line_of_one_flow_is_bounded(count: int) -> None:
    bench = bench_of(a={**LOCKED, "for": {"replicas": count}})
    assert standing(bench) == [task(f"a/{index}") for index in range(256)]


def test_one_task_of_each_flow_says_what_its_flow_shows() -> None:
    """The first by index, which the flow speaks of; where it stands behind as many as may stand in line, another."""
    bench = bench_of(a={**LOCKED, "for": {"replicas": 300}, "retry": {"maxRetries": 1, "interval": "1s"}})
    assert [want.task for want in needs(bench).wants if want.shown is not None] == [task("a/0")]
    grant(bench, "a/0")
    bench.fails("a/0")
    bench.locks = LockView()
    bench.wait(5)
    wants = needs(bench).wants
    assert task("a/0") not in {want.task for want in wants}
    assert [want.shown for want in wants if want.shown is not None] == [TAKING]
