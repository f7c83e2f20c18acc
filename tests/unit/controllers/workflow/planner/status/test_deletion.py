"""A job whose deletion began before it ended was deleted, whatever it says last."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.meta import Job, seconds
from pkg.controllers.workflow.planner.progress import Attempt, Task
from pkg.controllers.workflow.planner.status.deletion import counts_as_deleted
from tests.builders import COMPLETE, FAILED, Bench, wf
from tests.manifests import decoded

#: Of a Pod that is deleted at 12:00:00 and may take 30 s to end.
DELETED = {"deletionTimestamp": "2026-01-01T12:00:30Z", "deletionGracePeriodSeconds": 30}
AT_ONCE = {"deletionTimestamp": "2026-01-01T12:00:00Z", "deletionGracePeriodSeconds": 0}
BEFORE, SAME, AFTER = "2026-01-01T11:59:59Z", "2026-01-01T12:00:00Z", "2026-01-01T12:00:05Z"


def job(deletion: dict[str, Any], **status: Any) -> Job:
    return decoded({"metadata": {"name": "w-a", "uid": "u", **deletion}, "status": status}, Job)


def container(at: str) -> dict[str, Any]:
    return {"name": "main", "state": {"terminated": {"exitCode": 0, "finishedAt": at}}}


def condition(kind: str, at: str, status: str = "True") -> dict[str, Any]:
    return {"type": kind, "status": status, "lastTransitionTime": at}


@pytest.mark.parametrize(
    ("seen", "is_final", "is_deleted"),
    [
        pytest.param(job({}), False, False, id="a job that runs"),
        pytest.param(job({}, completionTime=AFTER), True, False, id="a job that has ended and is not deleted"),
        pytest.param(job(DELETED), False, True, id="a job that is deleted while it runs"),
        pytest.param(job(DELETED, completionTime=BEFORE), True, False, id="a job that ended first"),
        pytest.param(job(DELETED, completionTime=AFTER), True, True, id="a job that ended within its grace period"),
        pytest.param(job(AT_ONCE, completionTime=BEFORE), True, False, id="no grace period, ended first"),
        pytest.param(job(AT_ONCE, completionTime=AFTER), True, True, id="no grace period, ended later"),
        pytest.param(
            job(DELETED, completionTime=SAME), True, True, id="ended in the same second, so it is not certain"
        ),
        pytest.param(job(DELETED), True, True, id="ended without a time"),
        pytest.param(job(DELETED, completionTime=None), True, True, id="null for a time"),
        pytest.param(job(DELETED, completionTime="soon"), True, True, id="a word for a time"),
        pytest.param(job(DELETED, completionTime=7), True, True, id="a number for a time"),
        pytest.param(job(DELETED, finishedAt=BEFORE), True, False, id="finishedAt"),
        pytest.param(job(DELETED, containerStatuses=[container(BEFORE)]), True, False, id="a Pod that ended first"),
        pytest.param(job(DELETED, containerStatuses=[container(AFTER)]), True, True, id="a Pod that trapped SIGTERM"),
        pytest.param(
            job(DELETED, containerStatuses=[container(AFTER)], initContainerStatuses=[container(BEFORE)]),
            True,
            True,
            id="the last container decides",
        ),
        pytest.param(
            job(DELETED, containerStatuses=[{"state": "x"}, 7, {"state": {"terminated": 1}}], conditions={}),
            True,
            True,
            id="fields of other types",
        ),
        pytest.param(job(DELETED, conditions=[condition("Failed", BEFORE)]), True, False, id="a Job that failed first"),
        pytest.param(job(DELETED, conditions=[condition("Failed", AFTER)]), True, True, id="a Job that failed later"),
        pytest.param(
            job(DELETED, conditions=[condition("Complete", BEFORE, "False"), condition("Ready", BEFORE)]),
            True,
            True,
            id="conditions that do not say that it ended",
        ),
    ],
)
def test_counts_as_deleted(seen: Job, *, is_final: bool, is_deleted: bool) -> None:
    assert counts_as_deleted(Task(), seen, is_final=is_final) is is_deleted


def test_a_deletion_that_was_seen_first_counts_whatever_the_clocks_say() -> None:
    """The clock of a node may be behind that of the API server."""
    doomed = Task(current=Attempt(doomed=True))
    assert counts_as_deleted(doomed, job(DELETED, completionTime=BEFORE), is_final=True)


def test_a_deletion_that_a_pass_has_seen_counts_although_the_end_has_an_earlier_time() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "1m"}}))
    bench.runs("a")
    bench.now = seconds("2027-01-15T08:00:30Z")
    bench.is_going("a")
    bench.say({**COMPLETE, "completionTime": "2027-01-15T08:00:20Z"}, "a")
    bench.settle()
    assert bench.phases()["a"] == "Running", "it is judged once it is gone"
    bench.vanishes("a")
    assert bench.flow("a").reason == "JobDeleted"


ENDS = {"well": COMPLETE, "badly": FAILED}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_controller_that_was_started_meanwhile_judges_by_the_times(end: dict[str, Any]) -> None:
    for ended, reason in ((-5, ""), (5, "JobDeleted")):
        bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "1m"}}))
        bench.runs("a")
        begin = f"2027-01-15T08:00:{30 + ended:02}Z"
        bench.now = seconds("2027-01-15T08:00:30Z")
        bench.say({**end, "completionTime": begin}, "a")
        bench.say_deleting("a")
        bench.restarted()
        bench.vanishes("a")
        expected = reason or ("Failed" if end is FAILED else "")
        assert bench.flow("a").reason == expected
