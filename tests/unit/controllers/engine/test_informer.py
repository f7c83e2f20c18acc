"""A set of informers: started on first use, each waiting for itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

from pkg.apis.meta import GVR
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.reflector_options import EventHandlers
from tests.unit.controllers.engine.objects import Thing, thing
from tests.unit.controllers.engine.scripted import Page, ScriptedClient, page
from tests.waiting import until

HERE, MISSING = GVR("test.io", "v1", "here"), GVR("test.io", "v1", "missing")


class Setup:
    def __init__(self) -> None:
        self.served: dict[GVR, Page] = {HERE: page(thing("a", 1))}
        self.client = ScriptedClient(served=self.served)
        self.announced: list[tuple[GVR, str]] = []
        self.synced: list[GVR] = []
        self.set: InformerSet[Thing] = InformerSet(
            self.client,
            "ns",
            Thing,
            EventHandlers(self.take, on_synced=self.synced.append),
            label_selector="mine=yes",
            indexers={"name": lambda obj: (obj.metadata.name,)},
        )

    @property
    def lists(self) -> list[GVR]:
        assert all(asked[1:] == ("ns", "mine=yes") for asked in self.client.listed)
        return [gvr for gvr, _, _ in self.client.listed]

    def take(self, gvr: GVR, deltas: Sequence[Delta[Thing]]) -> None:
        self.announced.extend((gvr, delta.key) for delta in deltas)

    def end(self) -> None:
        self.set.stop()
        assert self.set.join(5)


def test_an_informer_is_started_once_by_whoever_asks_first() -> None:
    setup = Setup()
    assert setup.set.get(HERE) is None
    assert not setup.set.is_synced(HERE)
    store = setup.set.ensure(HERE)
    assert setup.set.ensure(HERE) is store
    assert setup.set.wait_synced(HERE, 5)
    assert setup.set.get(HERE) is store
    assert setup.set.is_synced(HERE)
    until(lambda: setup.synced == [HERE])
    assert setup.lists == [HERE]
    assert setup.announced == [(HERE, "ns/a")]
    assert store.by_index("name", "a") == (thing("a", 1),)
    setup.end()


def test_a_prepared_informer_has_a_store_and_runs_once_it_is_asked_for() -> None:
    setup = Setup()
    store = setup.set.prepare(HERE)
    assert setup.set.prepare(HERE) is store
    assert (setup.lists, setup.set.dead()) == ([], ())
    assert setup.set.ensure(HERE) is store
    assert setup.set.wait_synced(HERE, 5)
    assert store.get("ns/a") == thing("a", 1)
    assert setup.lists == [HERE]
    setup.end()


def test_many_who_ask_at_once_get_one_informer() -> None:
    setup = Setup()
    stores: list[object] = []
    threads = [threading.Thread(target=lambda: stores.append(setup.set.ensure(HERE))) for _ in range(8)]
    with setup.set._lock:  # all of them find no informer, and then wait here
        for thread in threads:
            thread.start()
        threading.Event().wait(0.02)
    for thread in threads:
        thread.join(5)
    assert setup.set.wait_synced(HERE, 5)
    assert len(stores) == 8
    assert len({id(store) for store in stores}) == 1
    assert setup.lists == [HERE]
    setup.end()


def test_a_kind_that_is_not_served_blocks_nobody_and_is_picked_up_when_it_comes() -> None:
    setup = Setup()
    setup.set.ensure(MISSING)
    until(lambda: setup.lists.count(MISSING) > 0)
    assert setup.set.wait_synced(HERE, 5)
    assert not setup.set.is_synced(MISSING)
    setup.served[MISSING] = page(thing("m", 2))
    setup.set.retry_now(MISSING)
    assert setup.set.wait_synced(MISSING, 5)
    assert not setup.set.is_gone(MISSING)
    setup.end()


def test_a_released_informer_is_stopped_and_starts_afresh_when_asked_for_again() -> None:
    setup = Setup()
    first = setup.set.ensure(HERE)
    setup.set.release(HERE)
    setup.set.release(HERE)
    assert setup.set.get(HERE) is None
    assert setup.set.ensure(HERE) is not first
    setup.end()


def test_nothing_is_started_once_stopped() -> None:
    setup = Setup()
    setup.set.ensure(HERE)
    assert setup.set.dead() == ()
    setup.end()
    assert setup.set.dead() == ()
    lists = len(setup.lists)
    assert not setup.set.ensure(MISSING).synced
    assert not setup.set.wait_synced(MISSING, 0)
    assert len(setup.lists) == lists


def test_nothing_is_known_of_a_kind_nobody_asked_for() -> None:
    setup = Setup()
    assert not setup.set.is_gone(HERE)
    setup.set.retry_now(HERE)
    setup.end()


class Wide(Thing, frozen=True):
    """A thing of which more is kept."""

    extra: str = ""


def test_an_informer_that_decodes_more_lists_again_though_no_version_changed() -> None:
    setup = Setup()
    raw = b'{"metadata":{"name":"a","namespace":"ns","uid":"u","resourceVersion":"1"},"extra":"more"}'
    setup.served[HERE] = page(raw)
    store = setup.set.ensure(HERE)
    assert setup.set.wait_synced(HERE, 5)
    assert not isinstance(store.get("ns/a"), Wide)
    setup.set.decode_as(HERE, Wide)
    setup.set.decode_as(HERE, Wide)
    until(lambda: isinstance(store.get("ns/a"), Wide))
    assert setup.set.ensure(HERE) is store
    assert msgspec.to_builtins(store.get("ns/a"))["extra"] == "more"
    assert setup.lists == [HERE, HERE]
    assert setup.announced == [(HERE, "ns/a"), (HERE, "ns/a")]
    assert store.absorb(thing("a", 1, uid="u")) is None, "the plainer reading of the same version is no news"
    assert isinstance(store.get("ns/a"), Wide)
    setup.end()


def test_an_informer_may_decode_more_from_the_start() -> None:
    setup = Setup()
    setup.set.decode_as(HERE, Wide)
    store = setup.set.ensure(HERE)
    assert setup.set.wait_synced(HERE, 5)
    assert isinstance(store.get("ns/a"), Wide)
    assert setup.lists == [HERE]
    setup.end()
