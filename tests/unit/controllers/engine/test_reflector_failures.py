"""What a reflector does about tries that fail in a row."""

from __future__ import annotations

import random

import pytest
import structlog
from structlog.testing import capture_logs

from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.reflector_failures import Failures
from pkg.controllers.engine.reflector_options import Timing
from pkg.kube.errors import KubeError, Throttled, Transient


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def failures_of(clock: Clock | None = None) -> Failures:
    timing = Timing(
        failing=Backoff(base=1.0, cap=8.0, jitter=0.0),
        waiting=Backoff(base=0.5, cap=2.0, jitter=0.0),
        rng=random.Random(1),
        clock=clock or Clock(),
    )
    return Failures(timing, structlog.get_logger("test"))


def test_pauses_grow_until_something_works() -> None:
    failures = failures_of()
    assert [failures.failed() for _ in range(5)] == [1.0, 2.0, 4.0, 8.0, 8.0]
    failures.watched()
    assert failures.failed() == 1.0
    failures.settled()
    assert failures.failed() == 1.0


def test_the_server_may_ask_for_a_longer_pause_up_to_the_limit() -> None:
    failures = failures_of()
    assert failures.failed(Throttled("slow down", retry_after=3.0)) == 3.0
    assert failures.failed(Throttled("slow down", retry_after=300.0)) == 8.0
    assert failures.failed(Throttled("slow down", retry_after=0.1)) == 4.0


@pytest.mark.parametrize(
    ("errors", "announced"),
    [
        (["boom"], ["boom"]),
        (["boom", "boom", "boom"], ["boom"]),
        (["boom", "bang"], ["boom"]),
        (["boom", "bang", "bang"], ["boom", "bang"]),
        (["boom", "bang", "boom", "bang"], ["boom"]),
    ],
)
def test_another_error_is_announced_once_it_came_twice(errors: list[str], announced: list[str]) -> None:
    failures = failures_of()
    said = [text for text in errors if failures.takes(Transient(text))]
    assert said == announced
    assert failures.trouble == announced[-1]
    failures.listed()
    assert failures.trouble == ""


def test_lists_that_fail_three_times_are_trouble() -> None:
    failures = failures_of()
    found = []
    for _ in range(3):
        failures.failed()
        found.append(failures.is_trouble)
    assert found == [False, False, True]


def test_watches_that_end_with_an_error_three_times_cannot_be_resumed() -> None:
    failures = failures_of()
    for _ in range(3):
        assert not failures.is_stuck
        failures.stalled()
    assert failures.is_stuck
    failures.relists()
    assert not failures.is_stuck


def test_a_kind_that_is_absent_for_a_second_may_be_gone() -> None:
    clock = Clock()
    failures = failures_of(clock)
    assert (failures.absent(), failures.is_gone) == (0.5, False)
    clock.now += 0.5
    assert (failures.absent(), failures.is_gone) == (1.0, False), "twice, but for a moment"
    clock.now += 0.6
    assert (failures.absent(), failures.is_gone) == (2.0, True)
    failures.present()
    assert not failures.is_gone
    assert failures.absent() == 0.5


def test_a_failure_is_a_warning_once() -> None:
    failures = failures_of()
    with capture_logs() as lines:
        for text in ("boom", "boom", "bang"):
            failures.log_once("list failed", KubeError(text))
        failures.listed()
        failures.log_once("list failed", KubeError("bang"))
    assert [line["log_level"] for line in lines] == ["warning", "debug", "warning", "warning"]
