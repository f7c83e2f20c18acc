"""When a task holds its locks."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.controllers.workflow.planner.locks.holding import keeps_locks
from pkg.controllers.workflow.planner.progress import Task

WAITING, RUNNING = Task(), Task(phase=Phase.RUNNING)
DONE, FAILED, BACKOFF = (Task(phase=phase) for phase in (Phase.SUCCEEDED, Phase.FAILED, Phase.BACKOFF))

KEPT: dict[str, tuple[Task | None, Task | None, bool]] = {
    "while its job is pending": (Task(phase=Phase.PENDING), WAITING, True),
    "while its job is held by a queue": (Task(phase=Phase.SUSPENDED), WAITING, True),
    "while its job runs": (RUNNING, RUNNING, True),
    "while its job runs, although no cache shows it": (RUNNING, RUNNING, False),
    "after its end, until status records it": (DONE, RUNNING, False),
    "after a short end of which status has nothing yet": (DONE, WAITING, False),
    "after a failure that is retried, until status records it": (BACKOFF, RUNNING, False),
    "while the job of an attempt that timed out is being deleted": (BACKOFF, BACKOFF, True),
    "while its cancelled job is being deleted": (Task(phase=Phase.CANCELLED), Task(phase=Phase.CANCELLED), True),
    "while its service goes on after it was ready": (DONE, DONE, True),
    "while the job of a flow goes on that the spec no longer has": (None, None, True),
    "after the next attempt began, which status does not know": (
        Task(phase=Phase.FAILED, attempt=1),
        Task(phase=Phase.FAILED, attempt=0),
        False,
    ),
}
GIVEN_BACK: dict[str, tuple[Task | None, Task | None, bool]] = {
    "before it has a job": (WAITING, WAITING, False),
    "in Backoff": (BACKOFF, BACKOFF, False),
    "after a success that is recorded": (DONE, DONE, False),
    "after a failure that is recorded": (FAILED, FAILED, False),
    "of a flow that the spec no longer has, without a job": (None, None, False),
}


@pytest.mark.parametrize("given", KEPT.values(), ids=KEPT)
def test_it_keeps_them(given: tuple[Task | None, Task | None, bool]) -> None:
    task, recorded, has_job = given
    assert keeps_locks(task, recorded, has_unfinished_job=has_job)


@pytest.mark.parametrize("given", GIVEN_BACK.values(), ids=GIVEN_BACK)
def test_it_gives_them_back(given: tuple[Task | None, Task | None, bool]) -> None:
    task, recorded, has_job = given
    assert not keeps_locks(task, recorded, has_unfinished_job=has_job)
