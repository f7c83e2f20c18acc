"""Two controllers that act at the same time never let two have jobs under one lock, however old their caches are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1.locks import LockName
from tests.property.two_controllers import Flow, M, N, S, World

EXAMPLES = 3 * settings().max_examples
pytestmark = pytest.mark.timeout(max(300, EXAMPLES // 3))
ACTS = [
    *(
        "plan",
        "plan",
        "plan",
        "reconcile",
        "reconcile",
        "answer",
        "answer",
        "answer",
        "arrive",
        "arrive",
        "leases",
        "leases",
        "jobs",
    ),
    *("flows", "flows", "tick", "end", "end", "suspend", "wait", "lose the answer", "crash", "late"),
]
LOCKS = st.sampled_from([(M,), (M,), (M, S), (M, N), (S,)])
STEPS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(ACTS), st.integers(0, 3)), min_size=40, max_size=200)


@settings(max_examples=EXAMPLES)
@given(st.lists(LOCKS, min_size=2, max_size=3), st.integers(1, 2), STEPS, st.booleans())
def test_no_two_have_jobs_under_one_lock_and_everybody_ends(
    locks: list[tuple[LockName, ...]], attempts: int, steps: list[tuple[int, str, int]], is_elected: bool
) -> None:
    flows = [Flow(f"w{number}", each, total=attempts) for number, each in enumerate(locks)]
    world = World(flows, is_elected=is_elected)
    for who, what, number in steps:
        world.act(who, what, number)
    world.finish()


def granted(*, is_elected: bool = False) -> World:
    """Two tasks want one mutex. The first controller has it for `w0`, and has not made the job."""
    world = World([Flow("w0", (M,)), Flow("w1", (M,))], is_elected=is_elected)
    for number in range(2):
        world.act(0, "reconcile", number)
    world.act(0, "answer", 0)
    return world


def suspended(world: World, who: int) -> None:
    """A person suspends `w0`, and this controller alone sees that. It plans both tasks, and does what comes of it."""
    world.act(0, "suspend", 0)
    for resource in ("leases", "flows"):
        world.controllers[who].catch_up(resource, 100, world.now)
    for _ in range(3):
        for number in range(2):
            world.act(who, "reconcile", number)
        while world.controllers[who].calls:
            world.act(who, "answer", 0)
        world.act(who, "tick", 0)


def jobs(world: World) -> list[str]:
    return sorted(world.server.jobs)


def test_a_lease_by_which_another_controller_is_about_to_make_a_job_is_not_deleted() -> None:
    world = granted()
    suspended(world, 1)
    world.act(0, "reconcile", 0)
    world.act(0, "arrive", 0)
    assert jobs(world) == ["w0/0"]
    suspended(world, 1)
    world.act(1, "wait", 3)
    suspended(world, 1)
    assert jobs(world) == ["w0/0"]
    world.finish()


def test_a_controller_makes_no_job_by_a_lease_that_was_acknowledged_long_ago() -> None:
    world = granted()
    for _ in range(6):
        world.act(1, "wait", 3)
        suspended(world, 1)
        world.act(0, "suspend", 0)
    suspended(world, 1)
    for _ in range(4):
        world.act(1, "reconcile", 1)
        world.act(1, "arrive", 0)
    assert jobs(world) == ["w1/0"]
    world.act(0, "reconcile", 0)
    assert world.controllers[0].posts == []
    world.finish()


def test_a_job_that_no_cache_shows_yet_keeps_its_lease() -> None:
    world = granted()
    suspended(world, 1)
    world.act(0, "reconcile", 0)
    world.act(0, "arrive", 0)
    for _ in range(4):
        world.act(1, "wait", 3)
        for _ in range(3):
            world.act(1, "tick", 0)
            world.act(1, "answer", 0)
            world.act(1, "reconcile", 1)
            world.act(1, "arrive", 0)
    assert jobs(world) == ["w0/0"]
    world.finish()


def test_what_a_leader_sent_before_it_was_stopped_arrives_before_its_lease_is_deleted() -> None:
    world = granted(is_elected=True)
    world.act(0, "reconcile", 0)
    world.crash(0)
    suspended(world, 0)
    world.act(0, "reconcile", 1)
    assert world.dead[0].posts
    world.dead[0].arrive(0, world.now)
    for _ in range(3):
        world.act(0, "wait", 3)
        suspended(world, 0)
        world.act(0, "suspend", 0)
    assert jobs(world) == ["w0/0"]
    world.finish()
