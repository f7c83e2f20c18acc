"""How much one person may ask."""

from __future__ import annotations

from contextlib import ExitStack
from typing import cast

import pytest

from pkg.dashboard.access.people import Person
from pkg.dashboard.access.shares import AT_ONCE, BURST_SECONDS, Busy, Shares
from pkg.kube.client import Client

ALICE, BOB = (Person(name, cast("Client", name)) for name in ("alice", "bob"))


class Bench:
    """Shares, and a clock."""

    def __init__(self, per_second: float = 2.0, *, is_shared: bool = False) -> None:
        self.now = 1_000.0
        self.shares = Shares(per_second, is_shared=is_shared, clock=lambda: self.now)

    def ask(self, person: Person, times: int = 1) -> int:
        """How many of so many requests are answered."""
        for done in range(times):
            try:
                with self.shares.use(person):
                    pass
            except Busy:
                return done
        return times


def test_requests_may_come_together_and_then_only_as_fast_as_is_allowed() -> None:
    bench = Bench()
    assert bench.ask(ALICE, 100) == 2 * BURST_SECONDS
    assert bench.ask(BOB, 100) == 2 * BURST_SECONDS
    for _ in range(10):
        bench.now += 1.0
        assert bench.ask(ALICE, 100) == 2
    bench.now += 3_600.0
    assert bench.ask(ALICE, 100) == 2 * BURST_SECONDS


@pytest.mark.parametrize(("per_second", "after"), [(20.0, 1), (0.2, 5)])
def test_it_is_said_when_to_ask_again(per_second: float, after: int) -> None:
    bench = Bench(per_second)
    bench.ask(ALICE, 1_000)
    said = f"one person may ask {per_second:g} times a second; ask again in {after} s"
    with pytest.raises(Busy, match=said) as busy, bench.shares.use(ALICE):
        pass
    assert busy.value.after == after
    bench.now += after
    assert bench.ask(ALICE)


def test_one_person_has_so_many_answers_in_the_making_and_others_have_theirs() -> None:
    bench = Bench(0.0)
    with ExitStack() as answering:
        for _ in range(AT_ONCE):
            answering.enter_context(bench.shares.use(ALICE))
        assert (bench.ask(ALICE), bench.ask(BOB, 1_000)) == (0, 1_000)
    assert bench.ask(ALICE, 1_000) == 1_000


def test_an_answer_that_failed_is_not_in_the_making_any_more() -> None:
    bench = Bench(0.0)
    for _ in range(AT_ONCE + 1):
        with pytest.raises(ZeroDivisionError), bench.shares.use(ALICE):
            raise ZeroDivisionError


def test_where_everybody_is_one_person_nobody_is_bounded_alone() -> None:
    assert Bench(1.0, is_shared=True).ask(ALICE, 1_000) == 1_000


def test_people_who_have_not_asked_for_long_are_forgotten() -> None:
    bench = Bench(0.2)  # one request at once
    assert bench.ask(ALICE, 2) == 1
    for number in range(2_000):
        bench.ask(Person(f"p{number}", ALICE.client))
    assert bench.ask(ALICE) == 1
