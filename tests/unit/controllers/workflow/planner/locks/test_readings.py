"""When the ConfigMaps of semaphores are read."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.locks.calls import Failed, Limits
from pkg.controllers.workflow.planner.locks.holders import LockAnswer
from pkg.controllers.workflow.planner.locks.readings import FRESH_SECONDS, Readings

A, B = LockName(LockKind.SEMAPHORE, "limits/a"), LockName(LockKind.SEMAPHORE, "limits/b")
MUTEX = LockName(LockKind.MUTEX, "db")


def read(at: float = 100.0) -> Readings:
    readings = Readings()
    assert readings.due([A, B], at) == ["limits"]
    readings.answered("limits", Limits({"a": "2"}), at)
    return readings


def test_a_mutex_has_one_place_and_nothing_to_read() -> None:
    readings = Readings()
    assert readings.due([MUTEX], 100.0) == []
    limit = readings.limit(MUTEX)
    assert limit is not None
    assert limit.places == 1


def test_a_limit_is_not_known_before_it_is_read() -> None:
    readings = Readings()
    assert readings.limit(A) is None
    readings.due([A], 100.0)
    assert readings.limit(A) is None


def test_one_read_serves_all_keys() -> None:
    readings = read()
    a, b = readings.limit(A), readings.limit(B)
    assert a is not None
    assert b is not None
    assert (a.places, b.fault) == (2, "ConfigMap limits has no key b under data; add it, with a whole number")


def test_it_is_read_again_only_while_somebody_waits_and_not_twice_at_once() -> None:
    readings = read()
    assert readings.due([A], 100.0 + FRESH_SECONDS - 1) == []
    assert readings.next_at([A]) == 100.0 + FRESH_SECONDS
    assert readings.next_at([]) is None
    assert readings.due([A], 100.0 + FRESH_SECONDS) == ["limits"]
    assert readings.due([A], 100.0 + FRESH_SECONDS) == []


def test_a_clock_that_was_set_back_does_not_stop_it() -> None:
    assert read().due([A], 50.0) == ["limits"]


def test_a_value_that_nobody_waits_for_is_forgotten() -> None:
    readings = read()
    readings.forget_stale([A], 200.0)
    assert readings.limit(A) is not None
    readings.forget_stale([], 200.0)
    assert readings.limit(A) is None


def test_a_failure_that_passes_changes_nothing_and_a_missing_right_is_a_fault() -> None:
    readings = read()
    words = LockAnswer(Reasons.LOCK_INVALID, "may not read")
    readings.answered("limits", Failed(words), 101.0)
    limit = readings.limit(A)
    assert limit is not None
    assert limit.places == 2
    readings.answered("limits", Failed(words, may_have_worked=False), 102.0)
    limit = readings.limit(A)
    assert limit is not None
    assert limit.fault == "may not read"
