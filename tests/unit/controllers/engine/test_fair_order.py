"""Which group's item is next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.controllers.engine.fair_order import FairOrder


def popped(order: FairOrder[str], costs: dict[str, float], *, limit: int = 1000) -> str:
    """What comes out, as the first letter of each item; each costs its group as much as `costs` says."""
    found: list[str] = []
    while len(found) < limit and (item := order.pop()) is not None:
        found.append(item[0])
        order.charge(item[0], costs.get(item[0], 1.0))
    return "".join(found)


@pytest.mark.parametrize(
    ("pushed", "costs", "expected"),
    [
        pytest.param("", {}, "", id="nothing is ready"),
        pytest.param("abc", {}, "abc", id="one item each: in the order in which they came"),
        pytest.param("aaabb", {}, "ababa", id="groups take turns"),
        pytest.param("aaaab", {}, "abaaa", id="a group with one item does not wait for a group with many"),
        pytest.param("aaaabbbb", {"a": 9.0}, "abbbbaaa", id="a group whose items cost more runs less often"),
        pytest.param("aabb", {"a": 0.0, "b": 0.0}, "abab", id="what costs nothing takes turns, too"),
    ],
)
def test_order(pushed: str, costs: dict[str, float], expected: str) -> None:
    order: FairOrder[str] = FairOrder()
    for number, group in enumerate(pushed):
        order.push(group, f"{group}{number}")
    assert len(order) == len(pushed)
    assert popped(order, costs) == expected
    assert (len(order), order.groups) == (0, 0)


def test_inside_a_group_the_first_comes_first() -> None:
    order: FairOrder[str] = FairOrder()
    for item in ("a1", "a2", "a3"):
        order.push("a", item)
    assert [order.pop(), order.pop(), order.pop(), order.pop()] == ["a1", "a2", "a3", None]


def test_a_group_that_had_nothing_to_run_has_no_credit() -> None:
    order: FairOrder[str] = FairOrder()
    for _ in range(100):
        order.push("a", "a")
    popped(order, {}, limit=50)
    for _ in range(50):
        order.push("b", "b")
    assert popped(order, {}, limit=20) == "ba" * 10


def test_what_a_group_has_had_counts_when_it_comes_back() -> None:
    order: FairOrder[str] = FairOrder()
    order.push("a", "a")
    assert order.pop() == "a"
    order.charge("a", 3.0)
    for group in "aabbbb":
        order.push(group, group)
    assert popped(order, {}) == "bbbaba"


def test_ready_items_are_counted_by_group() -> None:
    order: FairOrder[str] = FairOrder()
    for group in "aab":
        order.push(group, group)
    assert (order.count("a"), order.count("b"), order.count("c"), order.groups) == (2, 1, 0, 2)


def test_groups_that_are_done_leave_the_books() -> None:
    order: FairOrder[str] = FairOrder()
    for number in range(10_000):
        order.push(f"group-{number}", "item")
        order.pop()
        order.charge(f"group-{number}", 1.0)
        order.push("busy", "item")
        order.pop()
        order.charge("busy", 1.0)
    assert len(order._times) < 1000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.001, 1.0)), max_size=200))
def test_groups_with_items_get_the_same_share(items: list[tuple[str, float]]) -> None:
    """While two groups both have items, what they have cost differs by at most one item of each."""
    order: FairOrder[tuple[str, float]] = FairOrder()
    for pushed in items:
        order.push(pushed[0], pushed)
    used = dict.fromkeys("abc", 0.0)
    while (item := order.pop()) is not None:
        group, cost = item
        used[group] += cost
        order.charge(group, cost)
        busy = [used[other] for other in "abc" if order.count(other)]
        assert not busy or max(busy) - min(busy) <= 1.0
    assert len(order) == 0


def test_items_of_held_groups_are_passed_by_and_keep_their_turn() -> None:
    order: FairOrder[str] = FairOrder()
    for item in ("a0", "b0", "a1", "c0"):
        order.push(item[0], item)
    assert order.pop(lambda group: group in "ab") == "c0"
    assert order.pop(lambda group: group in "ab") is None
    assert sorted(order.names()) == ["a", "b"]
    assert popped(order, {}) == "aba"
