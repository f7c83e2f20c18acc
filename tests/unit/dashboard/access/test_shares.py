"""How much one person may ask."""

from __future__ import annotations

from contextlib import ExitStack
from typing import cast

import pytest

from pkg.dashboard.access.people import Person
from pkg.dashboard.access.shares import AT_ONCE, BURST_SECONDS, Busy, Shares
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError, NotFound, Transient, Unauthorized

ALICE, BOB, NEW = (Person(name, cast("Client", name)) for name in ("alice", "bob", "new"))


class Bench:
    """Shares, and a clock. The API server has accepted the tokens of Alice and Bob."""

    def __init__(self, per_second: float = 2.0, *, is_shared: bool = False) -> None:
        self.now = 1_000.0
        self.shares = Shares(per_second, is_shared=is_shared, clock=lambda: self.now)
        for person in (ALICE, BOB):
            self.shares.accept(person)

    def ask(self, person: Person | None, times: int = 1, error: KubeError | None = None) -> int:
        """How many of so many requests are not refused; the API server answers them, with an error if there is one."""
        for done in range(times):
            try:
                with self.shares.use(person):
                    if error is not None:
                        raise error
            except Busy:
                return done
            except KubeError:
                pass
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
    bench = Bench(1_000.0)
    with ExitStack() as answering:
        for _ in range(AT_ONCE):
            answering.enter_context(bench.shares.use(ALICE))
        said = "16 requests of one person are being answered, and they get no more at a time; ask again in 1 s"
        with pytest.raises(Busy, match=said), bench.shares.use(ALICE):
            pass
        assert bench.ask(BOB, 1_000) == 1_000
    assert bench.ask(ALICE, 1_000) == 1_000


def test_without_a_bound_there_is_none_of_answers_in_the_making_either() -> None:
    bench = Bench(0.0)
    with ExitStack() as answering:
        for person in (ALICE, NEW, None) * 2 * AT_ONCE:
            answering.enter_context(bench.shares.use(person))
        assert [bench.ask(person, 1_000) for person in (ALICE, NEW, None)] == [1_000] * 3


def test_tokens_that_are_made_up_have_one_share_together_and_with_logins() -> None:
    bench = Bench(2.0)
    made_up = [Person(f"p{number}", ALICE.client) for number in range(1_000)]
    asked = sum(bench.ask(person, error=Unauthorized("no", status=401)) for person in made_up)
    assert asked == 2 * BURST_SECONDS
    assert [bench.ask(person) for person in (NEW, None, ALICE)] == [0, 0, 1]
    said = "all who log in or are new here together may ask 2 times a second; ask again in 1 s"
    with pytest.raises(Busy, match=said), bench.shares.use(NEW):
        pass
    bench.now += 1.0
    assert [bench.ask(person) for person in (NEW, None, made_up[0])] == [1, 1, 0]


def test_tokens_that_are_made_up_have_the_places_of_one_person_together() -> None:
    bench = Bench(1_000.0)
    with ExitStack() as answering:
        for number in range(AT_ONCE):
            answering.enter_context(bench.shares.use(Person(f"p{number}", ALICE.client)))
        said = "16 requests of all who log in or are new here together are being answered, and there are no more"
        with pytest.raises(Busy, match=said), bench.shares.use(None):
            pass
        assert [bench.ask(person) for person in (NEW, ALICE)] == [0, 1]
    assert bench.ask(NEW) == 1


@pytest.mark.parametrize(
    ("error", "is_known"),
    [
        (None, True),
        (Forbidden("no", status=403), True),
        (NotFound("no", status=404), True),
        (Unauthorized("no", status=401), False),
        (Transient("down"), False),
    ],
    ids=["an answer", "no right", "nothing there", "no such token", "no API server"],
)
def test_a_token_has_its_own_share_once_the_api_server_has_accepted_it(error: KubeError | None, is_known: bool) -> None:
    bench = Bench(2.0)
    assert bench.ask(NEW, error=error) == 1
    assert bench.ask(None, 100) == 2 * BURST_SECONDS - 1
    assert bench.ask(NEW, 100) == (2 * BURST_SECONDS if is_known else 0)


def test_an_answer_that_failed_is_not_in_the_making_any_more() -> None:
    bench = Bench(1_000.0)
    for _ in range(AT_ONCE + 1):
        with pytest.raises(ZeroDivisionError), bench.shares.use(ALICE):
            raise ZeroDivisionError


def test_where_everybody_is_one_person_nobody_is_bounded_alone() -> None:
    assert Bench(1.0, is_shared=True).ask(ALICE, 1_000) == 1_000


def test_people_who_have_not_asked_for_long_are_forgotten() -> None:
    bench = Bench(0.2)  # one request at once
    assert bench.ask(ALICE, 2) == 1
    for number in range(2_000):
        bench.shares.accept(Person(f"p{number}", ALICE.client))
    assert (bench.ask(ALICE), bench.ask(ALICE)) == (1, 1), "as one who is new, and then with a share of their own"
