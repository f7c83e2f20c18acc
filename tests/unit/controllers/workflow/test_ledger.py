"""Which jobs a workflow has, and what changed since the last read; objects that only pretend change nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import Action
from pkg.apis.meta import Job
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob
from tests.builders import JOBS, UID, WORKFLOW

OWNER = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "name": "w", "uid": UID, "controller": True}
OTHER = WORKFLOW._replace(uid="other")
LABELS = {"flow.workflow.sh/flow": "a", "flow.workflow.sh/attempt": "0"}


def job(*, name: str = "", namespace: str = "team", owner: str = UID, uid: str = "", **labels: str) -> Job:
    """A job of flow `a` of workflow team/w, under the name that the controller gives it."""
    tags = {**LABELS, **{f"flow.workflow.sh/{key}": value for key, value in labels.items()}}
    index, attempt = labels.get("index"), labels.get("attempt", "0")
    name = name or "w-a" + (f"-{index}" if index else "") + (f"-r{attempt}" if attempt != "0" else "")
    meta = {"name": name, "namespace": namespace, "uid": uid or f"u-{name}", "labels": tags}
    return msgspec.convert({"metadata": {**meta, "ownerReferences": [{**OWNER, "uid": owner}]}}, Job)


def test_a_view_has_what_is_there_by_task_and_attempt() -> None:
    ledger = Ledger()
    keys = ledger.apply(JOBS, [Delta("team/w-a", None, job(attempt="1")), Delta("team/w-a", None, job())])
    assert keys == {"team/w"}
    view = ledger.take_changes(WORKFLOW)
    assert [observed.attempt for observed in view.jobs[TaskKey("a", 0)]] == [0, 1]
    assert view.gone == {}


def test_the_first_view_names_all_tasks_and_then_only_those_that_changed() -> None:
    ledger = Ledger()
    ledger.apply(JOBS, [Delta("team/w-a", None, job())])
    assert ledger.take_changes(WORKFLOW).dirty is None
    assert ledger.take_changes(WORKFLOW).dirty == frozenset()
    ledger.apply(JOBS, [Delta("team/w-a", None, job(index="1"))])
    assert ledger.take_changes(WORKFLOW).dirty == frozenset({TaskKey("a", 1)})
    ledger.mark_dirty(WORKFLOW)
    assert ledger.take_changes(WORKFLOW).dirty is None


def test_a_workflow_without_jobs_names_all_tasks_only_where_that_is_asked_for() -> None:
    ledger = Ledger()
    ledger.mark_dirty(WORKFLOW)
    assert ledger.take_changes(WORKFLOW).dirty == frozenset()
    ledger.mark_dirty(WORKFLOW, without_jobs=True)
    assert ledger.take_changes(WORKFLOW).dirty is None
    assert ledger.take_changes(WORKFLOW).dirty == frozenset()
    ledger.forget(WORKFLOW)
    assert ledger.keys() == frozenset()


def test_a_job_that_went_is_handed_out_once_with_its_last_status() -> None:
    ledger, there = Ledger(), job()
    last = msgspec.structs.replace(there, status={"x": 1})
    ledger.apply(JOBS, [Delta("team/w-a", None, there)])
    ledger.take_changes(WORKFLOW)
    ledger.apply(JOBS, [Delta("team/w-a", there, None, last)])
    view = ledger.take_changes(WORKFLOW)
    assert view.jobs == {}
    assert [observed.job.status for observed in view.gone[TaskKey("a", 0)]] == [{"x": 1}]
    assert ledger.take_changes(WORKFLOW).gone == {}


def test_a_job_that_was_replaced_by_a_namesake_is_no_loss() -> None:
    ledger = Ledger()
    ledger.apply(JOBS, [Delta("team/w-a", None, job(uid="1"))])
    ledger.take_changes(WORKFLOW)
    ledger.apply(JOBS, [Delta("team/w-a", job(uid="1"), job(uid="2"))])
    view = ledger.take_changes(WORKFLOW)
    assert [observed.job.metadata.uid for observed in view.jobs[TaskKey("a", 0)]] == ["2"]
    assert view.gone == {}


def test_workflows_of_the_same_name_are_distinguished_by_uid() -> None:
    ledger = Ledger()
    ledger.apply(JOBS, [Delta("team/w-a", None, job()), Delta("team/w-a", None, job(uid="later", owner="other"))])
    assert ledger.workflows("team/w") == {WORKFLOW, OTHER}
    assert [observed.job.metadata.name for _, observed in ledger.jobs(WORKFLOW)] == ["w-a"]


def test_a_workflow_is_forgotten_only_when_its_jobs_are_gone() -> None:
    ledger, there = Ledger(), job()
    ledger.apply(JOBS, [Delta("team/w-a", None, there)])
    ledger.forget(WORKFLOW)
    assert ledger.workflows("team/w") == {WORKFLOW}
    ledger.apply(JOBS, [Delta("team/w-a", there, None)])
    ledger.forget(WORKFLOW)
    assert ledger.workflows("team/w") == frozenset()
    assert ledger.keys() == frozenset()


def test_the_job_of_an_attempt_is_found_as_long_as_it_is_there() -> None:
    ledger = Ledger()
    first, second = job(), job(attempt="1")
    ledger.apply(JOBS, [Delta("team/w-a", None, first), Delta("team/w-a-r1", None, second)])
    assert (ledger.job(WORKFLOW, TaskKey("a", 0), 0), ledger.job(WORKFLOW, TaskKey("a", 0), 1)) == (first, second)
    ledger.apply(JOBS, [Delta("team/w-a-r1", second, None, second)])
    assert ledger.job(WORKFLOW, TaskKey("a", 0), 1) is None
    assert ledger.job(OTHER, TaskKey("a", 0), 0) is None


def version(of: Job, number: int, **status: Any) -> Job:
    """A state of the job."""
    return msgspec.structs.replace(
        of, metadata=msgspec.structs.replace(of.metadata, resource_version=str(number)), status=status
    )


def test_the_answer_to_our_own_write_that_comes_late_takes_no_news_of_the_watch_back() -> None:
    ledger, first = Ledger(), version(job(), 5)
    ended = version(first, 6, sim="Succeeded")
    ledger.apply(JOBS, [Delta("team/w-a", first, ended)])
    ledger.apply(JOBS, [Delta("team/w-a", None, first)])
    assert ledger.job(WORKFLOW, TaskKey("a", 0), 0) == ended


def test_after_a_restored_backup_an_older_state_is_the_truth() -> None:
    ledger, held = Ledger(), version(job(), 100)
    ledger.apply(JOBS, [Delta("team/w-a", None, held)])
    ledger.apply(JOBS, [Delta("team/w-a", held, version(held, 50))])
    assert ledger.job(WORKFLOW, TaskKey("a", 0), 0) == version(held, 50)


def test_the_last_state_of_a_vanished_job_is_the_newest_that_was_seen() -> None:
    ledger, first = Ledger(), version(job(), 5)
    ended = version(first, 7, sim="Succeeded")
    ledger.apply(JOBS, [Delta("team/w-a", first, None, ended)])
    ledger.apply(JOBS, [Delta("team/w-a", None, first)])
    ledger.apply(JOBS, [Delta("team/w-a", first)])
    assert [observed.job for observed in ledger.take_changes(WORKFLOW).gone[TaskKey("a", 0)]] == [ended]


def test_a_job_whose_labels_are_changed_leaves_its_task() -> None:
    ledger, before, after = Ledger(), version(job(), 5), version(job(index="1", uid="u-w-a"), 6)
    ledger.apply(JOBS, [Delta("team/w-a", None, before)])
    ledger.take_changes(WORKFLOW)
    ledger.apply(JOBS, [Delta("team/w-a", before, after)])
    view = ledger.take_changes(WORKFLOW)
    assert (set(view.jobs), set(view.gone)) == ({TaskKey("a", 1)}, {TaskKey("a", 0)})
    assert view.dirty == frozenset({TaskKey("a", 0), TaskKey("a", 1)})


def test_a_job_whose_owner_is_changed_leaves_its_workflow() -> None:
    ledger, before, after = Ledger(), version(job(), 5), version(job(owner="other"), 6)
    ledger.apply(JOBS, [Delta("team/w-a", None, before)])
    ledger.take_changes(WORKFLOW)
    assert ledger.apply(JOBS, [Delta("team/w-a", before, after)]) == {WORKFLOW.key}
    view = ledger.take_changes(WORKFLOW)
    assert (set(view.jobs), set(view.gone)) == (set(), {TaskKey("a", 0)})
    assert set(ledger.take_changes(OTHER).jobs) == {TaskKey("a", 0)}


PRETENDERS: dict[str, Job] = {
    "a job in another namespace, with the UID of the Workflow": job(namespace="evil", attempt="7"),
    "a job in another namespace, under the same key but for its name": job(namespace="evil", name="w-a"),
    "a job of another name": job(name="mine", attempt="7"),
    "a job whose name and attempt disagree": job(name="w-a", attempt="7"),
}


@pytest.mark.parametrize("pretender", PRETENDERS.values(), ids=PRETENDERS)
def test_what_only_pretends_changes_nothing_of_a_workflow(pretender: Job) -> None:
    ledger, ours = Ledger(), job()
    ledger.apply(JOBS, [Delta("team/w-a", None, ours)])
    ledger.take_changes(WORKFLOW)
    keys = ledger.apply(JOBS, [Delta(pretender.metadata.key, None, pretender)])
    keys |= ledger.apply(JOBS, [Delta(pretender.metadata.key, pretender, version(pretender, 9))])
    keys |= ledger.apply(JOBS, [Delta(pretender.metadata.key, version(pretender, 9))])
    changes = ledger.take_changes(WORKFLOW)
    assert [observed.job for observed in changes.jobs[TaskKey("a", 0)]] == [ours]
    assert (changes.gone, changes.dirty) == ({}, frozenset())
    assert "team/w" not in keys


def test_a_pretender_is_counted_once() -> None:
    counted: list[None] = []
    ledger = Ledger(lambda: counted.append(None))
    pretender = job(name="mine")
    ledger.apply(JOBS, [Delta("team/mine", None, pretender), Delta("team/mine", pretender, version(pretender, 9))])
    assert len(counted) == 1
    ledger.apply(JOBS, [Delta("team/w-a", None, job()), Delta("team/mine", version(pretender, 9))])
    assert len(counted) == 1


def test_a_job_whose_labels_no_longer_name_a_task_is_gone_from_it_and_counted() -> None:
    counted: list[None] = []
    ledger = Ledger(lambda: counted.append(None))
    ours = job()
    ledger.apply(JOBS, [Delta("team/w-a", None, ours)])
    ledger.take_changes(WORKFLOW)
    assert ledger.apply(JOBS, [Delta("team/w-a", ours, job(attempt="7", name="w-a"))]) == {"team/w"}
    changes = ledger.take_changes(WORKFLOW)
    assert (changes.jobs, set(changes.gone), len(counted)) == ({}, {TaskKey("a", 0)}, 1)


def test_a_change_that_no_plan_can_notice_concerns_no_workflow() -> None:
    ledger, first = Ledger(), version(job(), 5)
    ledger.apply(JOBS, [Delta("team/w-a", None, first)])
    ledger.take_changes(WORKFLOW)
    second = version(first, 6)
    assert ledger.apply(JOBS, [Delta("team/w-a", first, second)]) == set()
    changes = ledger.take_changes(WORKFLOW)
    assert changes.dirty == frozenset()
    assert [observed.job for observed in changes.jobs[TaskKey("a", 0)]] == [second], "the newest copy is kept"
    third = version(second, 7, sim="Succeeded")
    assert ledger.apply(JOBS, [Delta("team/w-a", second, third)]) == {"team/w"}
    assert ledger.take_changes(WORKFLOW).dirty == frozenset({TaskKey("a", 0)})


def test_a_copy_that_is_not_the_filed_one_is_news() -> None:
    ledger, first = Ledger(), version(job(), 5)
    assert ledger.apply(JOBS, [Delta("team/w-a", first, version(first, 6))]) == {"team/w"}


def test_a_process_that_does_not_lead_remembers_how_a_job_ended_for_a_while() -> None:
    ledger, first = Ledger(), version(job(), 5)
    ended = version(first, 7, sim="Succeeded")
    ledger.apply(JOBS, [Delta("team/w-a", None, first)])
    ledger.apply(JOBS, [Delta("team/w-a", first, None, ended)])
    ledger.age_gone()
    assert [observed.job for observed in ledger.take_changes(WORKFLOW).gone[TaskKey("a", 0)]] == [ended]


def test_a_process_that_does_not_lead_keeps_nothing_of_jobs_that_are_gone_for_long() -> None:
    ledger = Ledger()
    for number in range(3):
        there = job(uid=f"u{number}", attempt=str(number))
        ledger.apply(JOBS, [Delta("team/w-a", None, there)])
        ledger.apply(JOBS, [Delta("team/w-a", there, None, there)])
    ledger.age_gone()
    ledger.age_gone()
    assert ledger.keys() == frozenset()
    assert ledger.take_changes(WORKFLOW).gone == {}


def test_jobs_that_exist_are_kept_however_long() -> None:
    ledger = Ledger()
    ledger.apply(JOBS, [Delta("team/w-a", None, job())])
    ledger.age_gone()
    ledger.age_gone()
    assert [observed.job for _, observed in ledger.jobs(WORKFLOW)] == [job()]


def test_a_job_that_is_expected_concerns_no_key_as_it_comes_and_is_read_all_the_same() -> None:
    ledger, came = Ledger(), job(index="1")
    ledger.expect(WORKFLOW, [(TaskKey("a", 1), 0)])
    assert ledger.take_changes(WORKFLOW).dirty == frozenset()
    assert ledger.apply(JOBS, [Delta("team/w-a-1", None, came)]) == set()
    assert ledger.dirty(WORKFLOW) == frozenset({TaskKey("a", 1)})
    assert ledger.apply(JOBS, [Delta("team/w-a-1", came, version(came, 9, active=1))]) == {"team/w"}
    assert ledger.apply(JOBS, [Delta("team/w-a-1-r1", None, job(index="1", attempt="1"))]) == {"team/w"}
    ledger.expect(WORKFLOW, [])
    assert ledger.apply(JOBS, [Delta("team/w-a-1", None, came)]) == {"team/w"}


def test_nothing_is_kept_of_a_workflow_that_expects_nothing() -> None:
    ledger = Ledger()
    ledger.expect(WORKFLOW, [])
    assert ledger.keys() == frozenset()


def dying(of: Job) -> Job:
    """The job, with a finalizer that holds it."""
    meta = msgspec.structs.replace(
        of.metadata, resource_version="9", deletion_timestamp=datetime(2026, 1, 1, tzinfo=UTC)
    )
    return msgspec.structs.replace(of, metadata=meta)


def test_a_job_under_deletion_is_being_deleted_until_it_is_gone() -> None:
    ledger, there = Ledger(), job()
    ledger.apply(JOBS, [Delta("team/w-a", None, there)])
    assert not ledger.is_deleting_jobs(WORKFLOW)
    ledger.apply(JOBS, [Delta("team/w-a", there, dying(there))])
    assert ledger.is_deleting_jobs(WORKFLOW)
    ledger.apply(JOBS, [Delta("team/w-a", dying(there), None)])
    assert not ledger.is_deleting_jobs(WORKFLOW)


@pytest.mark.parametrize("action", [Action.APPLY, Action.DELETE])
def test_an_object_of_a_task_under_deletion_is_no_job_that_is_being_deleted(action: Action) -> None:
    """Its changes requeue the workflow, and nobody who waits for the jobs of the workflow."""
    ledger = Ledger()
    ledger.put_foreign(WORKFLOW, TaskKey("a", 0), ObservedJob(JOBS, dying(job(name="thing")), 0, action=action))
    assert not ledger.is_deleting_jobs(WORKFLOW)
