"""The judge finds each fault: a verdict that is always clean would prove nothing."""

from __future__ import annotations

import pytest

from hack.faults import load
from hack.faults.judge import Call, Verdict, judge
from hack.faults.load import Attempt

NAME = load.names(1)[0]
TASKS = {name: attempt for name, attempt in load.attempts_of(NAME) if attempt.number == 0}
ENDED = {"metadata": {"name": NAME}, "status": {"phase": "Failed" if load.is_cursed(NAME) else "Succeeded"}}


def made(name: str) -> Call:
    return Call(1.0, 1.1, "create", "faultjobs", name)


def verdict(workflows: list[load.Object], calls: list[Call], seen: dict[Attempt, set[str]] | None = None) -> Verdict:
    return judge(Verdict("test", 1), workflows, seen or {}, calls, load.FAULT_JOBS)


ONCE = [made(name) for name in TASKS]


def test_one_job_for_each_task_and_an_end_is_clean() -> None:
    found = verdict([ENDED], ONCE)
    assert found.is_clean, found.faults()
    assert found.jobs == load.TASKS


@pytest.mark.parametrize(
    ("field", "workflows", "calls"),
    [
        pytest.param("lost", [], ONCE, id="a workflow that is not there is lost"),
        pytest.param("lost", [{"metadata": {"name": NAME}}], ONCE, id="a workflow that nobody looked at is lost"),
        pytest.param(
            "not_ended", [{**ENDED, "status": {"phase": "Running"}}], ONCE, id="a workflow that runs has not ended"
        ),
        pytest.param(
            "wrong", [{**ENDED, "status": {"phase": "Suspended"}}], [*ONCE, made("x")], id="a stranger's job is wrong"
        ),
        pytest.param("wrong", [ENDED], ONCE[1:], id="a task that had no job is wrong"),
        pytest.param("wrong", [ENDED], [*ONCE, made(f"{NAME}-audit-r2")], id="an attempt without the one before it"),
        pytest.param("twice", [ENDED], [*ONCE, ONCE[3]], id="two creations of one attempt are seen in the audit log"),
    ],
)
def test_each_fault_has_its_column(field: str, workflows: list[load.Object], calls: list[Call]) -> None:
    assert getattr(verdict(workflows, calls), field)


def test_two_uids_of_one_attempt_are_seen_by_the_watch_alone() -> None:
    seen = {Attempt(NAME, "audit", 0, 0): {"uid-1", "uid-2"}}
    assert verdict([ENDED], ONCE, seen).twice == [f"{Attempt(NAME, 'audit', 0, 0)}: 2 jobs"]
