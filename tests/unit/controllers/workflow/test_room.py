"""Who may create jobs now, and who is called when there is room again."""

from __future__ import annotations

import pytest

from pkg.controllers.workflow.room import MAX_BYTES, MAX_CREATIONS, TURN, Room


class Calls:
    """A room of ten creations and a thousand bytes, and the keys that it has called."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.room = Room(self.called.append, creations=10, size=1000)

    def reconcile(self, key: str, creations: int = 0) -> int | None:
        """One reconcile that creates so many jobs in its turn, and waits again if it may create none."""
        with self.room.reconciling(key):
            turn = self.room.turn(key)
            if turn == 0:
                self.room.wait(key)
            elif creations:
                self.room.take(key.partition("/")[0], creations, 0)
        return turn


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_without_creations_in_flight_every_workflow_may_create_as_many_as_one_pass_may(calls: Calls) -> None:
    assert calls.room.turn("a/w") is None
    assert not calls.room.wait("a/w")


@pytest.mark.parametrize(
    ("creations", "size"),
    [pytest.param(10, 0, id="as many creations as fit"), pytest.param(1, 1000, id="as many bytes as fit")],
)
def test_a_namespace_without_room_creates_nothing_and_others_do(calls: Calls, creations: int, size: int) -> None:
    calls.room.take("a", creations, size)
    assert calls.room.turn("a/w") == 0
    assert calls.room.turn("b/w") is None
    calls.room.give_back("a", creations, size)
    assert calls.room.turn("a/w") is None


def test_those_that_wait_are_called_in_their_order_once_there_is_room(calls: Calls) -> None:
    calls.room.take("a", 10, 0)
    assert [calls.room.wait(f"a/{name}") for name in "xyx"] == [True, True, True]
    assert calls.called == []
    calls.room.give_back("a", 1, 0)
    assert calls.called == ["a/x", "a/y"]


def test_while_others_wait_a_turn_is_short_and_only_for_who_is_called(calls: Calls) -> None:
    calls.room.take("a", 10, 0)
    for number in range(20):
        calls.room.wait(f"a/w{number}")
    calls.room.give_back("a", 10, 0)
    assert calls.called == [f"a/w{number}" for number in range(8)]
    assert calls.reconcile("a/late", 1) == 0
    assert calls.reconcile("a/w0", 1) == TURN


def test_a_called_workflow_that_creates_nothing_makes_way_for_the_next(calls: Calls) -> None:
    calls.room.take("a", 10, 0)
    for number in range(20):
        calls.room.wait(f"a/w{number}")
    calls.room.give_back("a", 10, 0)
    for key in calls.called:  # grows meanwhile
        calls.reconcile(key)
    assert calls.called == [f"a/w{number}" for number in range(20)]
    assert calls.room.waiting("a") == 0


def test_a_turn_is_over_with_its_reconcile(calls: Calls) -> None:
    calls.room.take("a", 10, 0)
    calls.room.wait("a/w")
    calls.room.give_back("a", 10, 0)
    assert calls.reconcile("a/w", 10) is None
    assert calls.reconcile("a/w") == 0


def test_a_reconcile_that_fails_ends_its_turn_too(calls: Calls) -> None:
    calls.room.take("a", 10, 0)
    for number in range(9):
        calls.room.wait(f"a/w{number}")
    calls.room.give_back("a", 10, 0)
    with pytest.raises(ZeroDivisionError), calls.room.reconciling("a/w0"):
        raise ZeroDivisionError
    assert calls.called[-1] == "a/w8"


def test_a_workflow_that_is_called_while_it_is_reconciled_has_its_turn_afterwards(calls: Calls) -> None:
    calls.room.take("a", 10, 0)
    with calls.room.reconciling("a/w"):
        calls.room.wait("a/w")
        calls.room.give_back("a", 10, 0)
        calls.room.take("a", 10, 0)
        assert calls.called == ["a/w"]
        assert calls.room.turn("a/w") == 0
    assert calls.reconcile("a/w") is None


def test_nothing_is_kept_of_a_namespace_that_is_done(calls: Calls) -> None:
    calls.room.take("a", 10, 0)
    calls.room.wait("a/w")
    calls.room.give_back("a", 10, 0)
    calls.reconcile("a/w")
    assert calls.room._lines == {}


def test_a_busy_workflow_has_room_for_many_passes() -> None:
    room = Room(lambda _key: None)
    room.take("a", MAX_CREATIONS - 1, MAX_BYTES - 1)
    assert room.turn("a/w") is None
