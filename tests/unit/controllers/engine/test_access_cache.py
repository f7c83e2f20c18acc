"""How long an answer about a right counts."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.people import Person, Question
from pkg.controllers.engine.access_cache import AccessCache, AccessTiming, Known

TIMING = AccessTiming(allowed=100.0, renew=0.8, denied=30.0, denied_per_second=20.0)


def question(name: str = "alice") -> Question:
    return Question(Person.of(name), "batch", "jobs", "team-a")


@pytest.mark.parametrize(
    ("allowed", "age", "counts", "due"),
    [
        pytest.param(True, 0.0, True, False, id="a right that was just found"),
        pytest.param(True, 79.0, True, False, id="a right that is not old"),
        pytest.param(True, 80.0, True, True, id="a right that is renewed while it counts"),
        pytest.param(True, 100.0, False, True, id="a right that is too old"),
        pytest.param(False, 0.0, True, False, id="a missing right that was just found"),
        pytest.param(False, 30.0, True, True, id="a missing right that is asked for again"),
        pytest.param(False, 9_999.0, True, True, id="a missing right stays missing until there is another answer"),
    ],
)
def test_answers(allowed: bool, age: float, counts: bool, due: bool) -> None:
    cache, known = AccessCache(TIMING), Known(allowed, 1000.0)
    cache.put(question(), known, 1000.0)
    assert cache.get(question(), 1000.0 + age) == (known if counts else None)
    assert cache.is_due(question(), 1000.0 + age) is due


def test_what_was_never_asked_is_not_known_and_due() -> None:
    cache = AccessCache(TIMING)
    assert cache.get(question(), 0.0) is None
    assert cache.is_due(question(), 0.0)


def test_the_default_keeps_the_promise_of_five_minutes() -> None:
    assert AccessTiming().allowed + 5.0 + 15.0 <= 300.0


@pytest.mark.parametrize(("denied", "seconds"), [(1, 30.0), (600, 30.0), (6_000, 300.0)])
def test_many_missing_rights_are_asked_for_less_often(denied: int, seconds: float) -> None:
    assert AccessCache(TIMING).denied_pause(denied) == seconds


def test_room_is_made_by_dropping_what_does_not_count_and_then_the_oldest() -> None:
    cache = AccessCache(TIMING, max_entries=8)
    cache.put(question("expired"), Known(True, 0.0), 0.0)
    for number in range(7):
        cache.put(question(f"user-{number}"), Known(True, 100.0 + number), 110.0)
    cache.put(question("new"), Known(True, 110.0), 110.0)
    assert len(cache) <= 8
    left = [name for name in ("expired", *(f"user-{n}" for n in range(7)), "new") if cache.get(question(name), 110.0)]
    assert left == [*(f"user-{n}" for n in range(1, 7)), "new"]
