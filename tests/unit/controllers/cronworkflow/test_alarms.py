"""One timer for all alarms, by a clock that may be set."""

from __future__ import annotations

import threading

from pkg.controllers.cronworkflow.alarms import Alarms


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def alarms() -> tuple[Alarms, Clock]:
    clock = Clock()
    return Alarms(lambda _key: None, clock), clock


def test_alarms_are_due_in_the_order_of_their_times() -> None:
    made, clock = alarms()
    for key, at in (("a", 1_030.0), ("b", 1_010.0), ("c", 1_020.0)):
        made.set(key, at)
    assert made.take_due() == []
    clock.now = 1_020.0
    assert made.take_due() == ["b", "c"]
    assert len(made) == 1


def test_the_newest_time_of_a_key_counts() -> None:
    made, clock = alarms()
    made.set("a", 1_010.0)
    made.set("a", 1_050.0)
    clock.now = 1_020.0
    assert made.take_due() == []
    made.set("a", 1_015.0)
    assert made.take_due() == ["a"]
    assert made.take_due() == []


def test_an_alarm_can_be_taken_back() -> None:
    made, clock = alarms()
    made.set("a", 1_010.0)
    made.set("a", None)
    clock.now = 2_000.0
    assert made.take_due() == []


def test_a_clock_that_is_set_forward_makes_alarms_due_at_once() -> None:
    made, clock = alarms()
    made.set("a", 90_000.0)
    clock.now = 90_000.0
    assert made.take_due() == ["a"]


def test_ten_thousand_keys_that_are_set_again_and_again_stay_ten_thousand_entries() -> None:
    made, _ = alarms()
    for turn in range(5):
        for number in range(10_000):
            made.set(f"n/{number}", 2_000.0 + turn)
    assert len(made) == 10_000
    assert len(made._heap) <= 20_064


def test_all_alarms_ring_in_one_thread() -> None:
    clock, rung, done = Clock(), list[str](), threading.Event()
    names: set[str] = set()

    def ring(key: str) -> None:
        rung.append(key)
        names.add(threading.current_thread().name)
        if len(rung) == 100:
            done.set()

    made = Alarms(ring, clock)
    made.start()
    try:
        for number in range(100):
            made.set(f"n/{number}", 999.0)
        assert done.wait(30)
        assert names == {"cron-alarms"}
    finally:
        made.stop()
        made.thread.join(30)
    assert not made.thread.is_alive()
