"""The store against tables of event sequences, and against a model of the server under any order of delivery."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.controllers.engine.deltas import Added, Deleted, Delta, Modified, WatchEvent
from pkg.controllers.engine.store import Store, version_of
from pkg.controllers.engine.tombstones import GENERATION_SECONDS
from tests.unit.controllers.engine.objects import Thing, thing

Step = Callable[[Store[Thing]], Any]


def by_color(obj: Thing) -> Iterable[str]:
    color = obj.metadata.labels.get("color")
    return (color,) if color else ()


def red(name: str, rv: int) -> Thing:
    return thing(name, rv, labels={"color": "red"})


def blue(name: str, rv: int) -> Thing:
    return thing(name, rv, labels={"color": "blue"})


A1, A2, A3 = (thing("a", rv) for rv in (1, 2, 3))
OTHER = thing("a", 9, uid="second")


@pytest.mark.parametrize(
    ("before", "event", "told", "held"),
    [
        pytest.param([], Added(A1), Delta("ns/a", None, A1), A1, id="a new object is added"),
        pytest.param([Added(A1)], Modified(A2), Delta("ns/a", A1, A2), A2, id="a newer state replaces an older one"),
        pytest.param([Added(A1)], Added(A2), Delta("ns/a", A1, A2), A2, id="an ADDED of a known object is a change"),
        pytest.param([Added(A2)], Modified(A2), None, A2, id="the same version again is no news"),
        pytest.param([Added(A3)], Modified(A2), None, A3, id="an older version is no news"),
        pytest.param(
            [Added(thing("a", 10))], Modified(thing("a", 9)), None, thing("a", 10), id="versions are numbers, not text"
        ),
        pytest.param(
            [Added(A1)], Deleted(A2), Delta("ns/a", A1, None, A2), None, id="a deletion carries the last state"
        ),
        pytest.param([], Deleted(A2), Delta("ns/a", None, None, A2), None, id="a deletion of an unseen object is told"),
        pytest.param([Added(A1), Deleted(A2)], Deleted(A2), None, None, id="a deletion is told once"),
        pytest.param(
            [Added(A2)], Deleted(A2), Delta("ns/a", A2, None, A2), None, id="a deletion at the same version counts"
        ),
        pytest.param([Added(A3)], Deleted(A2), None, A3, id="a deletion older than what is held is no news"),
        pytest.param([Deleted(A2)], Added(A1), None, None, id="a late ADDED does not resurrect"),
        pytest.param([Added(A1), Deleted(A3)], Modified(A2), None, None, id="a late MODIFIED does not resurrect"),
        pytest.param(
            [Added(A1), Deleted(A2)],
            Added(A3),
            Delta("ns/a", None, A3),
            A3,
            id="an object may match its selector again",
        ),
        pytest.param(
            [Added(A1), Deleted(A2)], Added(OTHER), Delta("ns/a", None, OTHER), OTHER, id="a name may be used again"
        ),
        pytest.param(
            [Added(A1)], Added(OTHER), Delta("ns/a", A1, OTHER), OTHER, id="a newer object of the name takes its place"
        ),
        pytest.param([Added(OTHER)], Added(A1), None, OTHER, id="an older object of the name does not"),
        pytest.param(
            [Added(OTHER)],
            Deleted(A2),
            Delta("ns/a", None, None, A2),
            OTHER,
            id="a deletion of the older one spares it",
        ),
        pytest.param(
            [Added(A1), Added(OTHER)],
            Deleted(A2),
            Delta("ns/a", None, None, A2),
            OTHER,
            id="the last state of a replaced object is still told",
        ),
        pytest.param([Added(A1), Added(OTHER)], Modified(A3), None, OTHER, id="a replaced object does not come back"),
        pytest.param(
            [Added(A1), Added(OTHER), Deleted(thing("a", 10, uid="second"))],
            Modified(A3),
            None,
            None,
            id="not even when its successor is gone",
        ),
    ],
)
def test_events(
    before: list[WatchEvent[Thing]], event: WatchEvent[Thing], told: Delta[Thing] | None, held: Thing | None
) -> None:
    store: Store[Thing] = Store()
    for earlier in before:
        store.apply(earlier)
    assert store.apply(event) == told
    assert store.get("ns/a") == held
    assert len(store) == (held is not None)
    assert store.keys() == (("ns/a",) if held else ())


@pytest.mark.parametrize(
    ("steps", "obj", "is_news"),
    [
        pytest.param([], A1, True, id="a response is taken in"),
        pytest.param([lambda s: s.apply(Added(A2))], A1, False, id="a response older than the cache is not"),
        pytest.param(
            [lambda s: s.apply(Deleted(A2))], A1, False, id="a response does not resurrect what the watch buried"
        ),
        pytest.param(
            [lambda s: s.replace([A1], 1), lambda s: s.replace([], 5)],
            A2,
            False,
            id="a response does not resurrect what a list lacked",
        ),
        pytest.param([lambda s: s.clear("kind gone")], A1, False, id="a response does not come after the kind is gone"),
        pytest.param(
            [lambda s: s.clear("kind gone"), lambda s: s.replace([], 1)], A2, True, id="unless the kind is back"
        ),
    ],
)
def test_own_writes(steps: list[Step], obj: Thing, is_news: bool) -> None:
    store: Store[Thing] = Store()
    for step in steps:
        step(store)
    assert (store.absorb(obj) is not None) is is_news


def test_the_watch_says_nothing_new_about_an_absorbed_write() -> None:
    store: Store[Thing] = Store()
    assert store.absorb(A2) == Delta("ns/a", None, A2)
    assert store.apply(Added(A1)) is None
    assert store.apply(Modified(A2)) is None
    assert store.synced_rv == 2


def test_a_response_that_comes_after_a_list_without_the_object_says_that_it_was_deleted() -> None:
    store: Store[Thing] = Store()
    store.replace([], 5)
    assert store.absorb(A2) == Delta("ns/a", A2, None, None, "relist")
    assert store.absorb(A2) is None
    assert store.get("ns/a") is None
    assert store.absorb(thing("a", 6)) is not None, "another one of the name, made after the list"


B1, B7, C4 = thing("b", 1), thing("b", 7), thing("c", 4)


@pytest.mark.parametrize(
    ("before", "items", "list_rv", "told", "held"),
    [
        pytest.param([], [A1, B1], 5, [Delta("ns/a", None, A1), Delta("ns/b", None, B1)], [A1, B1], id="a first list"),
        pytest.param([], [], 5, [], [], id="an empty list"),
        pytest.param([A1], [A1], 5, [], [A1], id="what is known already is no news"),
        pytest.param([A1], [A3], 5, [Delta("ns/a", A1, A3)], [A3], id="what changed is"),
        pytest.param(
            [A1, B1], [A1], 5, [Delta("ns/b", B1, None, None, "relist")], [A1], id="what is missing was deleted"
        ),
        pytest.param([B7], [], 5, [], [B7], id="an own write newer than the list is kept"),
        pytest.param([B7], [B1], 5, [], [B7], id="an own write newer than the listed state is kept"),
        pytest.param([A1], [OTHER], 9, [Delta("ns/a", A1, OTHER)], [OTHER], id="another object of the same name"),
        pytest.param([A1], [B1, C4], 5, None, [B1, C4], id="deletions and additions at once"),
    ],
)
def test_lists(
    before: list[Thing], items: list[Thing], list_rv: int, told: list[Delta[Thing]] | None, held: list[Thing]
) -> None:
    store: Store[Thing] = Store()
    for obj in before:
        store.absorb(obj)
    deltas = store.replace(items, list_rv)
    assert told is None or deltas == told
    assert sorted(store.values(), key=lambda o: o.metadata.key) == held
    assert store.synced
    assert store.synced_rv == list_rv


def test_the_revision_grows_when_the_cache_changes_and_only_then() -> None:
    store: Store[Thing] = Store()
    steps: list[tuple[Callable[[], object], bool]] = [
        (lambda: store.apply(Added(A1)), True),
        (lambda: store.apply(Added(A1)), False),
        (lambda: store.absorb(A2), True),
        (lambda: store.apply(Modified(A2)), False),
        (lambda: store.replace([A2], 5), False),
        (lambda: store.replace([], 6), True),
        (lambda: store.insert(thing("b", 7)), True),
        (lambda: store.forget("ns/b"), True),
    ]
    for number, (step, is_change) in enumerate(steps):
        before = store.revision
        step()
        assert (store.revision > before) is is_change, number


def test_only_a_list_makes_a_store_synced() -> None:
    store: Store[Thing] = Store()
    store.apply(Added(A1))
    store.absorb(B1)
    store.advance(9)
    assert not store.synced


def test_a_listed_object_that_cannot_be_read_is_not_taken_for_deleted() -> None:
    store: Store[Thing] = Store()
    store.absorb(A1)
    assert store.replace([], 5, undecodable={"ns/a", "ns/b"}) == []
    assert store.get("ns/a") == A1
    assert (store.is_undecodable("ns/a"), store.is_undecodable("ns/b")) == (False, True)
    store.apply(Added(red("b", 6)))
    assert not store.is_undecodable("ns/b")


def test_a_list_from_a_restored_backup_is_taken_as_it_is() -> None:
    store: Store[Thing] = Store({"color": by_color})
    store.replace([red("a", 90), red("b", 80)], 100)
    store.apply(Deleted(red("b", 101)))
    told = store.replace([blue("a", 40), red("b", 30)], 50)
    assert told == [Delta("ns/a", red("a", 90), blue("a", 40)), Delta("ns/b", None, red("b", 30))]
    assert store.by_index("color", "blue") == (blue("a", 40),)
    assert store.synced_rv == 50
    assert store.apply(Modified(red("a", 51))) is not None


def test_a_kind_that_goes_away_takes_its_objects_along() -> None:
    store: Store[Thing] = Store({"color": by_color})
    store.replace([red("a", 1), red("b", 2)], 5)
    told = store.clear("kind gone")
    assert [(delta.key, delta.new, delta.reason) for delta in told] == [
        ("ns/a", None, "kind gone"),
        ("ns/b", None, "kind gone"),
    ]
    assert store.values() == ()
    assert store.by_index("color", "red") == ()
    assert store.absorb(red("a", 1)) is None


def test_what_a_list_still_has_after_the_kind_was_gone_comes_back() -> None:
    store: Store[Thing] = Store({"color": by_color})
    store.replace([red("a", 1), red("b", 2)], 5)
    store.clear("kind gone")
    assert store.replace([red("a", 1), red("b", 2)], 5) == [
        Delta("ns/a", None, red("a", 1)),
        Delta("ns/b", None, red("b", 2)),
    ]
    assert len(store.by_index("color", "red")) == 2


def test_bookmarks_move_the_version_forward_only() -> None:
    store: Store[Thing] = Store()
    store.replace([], 5)
    store.advance(9)
    store.advance(7)
    assert store.synced_rv == 9


def test_indexes_follow_the_objects() -> None:
    store: Store[Thing] = Store({"color": by_color})
    store.apply(Added(red("a", 1)))
    store.apply(Added(red("b", 2)))
    store.apply(Modified(red("a", 3)))
    assert store.by_index("color", "red") == (red("a", 3), red("b", 2))
    store.apply(Modified(blue("a", 4)))
    assert store.by_index("color", "red") == (red("b", 2),)
    assert store.by_index("color", "blue") == (blue("a", 4),)
    store.apply(Deleted(blue("a", 5)))
    assert store.by_index("color", "blue") == ()
    assert store.count("color", "red") == 1
    assert store.count("color", "green") == 0
    with pytest.raises(KeyError):
        store.by_index("size", "big")


@pytest.mark.parametrize("text", ["", "abc", "-1", "1.5", "٣", " 1"])
def test_a_version_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="resourceVersion"):
        version_of(text)


def test_deletions_are_remembered_for_a_short_time() -> None:
    now = [0.0]
    store: Store[Thing] = Store(clock=lambda: now[0])
    store.apply(Deleted(thing("a", 5)))
    now[0] = GENERATION_SECONDS
    assert store.absorb(thing("a", 1)) is None
    now[0] = 2 * GENERATION_SECONDS
    store.sweep()
    assert store.absorb(thing("a", 1)) is not None


# The model: what a server says about objects that come, change and go, whoever hears of it in whatever order.


class History:
    """Events of a server, numbered by one counter, and the state after each."""

    def __init__(self, moves: Sequence[tuple[str, str]]) -> None:
        self.events: list[WatchEvent[Thing]] = []
        self.states: list[dict[str, Thing]] = [{}]
        lives = 0
        for rv, (name, color) in enumerate(moves, start=1):
            state = dict(self.states[-1])
            held = state.get(name)
            if held is None:
                lives += 1
                state[name] = thing(name, rv, uid=f"uid-{lives}", labels={"color": color})
                self.events.append(Added(state[name]))
            elif color == "delete":
                final = thing(name, rv, uid=held.metadata.uid, labels=held.metadata.labels)
                del state[name]
                self.events.append(Deleted(final))
            else:
                state[name] = thing(name, rv, uid=held.metadata.uid, labels={"color": color})
                self.events.append(Modified(state[name]))
            self.states.append(state)


MOVES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["red", "blue", "delete", "delete"])), min_size=1, max_size=24
)


@settings(max_examples=300, deadline=None)
@given(MOVES, st.data())
def test_any_order_of_events_lists_and_own_writes_ends_like_the_server(
    moves: list[tuple[str, str]], data: st.DataObject
) -> None:
    history = History(moves)
    count = len(history.events)
    repeated = data.draw(st.lists(st.integers(0, count - 1), max_size=10), label="told twice")
    order = data.draw(st.permutations([*range(count), *repeated]), label="order")
    lists = data.draw(st.dictionaries(st.integers(0, len(order) - 1), st.integers(0, count), max_size=3), label="lists")
    absorbed = data.draw(st.sets(st.integers(0, len(order) - 1)), label="absorbed")

    store: Store[Thing] = Store({"color": by_color})
    buried: set[str] = set()
    finals: Counter[str] = Counter()

    def note(delta: Delta[Thing] | None) -> None:
        if delta is None:
            return
        if delta.final is not None:
            finals[delta.final.metadata.uid] += 1
        if delta.new is not None:
            assert delta.new.metadata.uid not in buried, "a deleted object came back"
        for gone in (delta.old, delta.final):
            if gone is not None and (delta.new is None or delta.new.metadata.uid != gone.metadata.uid):
                buried.add(gone.metadata.uid)

    for position, number in enumerate(order):
        if position in lists:
            list_rv = max(lists[position], store.synced_rv)
            for delta in store.replace(history.states[list_rv].values(), list_rv):
                note(delta)
        event = history.events[number]
        if position in absorbed and not isinstance(event, Deleted):
            note(store.absorb(event.obj))
            store.advance(version_of(event.obj.metadata.resource_version))
        else:
            note(store.apply(event))
        for color in ("red", "blue"):
            found = {obj.metadata.key: obj for obj in store.by_index("color", color)}
            assert found == {obj.metadata.key: obj for obj in store.values() if color in by_color(obj)}

    assert {obj.metadata.name: obj for obj in store.values()} == history.states[-1]
    deleted = {event.obj.metadata.uid for event in history.events if isinstance(event, Deleted)}
    assert finals == Counter(dict.fromkeys(deleted, 1)), "each final state is told exactly once"


def test_readers_and_writers_do_not_disturb_each_other() -> None:
    store: Store[Thing] = Store({"color": by_color})
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                for obj in store.by_index("color", "red"):
                    assert obj.metadata.labels["color"] == "red"
                store.values()
                store.keys()
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for rv in range(1, 2001):
        name = f"t{rv % 50}"
        store.apply(Deleted(red(name, rv)) if rv % 7 == 0 else Added((red if rv % 2 else blue)(name, rv)))
    done.set()
    for reader in readers:
        reader.join(5)
    assert failures == []


def test_a_new_copy_is_stored_as_share_makes_it_of_the_old_and_the_new_one() -> None:
    asked: list[tuple[str, str]] = []

    def share(old: Thing, new: Thing) -> Thing:
        asked.append((old.metadata.resource_version, new.metadata.resource_version))
        return new

    store: Store[Thing] = Store(share=share)
    store.apply(Added(thing("a", 1)))
    store.apply(Modified(thing("a", 2)))
    store.absorb(thing("a", 3))
    assert asked == [("1", "2"), ("2", "3")]
