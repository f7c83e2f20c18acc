"""Who is next: the order of the waiters of a namespace, against a plain definition of it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.controllers.workflow.planner.locks.holders import Holder
from pkg.controllers.workflow.planner.locks.line import Line, Waiter

A, B, C = (LockName(LockKind.MUTEX, name) for name in "abc")


def waiter(name: str, *locks: LockName, since: float = 0.0, index: int = 0) -> Waiter:
    return Waiter(Holder(f"team/{name}", f"uid-{name}", "f", index), 0, locks, since, (0, index))


def line_of(*waiters: Waiter) -> Line:
    line = Line()
    for one in waiters:
        line.add(one)
    return line


def served(line: Line, free: dict[LockName, int], *locks: LockName) -> list[str]:
    """The names of those who get their locks now, in order; `free` becomes what is left."""
    found = []
    due = list(locks) or list(line.locks())
    while (one := line.next(due, lambda lock: free.get(lock, 0))) is not None:
        line.remove(one.holder)
        for lock in one.locks:
            free[lock] -= 1
        due += one.locks
        found.append(one.holder.key.removeprefix("team/"))
    return found


ORDERS: dict[str, tuple[list[Waiter], dict[LockName, int], list[str]]] = {
    "who began first is next": (
        [waiter("late", A, since=2), waiter("early", A, since=1)],
        {A: 1},
        ["early"],
    ),
    "of those who began together, the name decides, then the index": (
        [waiter("y", A), waiter("x", A, index=1), waiter("x", A, index=0)],
        {A: 2},
        ["x", "x"],
    ),
    "a semaphore serves as many as it has places": (
        [waiter("x", A, since=1), waiter("y", A, since=2), waiter("z", A, since=3)],
        {A: 2},
        ["x", "y"],
    ),
    "nobody gets one lock of two": ([waiter("x", A, B)], {A: 1, B: 0}, []),
    "a later one does not pass an earlier one that waits for another lock": (
        [waiter("x", A, B, since=1), waiter("y", A, since=2)],
        {A: 1, B: 0},
        [],
    ),
    "a later one with other locks goes on": (
        [waiter("x", A, B, since=1), waiter("y", C, since=2)],
        {A: 1, B: 0, C: 1},
        ["y"],
    ),
    "an earlier one who is behind somebody holds up those behind it": (
        [waiter("x", A, since=1), waiter("y", A, B, since=2), waiter("z", B, since=3)],
        {A: 0, B: 1},
        [],
    ),
    "all are served once the locks are free": (
        [waiter("x", A, B, since=1), waiter("y", B, C, since=2), waiter("z", C, since=3)],
        {A: 1, B: 2, C: 2},
        ["x", "y", "z"],
    ),
}


@pytest.mark.parametrize(("waiters", "free", "expected"), ORDERS.values(), ids=ORDERS)
def test_the_order(waiters: list[Waiter], free: dict[LockName, int], expected: list[str]) -> None:
    for order in itertools.permutations(waiters):
        assert served(line_of(*order), dict(free)) == expected


def test_only_the_first_of_the_freed_lock_is_next() -> None:
    line = line_of(*(waiter(f"w{n}", A, since=n) for n in range(5)), waiter("other", B))
    assert served(line, {A: 1, B: 1}, A) == ["w0"]
    assert len(line) == 5


def test_who_leaves_the_line_holds_up_nobody() -> None:
    first, second = waiter("x", A, B, since=1), waiter("y", A, since=2)
    line = line_of(first, second)
    assert line.remove(first.holder) == first
    assert line.remove(first.holder) is None
    assert served(line, {A: 1}) == ["y"]


def test_who_comes_again_has_its_new_place() -> None:
    line = line_of(waiter("x", A, since=1), waiter("y", A, since=2))
    line.add(waiter("x", A, since=3))
    assert served(line, {A: 2}) == ["y", "x"]
    assert not list(line.locks())


def test_who_waits_for_a_lock_that_is_shut_holds_up_nobody_and_keeps_its_place() -> None:
    line = line_of(waiter("x", A, B, since=1), waiter("y", A, since=2), waiter("z", A, since=3))
    line.shut(B)
    assert line.is_shut(B)
    assert served(line, {A: 1, B: 1}) == ["y"]
    line.open(B)
    assert served(line, {A: 1, B: 1}) == ["x"]


def test_who_comes_while_a_lock_is_shut_stands_aside_too() -> None:
    line = Line()
    line.shut(A)
    line.shut(B)
    line.add(waiter("x", A, B))
    line.open(A)
    assert served(line, {A: 1, B: 1}) == []
    line.open(B)
    assert served(line, {A: 1, B: 1}) == ["x"]


def test_coming_and_going_takes_no_memory() -> None:
    line = line_of(waiter("first", A, since=0))
    for since in range(1, 1_000):
        line.add(waiter("x", A, since=since))
    assert len(line._by_lock[A]) < 200
    assert served(line, {A: 2}) == ["first", "x"]


def plainly(waiters: list[Waiter], free: dict[LockName, int]) -> list[Holder]:
    """The definition: in their order, each takes all of its locks, or keeps all behind it from them."""
    left, barred, found = dict(free), set[LockName](), list[Holder]()
    for one in sorted(waiters, key=lambda each: each.order):
        if all(left[lock] > 0 and lock not in barred for lock in one.locks):
            found.append(one.holder)
            for lock in one.locks:
                left[lock] -= 1
        else:
            barred |= set(one.locks)
    return found


LOCKS = st.sets(st.sampled_from([A, B, C]), min_size=1).map(lambda found: tuple(sorted(found)))
WAITERS = st.lists(st.tuples(LOCKS, st.integers(0, 3), st.booleans()), max_size=9)
FREE = st.fixed_dictionaries({lock: st.integers(0, 3) for lock in (A, B, C)})


@given(WAITERS, FREE, st.sets(st.sampled_from([A, B, C])))
def test_the_order_is_the_plain_one(
    drawn: list[tuple[tuple[LockName, ...], int, bool]], free: dict[LockName, int], shut: set[LockName]
) -> None:
    made = [(waiter(f"w{n}", *locks, since=since), leaves) for n, (locks, since, leaves) in enumerate(drawn)]
    line = line_of(*(one for one, _ in made))
    for lock in shut:
        line.shut(lock)
    for one, leaves in made:
        if leaves:
            line.remove(one.holder)
    stay = [one for one, leaves in made if not leaves and shut.isdisjoint(one.locks)]
    expected = plainly(stay, free)
    left, found = dict(free), []
    due = list(free)
    while (first := line.next(due, lambda lock: left[lock])) is not None:
        line.remove(first.holder)
        found.append(first.holder)
        for lock in first.locks:
            left[lock] -= 1
        due += first.locks
    assert set(found) == set(expected)
    for lock in shut:
        line.open(lock)
    assert len(line) == sum(not leaves for _, leaves in made) - len(found)
