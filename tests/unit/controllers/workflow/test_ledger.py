"""Whose job is this, and what changed: by owner and labels alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import Job
from pkg.controllers.engine.store import Delta
from pkg.controllers.workflow.ledger import Ledger, identify
from pkg.controllers.workflow.planner.progress import TaskKey
from tests.builders import JOBS, UID

OWNER = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "name": "w", "uid": UID, "controller": True}
LABELS = {"flow.workflow.sh/flow": "a", "flow.workflow.sh/attempt": "0"}


def job(name: str = "anything", *, owner: dict[str, Any] | None = None, uid: str = "", **labels: str) -> Job:
    tags = {**LABELS, **{f"flow.workflow.sh/{key}": value for key, value in labels.items()}}
    meta = {"name": name, "namespace": "team", "uid": uid or name, "labels": tags}
    return msgspec.convert({"metadata": {**meta, "ownerReferences": [owner or OWNER]}}, Job)


OURS: dict[str, tuple[Job, tuple[TaskKey, int] | None]] = {
    "by owner and labels, whatever the name": (job("x"), (TaskKey("a", 0), 0)),
    "with an index": (job(index="3", attempt="2"), (TaskKey("a", 3), 2)),
    "not without a controller": (job(owner={**OWNER, "controller": False}), None),
    "not of another kind": (job(owner={**OWNER, "kind": "CronJob"}), None),
    "not of another group": (job(owner={**OWNER, "apiVersion": "batch/v1"}), None),
    "a later version of the group is ours": (
        job(owner={**OWNER, "apiVersion": "flow.workflow.sh/v1"}),
        (TaskKey("a", 0), 0),
    ),
    "not without a flow": (job(flow=""), None),
    "not with an attempt that is no number": (job(attempt="one"), None),
    "not with an index that is no number": (job(index="-1"), None),
    "not with a number beyond all measure": (job(attempt="1" * 30), None),
}


@pytest.mark.parametrize(("one", "expected"), OURS.values(), ids=OURS)
def test_identify(one: Job, expected: tuple[TaskKey, int] | None) -> None:
    found = identify(one)
    assert (found and (found[2], found[3])) == expected
    assert found is None or found[:2] == (UID, "team/w")


def test_a_job_without_our_labels_is_not_ours() -> None:
    bare = msgspec.convert({"metadata": {"name": "w-a", "namespace": "team", "ownerReferences": [OWNER]}}, Job)
    assert identify(bare) is None


def test_a_view_has_what_is_there_by_task_and_attempt() -> None:
    ledger = Ledger()
    keys = ledger.apply(JOBS, [Delta("team/a", None, job("b", attempt="1")), Delta("team/a", None, job("a"))])
    assert keys == {"team/w"}
    view = ledger.take_changes(UID)
    assert [observed.attempt for observed in view.jobs[TaskKey("a", 0)]] == [0, 1]
    assert view.gone == {}


def test_the_first_view_names_all_tasks_and_then_only_those_that_changed() -> None:
    ledger = Ledger()
    ledger.apply(JOBS, [Delta("team/a", None, job("a"))])
    assert ledger.take_changes(UID).dirty is None
    assert ledger.take_changes(UID).dirty == frozenset()
    ledger.apply(JOBS, [Delta("team/a", None, job("b", index="1"))])
    assert ledger.take_changes(UID).dirty == frozenset({TaskKey("a", 1)})
    ledger.mark_dirty(UID)
    assert ledger.take_changes(UID).dirty is None


def test_a_job_that_went_is_told_once_with_its_last_words() -> None:
    ledger, there = Ledger(), job("a")
    last = msgspec.structs.replace(there, status={"x": 1})
    ledger.apply(JOBS, [Delta("team/a", None, there)])
    ledger.take_changes(UID)
    ledger.apply(JOBS, [Delta("team/a", there, None, last)])
    view = ledger.take_changes(UID)
    assert view.jobs == {}
    assert [observed.job.status for observed in view.gone[TaskKey("a", 0)]] == [{"x": 1}]
    assert ledger.take_changes(UID).gone == {}


def test_a_job_that_was_replaced_by_a_namesake_is_no_loss() -> None:
    ledger = Ledger()
    ledger.apply(JOBS, [Delta("team/a", None, job("a", uid="1"))])
    ledger.take_changes(UID)
    ledger.apply(JOBS, [Delta("team/a", job("a", uid="1"), job("a", uid="2"))])
    view = ledger.take_changes(UID)
    assert [observed.job.metadata.uid for observed in view.jobs[TaskKey("a", 0)]] == ["2"]
    assert view.gone == {}


def test_workflows_of_the_same_name_are_told_apart_by_uid() -> None:
    ledger = Ledger()
    ledger.apply(
        JOBS, [Delta("team/a", None, job("a")), Delta("team/a", None, job("b", owner={**OWNER, "uid": "other"}))]
    )
    assert ledger.uids("team/w") == {UID, "other"}
    assert [observed.job.metadata.name for _, observed in ledger.jobs(UID)] == ["a"]


def test_a_workflow_is_forgotten_only_when_its_jobs_are_gone() -> None:
    ledger, there = Ledger(), job("a")
    ledger.apply(JOBS, [Delta("team/a", None, there)])
    ledger.forget(UID)
    assert ledger.uids("team/w") == {UID}
    ledger.apply(JOBS, [Delta("team/a", there, None)])
    ledger.forget(UID)
    assert ledger.uids("team/w") == frozenset()
    assert ledger.keys() == frozenset()


def test_the_job_of_an_attempt_is_found_as_long_as_it_is_there() -> None:
    ledger = Ledger()
    first, second = job("a"), job("b", attempt="1")
    ledger.apply(JOBS, [Delta("team/a", None, first), Delta("team/b", None, second)])
    assert (ledger.job(UID, TaskKey("a", 0), 0), ledger.job(UID, TaskKey("a", 0), 1)) == (first, second)
    ledger.apply(JOBS, [Delta("team/b", second, None, second)])
    assert ledger.job(UID, TaskKey("a", 0), 1) is None
    assert ledger.job("other", TaskKey("a", 0), 0) is None


def version(of: Job, number: int, **status: Any) -> Job:
    """A state of the job."""
    return msgspec.structs.replace(
        of, metadata=msgspec.structs.replace(of.metadata, resource_version=str(number)), status=status
    )


def test_the_answer_to_our_own_write_that_comes_late_takes_no_news_of_the_watch_back() -> None:
    ledger, first = Ledger(), version(job("a"), 5)
    ended = version(first, 6, sim="Succeeded")
    ledger.apply(JOBS, [Delta("team/a", first, ended)])
    ledger.apply(JOBS, [Delta("team/a", None, first)])
    assert ledger.job(UID, TaskKey("a", 0), 0) == ended


def test_after_a_restored_backup_an_older_state_is_the_truth() -> None:
    ledger, held = Ledger(), version(job("a"), 100)
    ledger.apply(JOBS, [Delta("team/a", None, held)])
    ledger.apply(JOBS, [Delta("team/a", held, version(held, 50))])
    assert ledger.job(UID, TaskKey("a", 0), 0) == version(held, 50)


def test_the_last_words_of_a_job_are_the_newest_that_were_heard() -> None:
    ledger, first = Ledger(), version(job("a"), 5)
    ended = version(first, 7, sim="Succeeded")
    ledger.apply(JOBS, [Delta("team/a", first, None, ended)])
    ledger.apply(JOBS, [Delta("team/a", None, first)])
    ledger.apply(JOBS, [Delta("team/a", first)])
    assert [observed.job for observed in ledger.take_changes(UID).gone[TaskKey("a", 0)]] == [ended]


def test_a_job_whose_labels_are_changed_leaves_its_task() -> None:
    ledger, before, after = Ledger(), version(job("a"), 5), version(job("a", index="1"), 6)
    ledger.apply(JOBS, [Delta("team/a", None, before)])
    ledger.take_changes(UID)
    ledger.apply(JOBS, [Delta("team/a", before, after)])
    view = ledger.take_changes(UID)
    assert (set(view.jobs), set(view.gone)) == ({TaskKey("a", 1)}, {TaskKey("a", 0)})
    assert view.dirty == frozenset({TaskKey("a", 0), TaskKey("a", 1)})
