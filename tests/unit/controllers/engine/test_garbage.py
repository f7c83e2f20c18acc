"""The policy on the real collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from pkg.controllers.engine.garbage import THRESHOLDS, GarbagePolicy


class Node:
    """In a cycle with itself."""

    def __init__(self) -> None:
        self.itself = self


class Setup:
    def __init__(self) -> None:
        self.now = 0.0
        self.policy = GarbagePolicy(full_seconds=60.0, clock=lambda: self.now)


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    made.policy.install()
    yield made
    made.policy.remove()


def test_what_survived_a_collection_is_left_out_of_the_next(setup: Setup) -> None:
    frozen = gc.get_freeze_count()
    kept = [Node() for _ in range(1000)]
    gc.collect()
    assert gc.get_freeze_count() >= frozen + len(kept)


def test_a_collection_of_the_young_changes_nothing(setup: Setup) -> None:
    frozen = gc.get_freeze_count()
    kept = [Node() for _ in range(1000)]
    gc.collect(0)
    gc.collect(1)
    assert gc.get_freeze_count() <= frozen
    assert kept


def test_new_cycles_are_collected(setup: Setup) -> None:
    node = weakref.ref(Node())
    gc.collect()
    assert node() is None


def test_old_cycles_are_collected_when_it_is_time_for_everything(setup: Setup) -> None:
    node = Node()
    found = weakref.ref(node)
    gc.collect()
    del node
    gc.collect()
    assert found() is not None, "it is left out"
    setup.now = 60.0
    gc.collect()
    assert found() is None


def test_the_thresholds_are_those_of_the_policy_until_it_is_removed(setup: Setup) -> None:
    assert gc.get_threshold() == THRESHOLDS
    setup.policy.remove()
    assert gc.get_threshold() != THRESHOLDS
    setup.policy.install()
