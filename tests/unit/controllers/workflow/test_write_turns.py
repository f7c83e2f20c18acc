"""Whose turn it is, and how many calls of slow, new and quick groups run at once."""

from __future__ import annotations

import pytest

from pkg.controllers.workflow.write_turns import SLOW_FOR_SECONDS, SLOW_SECONDS, Tier, Turn, Turns

THREADS, SHARE = 16, 4


def take_all(turns: Turns[str], now: float) -> list[Turn[str]]:
    """Every call that may run now."""
    taken: list[Turn[str]] = []
    while (turn := turns.take(now)) is not None:
        taken.append(turn)
    return taken


def with_waiting(turns: Turns[str], groups: list[str], each: int, now: float = 0.0) -> Turns[str]:
    for number in range(each):
        for group in groups:
            turns.add(group, "w", f"{group}-{number}", now)
    return turns


def answered(turns: Turns[str], group: str, *, began: float, ended: float) -> None:
    """One call of the group was made and answered."""
    turns.add(group, "w", "", began)
    (turn,) = take_all(turns, began)
    turns.finish(group, turn.number, ended)


def new() -> Turns[str]:
    return Turns(THREADS, SHARE)


def names(count: int, prefix: str = "g") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("seconds", "later", "tier"),
    [
        pytest.param(0.1, 0.0, Tier.QUICK, id="quick once it was answered at once"),
        pytest.param(SLOW_SECONDS + 1, 0.0, Tier.SLOW, id="slow once an answer was late"),
        pytest.param(SLOW_SECONDS + 1, SLOW_FOR_SECONDS - 1, Tier.SLOW, id="slow for a minute after that"),
        pytest.param(SLOW_SECONDS + 1, SLOW_FOR_SECONDS + 1, Tier.QUICK, id="quick again after the minute"),
    ],
)
def test_a_group_is(seconds: float, later: float, tier: Tier) -> None:
    turns = new()
    assert turns.tier("g", 0.0) is Tier.NEW
    answered(turns, "g", began=0.0, ended=seconds)
    assert turns.tier("g", seconds + later) is tier


def test_a_quick_answer_does_not_make_a_group_quick_whose_last_one_was_late() -> None:
    turns = new()
    answered(turns, "g", began=0.0, ended=10.0)
    answered(turns, "g", began=10.0, ended=10.1)
    assert turns.tier("g", 10.1) is Tier.SLOW


def test_a_call_that_hangs_makes_its_group_slow_before_it_is_answered() -> None:
    turns = new()
    answered(turns, "g", began=0.0, ended=0.1)
    turns.add("g", "w", "", 1.0)
    turns.take(1.0)
    assert turns.tier("g", 2.0) is Tier.QUICK
    assert turns.tier("g", 1.0 + SLOW_SECONDS + 0.1) is Tier.SLOW


@pytest.mark.parametrize(
    ("groups", "most"),
    [
        pytest.param(1, SHARE, id="one group has its share"),
        pytest.param(3, 9, id="three groups leave some of what is open to new groups"),
        pytest.param(100, 12, id="many new groups have three quarters"),
    ],
)
def test_new_groups_together_have(groups: int, most: int) -> None:
    assert len(take_all(with_waiting(new(), names(groups), 20), 0.0)) == most


def test_many_slow_groups_together_have_half_of_the_threads() -> None:
    turns = new()
    for group in names(30):
        answered(turns, group, began=0.0, ended=10.0)
    assert len(take_all(with_waiting(turns, names(30), 5, now=10.0), 10.0)) == THREADS // 2


def test_new_and_quick_groups_run_beside_many_slow_ones() -> None:
    turns = new()
    for group in names(30):
        answered(turns, group, began=0.0, ended=10.0)
    answered(turns, "quick", began=10.0, ended=10.1)
    take_all(with_waiting(turns, names(30), 5, now=11.0), 11.0)
    with_waiting(turns, ["quick", "new"], 1, now=11.0)
    assert [turn.group for turn in take_all(turns, 11.0)] == ["quick", "new"]


def test_quick_groups_run_beside_many_new_ones_that_hang() -> None:
    turns = new()
    answered(turns, "quick", began=0.0, ended=0.1)
    take_all(with_waiting(turns, names(30), 5, now=1.0), 1.0)
    with_waiting(turns, ["quick"], 2, now=1.0)
    assert [turn.group for turn in take_all(turns, 1.0)] == ["quick", "quick"]


def test_quick_groups_run_beside_many_new_and_slow_ones() -> None:
    turns = new()
    answered(turns, "quick", began=0.0, ended=0.1)
    for group in names(30, "slow"):
        answered(turns, group, began=0.0, ended=10.0)
    take_all(with_waiting(turns, names(30, "new"), 5, now=10.0), 10.0)
    take_all(with_waiting(turns, names(30, "slow"), 5, now=10.0), 10.0)
    with_waiting(turns, ["quick"], 2, now=10.0)
    assert [turn.group for turn in take_all(turns, 10.0)] == ["quick", "quick"]


def test_quick_groups_that_begin_to_hang_leave_room() -> None:
    turns = new()
    for group in [*names(5), "healthy"]:
        answered(turns, group, began=0.0, ended=0.1)
    assert len(take_all(with_waiting(turns, names(5), 20, now=1.0), 1.0)) < THREADS
    with_waiting(turns, ["healthy"], 1, now=1.0)
    assert [turn.group for turn in take_all(turns, 1.0)] == ["healthy"]


