"""The judges of locks and schedules: they find each fault, and none where all is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from hack.cluster.api import Api
from hack.faults.load import Attempt, Object, locks_of
from hack.faults.lock_evidence import LockEvidence, leaked
from hack.faults.schedules import ScheduleEvidence, is_run

#: Two workflows whose tasks `audit` share a mutex.
FIRST, SECOND = (
    "w000",
    next(
        f"w{number:03d}"
        for number in range(1, 1_000)
        if locks_of(f"w{number:03d}", "audit") == locks_of("w000", "audit")
    ),
)


def job(uid: str, version: int, phase: str = "") -> Object:
    return {"metadata": {"uid": uid, "resourceVersion": str(version)}, "status": {"phase": phase}}


def seen(*changes: tuple[str, str, int, str], flow: str = "audit") -> list[str]:
    """What is found after these changes: workflow, event, version and phase."""
    evidence = LockEvidence()
    for workflow, event, version, phase in changes:
        evidence.see(event, Attempt(workflow, flow, 0, 0), job(workflow, version, phase))
    return evidence.faults()


@pytest.mark.parametrize(
    ("changes", "is_found"),
    [
        pytest.param(
            [(FIRST, "ADDED", 1, ""), (FIRST, "MODIFIED", 2, "Succeeded"), (SECOND, "ADDED", 3, "")],
            False,
            id="one after the other",
        ),
        pytest.param(
            [(FIRST, "ADDED", 1, ""), (FIRST, "DELETED", 2, ""), (SECOND, "ADDED", 3, "")], False, id="one is deleted"
        ),
        pytest.param(
            [(FIRST, "ADDED", 1, ""), (SECOND, "ADDED", 2, ""), (FIRST, "MODIFIED", 3, "Failed")], True, id="both live"
        ),
        pytest.param([(FIRST, "ADDED", 1, ""), (SECOND, "ADDED", 2, "")], False, id="an end that nobody saw"),
    ],
)
def test_two_jobs_under_one_mutex(changes: list[tuple[str, str, int, str]], is_found: bool) -> None:
    assert bool(seen(*changes)) is is_found


def test_a_flow_without_locks_is_not_judged() -> None:
    both = [(FIRST, "ADDED", 1, ""), (SECOND, "ADDED", 2, ""), (FIRST, "MODIFIED", 3, "Failed")]
    assert seen(*both, flow="prepare") == []


class Leases:
    """What is held, look by look; None: the API server does not answer."""

    def __init__(self, *looks: tuple[str, ...] | None) -> None:
        self.looks = list(looks)

    def request(self, *_args: Any, **_more: Any) -> bytes:
        look = self.looks.pop(0)
        if look is None:
            raise TimeoutError("busy")
        items = ", ".join(f'{{"spec": {{"holderIdentity": "{name}"}}}}' for name in look)
        return f'{{"items": [{items}]}}'.encode()


def three_looks(fact: Callable[[], bool], _seconds: float) -> bool:
    return any(fact() for _ in range(3))


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([("w/a",), (), ()], [], id="given back in time"),
        pytest.param([None, None, ()], [], id="an API server that is busy at first"),
        pytest.param([("w/a",)] * 3, ["a place of a lock is still held by w/a"], id="a leak"),
    ],
)
def test_locks_that_are_left(looks: list[tuple[str, ...] | None], expected: list[str]) -> None:
    assert leaked(cast(Api, Leases(*looks)), "n", three_looks, 1.0) == expected


def run(minute: int, uid: str = "u") -> Object:
    return {"metadata": {"name": f"minutely-0-{minute}", "uid": f"{uid}-{minute}"}}


@pytest.mark.parametrize(
    ("events", "words"),
    [
        pytest.param([("ADDED", run(2)), ("ADDED", run(3)), ("MODIFIED", run(3))], "", id="each minute has its run"),
        pytest.param([("ADDED", run(3))], "minutely-0-2 was not made", id="a minute without a run"),
        pytest.param(
            [("ADDED", run(2)), ("ADDED", run(3)), ("ADDED", run(3, "v"))], "minutely-0-3 was made 2 times", id="twice"
        ),
        pytest.param(
            [("ADDED", run(2)), ("ADDED", run(3)), ("DELETED", run(3))], "minutely-0-3 has gone", id="one that went"
        ),
    ],
)
def test_runs_of_each_minute(events: list[tuple[str, Object]], words: str) -> None:
    evidence = ScheduleEvidence()
    for event, one in events:
        assert is_run(one["metadata"]["name"])
        evidence.see(event, one)
    found = evidence.faults({"minutely-0": 90.0}, until=200.0)
    assert found == ([f"schedule: {words}"] if words else [])
