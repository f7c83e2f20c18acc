"""One item of each owner in turn."""

from __future__ import annotations

import pytest

from pkg.controllers.engine.rotation import Rotation


def rotation_of(*items: str) -> Rotation[str]:
    """Items such as a1: the second of owner a."""
    made: Rotation[str] = Rotation()
    for item in items:
        made.add(item[0], item)
    return made


def test_owners_take_turns_and_each_keeps_its_order() -> None:
    made = rotation_of("a0", "a1", "a2", "b0", "c0", "c1")
    assert [made.take() for _ in range(6)] == ["a0", "b0", "c0", "a1", "c1", "a2"]
    assert not made


def test_an_owner_that_comes_later_is_behind_the_others() -> None:
    made = rotation_of("a0", "a1", "b0")
    assert made.take() == "a0"
    made.add("c", "c0")
    assert [made.take() for _ in range(3)] == ["b0", "a1", "c0"]


def test_clearing_returns_what_waits() -> None:
    made = rotation_of("a0", "b0", "a1")
    assert made
    assert made.clear() == ["a0", "a1", "b0"]
    assert not made
    with pytest.raises(KeyError):
        made.take()