def test_waiting_calls_of_a_group_that_turned_slow_meanwhile_count_as_slow() -> None:
    turns = with_waiting(new(), names(20), 3)
    running = take_all(turns, 0.0)
    for turn in running[:4]:
        turns.finish(turn.group, turn.number, 10.0)
    slow = {turn.group for turn in running}
    assert not slow & {turn.group for turn in take_all(turns, 10.0)}  # eight of them hang: the others' turn


def test_calls_that_hang_give_their_places_to_others_while_there_are_spare_threads() -> None:
    turns: Turns[str] = Turns(THREADS, SHARE, spare=THREADS)
    for group in names(THREADS):
        answered(turns, group, began=0.0, ended=0.1)
    assert len(take_all(with_waiting(turns, names(THREADS), 20, now=1.0), 1.0)) == THREADS
    with_waiting(turns, names(3, "new"), 20, now=1.0)
    assert take_all(turns, 1.0) == []
    assert turns.next_change(2.0) == pytest.approx(SLOW_SECONDS - 1.0, abs=0.01)
    assert len(take_all(turns, 4.0)) == 9  # as if nothing hung; and nothing more of the groups that hang


def test_time_alone_makes_no_room_without_spare_threads_or_without_a_call_that_waits() -> None:
    assert with_waiting(new(), ["g"], 1).next_change(0.0) is None
    turns: Turns[str] = Turns(THREADS, SHARE, spare=1)
    take_all(with_waiting(turns, ["g"], 2), 0.0)
    assert turns.next_change(0.0) is None
    turns.add("h", "w", "", 0.0)
    assert turns.next_change(0.0) is not None
    assert turns.next_change(10.0) is None


def test_groups_and_their_owners_take_turns() -> None:
    turns: Turns[str] = Turns(1, 1)
    for group, owner in ("ax", "ax", "ay", "bx", "bx", "cx"):
        turns.add(group, owner, f"{group}{owner}", 0.0)
    order = []
    while (turn := turns.take(0.0)) is not None:
        order.append(turn.call)
        turns.finish(turn.group, turn.number, 0.0)
    assert order == ["ax", "bx", "cx", "ay", "bx", "ax"]


def test_the_next_call_is_delayed_where_it_waits_or_where_the_last_one_was_late() -> None:
    turns = new()
    assert not turns.is_delayed("g", 0.0)
    take_all(with_waiting(turns, ["g"], 5), 0.0)
    assert turns.is_delayed("g", 0.0)
    answered(turns, "h", began=0.0, ended=5.0)
    assert turns.is_delayed("h", 6.0)


def test_groups_that_were_answered_long_ago_are_forgotten() -> None:
    turns = new()
    for group in names(10_000):
        answered(turns, group, began=0.0, ended=0.0)
    assert turns.tier("g0", 0.0) is Tier.NEW
    assert turns.tier("g9999", 0.0) is Tier.QUICK


def test_what_waits_is_returned_when_it_is_cleared() -> None:
    turns = with_waiting(new(), ["a", "b"], 1)
    assert sorted(turns.clear()) == ["a-0", "b-0"]
    assert not turns.may_take(0.0)


@pytest.mark.parametrize(
    ("took", "later", "starts"),
    [
        pytest.param([], 1.0, False, id="a group that nobody knows"),
        pytest.param([0.02], 1.0, True, id="answered at once"),
        pytest.param([0.02, 0.5], 1.0, False, id="not at once the last time"),
        pytest.param([0.5, 0.02], 1.0, True, id="at once again"),
        pytest.param([SLOW_SECONDS + 1], 1.0, False, id="hung a moment ago"),
        pytest.param([SLOW_SECONDS + 1], SLOW_FOR_SECONDS + 9, False, id="hung, and nothing is known since"),
    ],
)
def test_a_call_need_not_wait_if_its_group_was(took: list[float], later: float, starts: bool) -> None:
    turns, now = new(), 0.0
    for seconds in took:
        answered(turns, "g", began=now, ended=now + seconds)
        now += seconds
    assert (turns.start("g", now + later) is not None) is starts
    assert turns.unanswered == int(starts)


def test_a_call_waits_behind_those_that_wait_and_where_its_group_has_no_room() -> None:
    turns = new()
    answered(turns, "g", began=0.0, ended=0.01)
    running = [turns.start("g", 1.0) for _ in range(SHARE)]
    assert turns.start("g", 1.0) is None
    assert running[0] is not None
    turns.finish("g", running[0], 1.01)
    turns.add("h", "w", "h", 1.02)
    assert turns.start("g", 1.02) is None
    assert turns.take(1.02) is not None
    assert turns.start("g", 1.02) is not None


def test_a_group_that_is_quick_again_does_not_wait_for_the_slow_ones() -> None:
    turns, slow = new(), names(THREADS // 2, "slow")
    groups = names(2_000)
    for group in (*groups, *slow):
        answered(turns, group, began=0.0, ended=SLOW_SECONDS + 1)
    with_waiting(turns, slow, 1, now=10.0)
    assert len(take_all(turns, 10.0)) == THREADS // 2, "all places of slow groups are taken"
    with_waiting(turns, groups, 1, now=10.0)
    now = SLOW_SECONDS + 1 + SLOW_FOR_SECONDS + 1
    assert turns.take(now) is not None
