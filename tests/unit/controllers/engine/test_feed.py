"""Changes of a store that are announced: in which order, and up to which version everything was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from pkg.apis.meta import GVR
from pkg.controllers.engine.deltas import Added, Deleted, Delta
from pkg.controllers.engine.feed import Feed
from pkg.controllers.engine.reflector_options import EventHandlers
from pkg.controllers.engine.store import Store
from tests.unit.controllers.engine.objects import THINGS, Thing, thing

A, B, C = thing("a", 11), thing("b", 12), thing("c", 13)
READ: Callable[[Feed[Thing]], object] = lambda feed: feed.absorb([C], feed.generation)  # noqa: E731


class Told:
    """A feed whose list at version 10 had a thing, and what it announced since."""

    def __init__(self, take: Callable[[Sequence[Delta[Thing]]], None] = lambda _deltas: None) -> None:
        self.store: Store[Thing] = Store()
        self.deltas: list[str] = []
        self.reached: list[int] = []
        self._take = take
        self.feed = Feed(THINGS, self.store, EventHandlers(self.take))
        self.feed.replace([thing("a", 3)], 10, ())
        self.deltas.clear()
        self.reached.clear()

    def take(self, _gvr: GVR, deltas: Sequence[Delta[Thing]]) -> None:
        self._take(deltas)
        self.reached.append(self.feed.reached)
        self.deltas += [f"{'-' if delta.new is None else '+'}{delta.key}" for delta in deltas]


@pytest.mark.parametrize(
    ("change", "told", "reached"),
    [
        pytest.param(lambda feed: feed.apply(Added(B)), ["+ns/b"], 12, id="an event"),
        pytest.param(lambda feed: feed.apply(Deleted(A)), ["-ns/a"], 11, id="a deletion"),
        pytest.param(lambda feed: feed.apply(Added(thing("a", 2))), [], 10, id="an old event"),
        pytest.param(lambda feed: feed.bury("ns/a", "uid-a", 14), ["-ns/a"], 14, id="a deletion that cannot be read"),
        pytest.param(lambda feed: feed.advance(17), [], 17, id="a bookmark"),
        pytest.param(lambda feed: feed.replace([B], 20, ()), ["-ns/a", "+ns/b"], 20, id="a list"),
        pytest.param(lambda feed: feed.clear("kind gone"), ["-ns/a"], 10, id="the end of the kind"),
        pytest.param(READ, ["+ns/c"], 10, id="what was read by itself, which says nothing of others"),
        pytest.param(lambda feed: feed.absorb([C], feed.generation - 1), [], 10, id="what counts no more"),
    ],
)
def test_what_changed_is_announced_before_it_counts(
    change: Callable[[Feed[Thing]], object], told: list[str], reached: int
) -> None:
    feed = Told()
    change(feed.feed)
    assert feed.deltas == told
    assert set(feed.reached) <= {10}, "while it is announced the version of before counts"
    assert feed.feed.reached == reached


@pytest.mark.parametrize("version", [9, 10, 11])
def test_a_list_that_is_older_than_what_is_known_says_that_the_history_was_set_back(version: int) -> None:
    feed = Told().feed
    before = feed.generation
    assert feed.replace([], version, ()) is (version < 10)
    assert feed.reached == version
    assert feed.absorb([B], before) is (version >= 10), "what was read of the history before counts no more"


def test_what_was_read_before_a_kind_went_counts_no_more() -> None:
    told = Told()
    before = told.feed.generation
    told.feed.clear("kind gone")
    assert not told.feed.absorb([B], before)
    assert told.deltas == ["-ns/a"]


@pytest.mark.parametrize("change", [READ, lambda feed: feed.apply(Added(B)), lambda feed: feed.replace([B], 20, ())])
def test_no_other_change_comes_between_that_of_the_store_and_its_announcement(
    change: Callable[[Feed[Thing]], object],
) -> None:
    """A deletion that the watch tells meanwhile is announced after the object."""
    watches: list[threading.Thread] = []

    def take(deltas: Sequence[Delta[Thing]]) -> None:
        new = deltas[-1].new
        if new is not None and not watches:
            final = thing(new.metadata.name, 30)
            watches.append(threading.Thread(target=lambda: told.feed.apply(Deleted(final))))
            watches[0].start()
            watches[0].join(0.05)

    told = Told(lambda _deltas: None)
    told._take = take
    change(told.feed)
    watches[0].join(5)
    added = next(one for one in told.deltas if one.startswith("+"))
    assert told.deltas[-1] == added.replace("+", "-")


def test_a_handler_that_raises_does_not_stop_the_feed() -> None:
    def take(_deltas: Sequence[Delta[Thing]]) -> None:
        raise RuntimeError("no")

    told = Told()
    told._take = take
    told.feed.apply(Added(B))
    assert told.feed.reached == 12
