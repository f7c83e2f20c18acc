"""Objects that are read by their owners: what is asked for, and what then counts as known."""

# ruff: noqa: A002 - as in the interface of the client

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pytest

from pkg.apis.meta import GVR
from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.feed import Feed
from pkg.controllers.engine.owner_batches import MAX_OWNERS
from pkg.controllers.engine.owner_reads import OwnerReads
from pkg.controllers.engine.reflector_options import ByOwner, EventHandlers, Owners, Source, Timing
from pkg.controllers.engine.store import Store
from pkg.controllers.engine.watch_events import ObjectDecoder
from pkg.kube.errors import Forbidden, Gone, Stopped, Throttled, Transient
from tests.unit.controllers.engine.objects import THINGS, Thing, thing
from tests.unit.controllers.engine.scripted import Answer, Page, ScriptedClient, page
from tests.waiting import until

AHEAD = Transient("Too large resource version: 20, current: 7", status=504)
CUT = Transient("the connection broke")
UNREADABLE = b'{"metadata":{"name":"bad","namespace":"ns","resourceVersion":"9"},"status":5}'


class Held(ScriptedClient):
    """Answers lists once `open` is set."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(*answers)
        self.open = threading.Event()
        self.on_call: Callable[[], None] = lambda: None

    def list_page(self, gvr: GVR, namespace: str | None, type: type[msgspec.Raw], **how: Any) -> Page:
        assert self.open.wait(10)
        self.on_call()
        return super().list_page(gvr, namespace, type, **how)


class Reads:
    def __init__(self, *answers: Answer, there: Iterable[Thing] = ()) -> None:
        self.client = Held(*answers)
        self.store: Store[Thing] = Store()
        self.store.replace(there, 10)
        self.told: list[str] = []
        self.known: list[bool] = []
        self.reached = 10
        self.on_read: Callable[[], None] = lambda: None
        self.stop = threading.Event()
        self.feed = Feed(THINGS, self.store, EventHandlers(self.take, on_owners=self.read))
        self.reads = OwnerReads(
            self.client,
            Source(THINGS, "ns", label_selector="ours", page_limit=2, by_owner=ByOwner("owner")),
            self.feed,
            lambda: ObjectDecoder(Thing),
            timing=Timing(failing=Backoff(base=0.001, cap=0.002), rng=random.Random(1)),
            stop=self.stop,
            reached=lambda: self.reached,
        )

    def take(self, _gvr: GVR, deltas: Sequence[Delta[Thing]]) -> None:
        self.told += [delta.key for delta in deltas]
        self.known.append(self.reads.knows("u", 20))

    def read(self, _gvr: GVR, owners: Owners) -> None:
        self.told.append(" ".join(owners.keys.values()))
        self.on_read()
        self.known.append(self.reads.knows("u", 20))

    def play(self, *asked: tuple[str, int], count: int = 0) -> Reads:
        """All of them ask before the first answer. count: objects of each."""
        for name, since in asked or (("u", 20),):
            self.reads.ask(name, f"ns/{name}", since, count)
        self.client.open.set()
        assert self.reads.join(5)
        return self

    @property
    def asked(self) -> list[str]:
        return [selector for _, _, selector in self.client.listed]


def test_what_the_watch_may_not_have_told_is_read() -> None:
    """An object that is not among what was read is left to the watch: it tells that it was deleted."""
    there, new = [thing("a", 3), thing("old", 4)], thing("b", 18)
    reads = Reads(page(thing("a", 3), new, rv="25"), there=there).play()
    assert reads.client.calls == ["list 0 at 20"]
    assert reads.asked == ["owner in (u)"]
    assert reads.told == ["ns/b", "ns/u"]
    assert reads.known == [False, True], "it counts as known once what was read is announced"
    assert reads.store.keys() == ("ns/a", "ns/old", "ns/b")
    assert (reads.reads.knows("u", 25), reads.reads.knows("u", 26), reads.reads.knows("v", 11)) == (True, False, False)


def test_those_who_ask_meanwhile_are_read_together() -> None:
    """The newest of their versions is one that will do for all."""
    reads = Reads(page(rv="30"), page(rv="30"))
    reads.play(("a", 20), ("b", 25), ("c", 21), ("b", 25), ("b", 3))
    first, *others = reads.client.calls
    assert reads.told in (["ns/a ns/b ns/c"], ["ns/a", "ns/b ns/c"], ["ns/a ns/b", "ns/c"])
    assert first in ("list 0 at 20", "list 0 at 25")
    assert len(others) == len(reads.told) - 1
    reads.play(("a", 30), ("b", 30))
    assert len(reads.client.calls) == len(reads.told), "what is known is not read again"


def test_a_request_has_so_many_owners_at_most() -> None:
    reads = Reads(*[page(rv="30")] * 3)
    reads.reads.ask("u0", "ns/u0", 20, 0)
    until(lambda: reads.reads._asked != {})
    reads.play(*((f"u{number}", 20) for number in range(2 * MAX_OWNERS)))
    assert all(len(selector.split(",")) <= MAX_OWNERS for selector in reads.asked)
    assert all(reads.reads.knows(f"u{number}", 20) for number in range(2 * MAX_OWNERS))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(AHEAD, id="which the server's cache has not reached"),
        pytest.param(Gone("too old", status=410), id="which is too old"),
        pytest.param(page(thing("b", 4), more="t", rv="7"), id="in pages"),
    ],
)
def test_a_version_that_the_server_does_not_know_is_read_as_of_now(answer: Answer) -> None:
    """As after a backup was restored: versions of the record and of the list cannot be compared."""
    pages = [page(thing("b", 4), thing("c", 5), more="t", rv="7"), page(thing("d", 6), rv="7")]
    reads = Reads(answer, *pages).play()
    assert reads.client.calls == ["list 0 at 20", "list 2", "list 2 t"]
    assert reads.asked == ["owner in (u)"] * 3
    assert reads.told == ["ns/b", "ns/c", "ns/d", "ns/u"]
    assert reads.reads.knows("u", 20)


def test_what_cannot_be_decoded_is_left_out() -> None:
    assert Reads(page(UNREADABLE, thing("b", 18), rv="25")).play().told == ["ns/b", "ns/u"]


@pytest.mark.parametrize("error", [CUT, Throttled("busy", status=429), Forbidden("no", status=403), ValueError("no")])
def test_a_read_that_fails_is_tried_again_and_said(error: Exception) -> None:
    reads = Reads(*[error] * 5, page(rv="25"))
    said: list[tuple[int, str]] = []
    reads.on_read = lambda: said.append((len(reads.client.calls), reads.reads.trouble))
    reads.play()
    assert said == [(3, str(error)), (6, "")]
    assert reads.client.calls == ["list 0 at 20"] * 6


def test_requests_have_as_many_objects_as_a_page() -> None:
    """An owner that has more is read in pages, as of this moment."""
    reads = Reads(*[page(rv="30")] * 3)
    reads.reads.ask("large", "ns/large", 20, 3)
    reads.play(*((name, 20) for name in ("a", "b", "c")), count=1)
    assert reads.client.calls[0] == "list 2"
    assert [sorted(one.removeprefix("owner in (").removesuffix(")").split(",")) for one in reads.asked] == [
        ["large"],
        ["a", "b"],
        ["c"],
    ]


def test_those_whose_read_fails_let_others_go_first() -> None:
    reads = Reads(CUT, *[page(rv="30")] * 3)
    reads.play(*((f"u{number}", 20) for number in range(MAX_OWNERS + 1)))
    failed, *then = (set(selector.removeprefix("owner in (").removesuffix(")").split(",")) for selector in reads.asked)
    assert f"u{MAX_OWNERS}" in then[0] - failed


def test_those_of_whom_the_watch_has_told_meanwhile_are_not_read() -> None:
    """They go on at once, however long it takes to read the others."""
    reads = Reads(*[CUT] * 3, page(rv="40"))
    told: list[int] = []

    def tell() -> None:
        reads.reached = 25
        reads.reads.let_go()
        told.append(len(reads.told))

    reads.client.on_call = tell
    reads.play(("u", 20), ("v", 30))
    assert told[0] == 1, "told by the watch, while the read hangs"
    assert reads.told[0] == "ns/u"
    assert reads.told[-1] == "ns/v"
    assert reads.asked[-1] == "owner in (v)"
    assert reads.reads.ask("w", "ns/w", 25, 0), "what the watch has told is known"
    assert reads.client.calls[-1] == "list 0 at 30"


def test_those_who_ask_during_a_read_after_which_the_watch_has_told_of_them_go_on() -> None:
    """A takeover does that: the first to ask starts the reads, and the watch catches up meanwhile."""
    reads = Reads(page(rv="40"))

    def ask_more() -> None:
        for number in range(3):
            assert not reads.reads.ask(f"late{number}", f"ns/late{number}", 30, 0)
        reads.reached = 35

    reads.client.on_call = ask_more
    reads.play()
    assert reads.client.calls == ["list 0 at 20"]
    assert reads.told == ["ns/u", "ns/late0 ns/late1 ns/late2"]


def test_what_was_forgotten_is_read_again_if_somebody_asks() -> None:
    reads = Reads(page(rv="25"), page(rv="25")).play()
    reads.reads.forget()
    assert not reads.reads.knows("u", 20)
    assert reads.play().told == ["ns/u", "ns/u"]


def test_what_is_read_while_the_kind_goes_counts_no_more() -> None:
    reads = Reads(page(thing("b", 18), rv="25"))

    def lose() -> None:
        reads.feed.clear("kind gone")
        reads.reads.forget()

    reads.client.on_call = lose
    assert reads.play().told == []
    assert reads.store.keys() == ()
    assert not reads.reads.knows("u", 20)


def test_what_a_list_shows_as_deleted_while_it_is_read_does_not_come_back() -> None:
    """It is announced as it last was, in case nobody has seen how it ended."""
    reads = Reads(page(thing("b", 18), rv="25"))

    def relist() -> None:
        reads.store.replace((), 30)
        reads.reached = 30

    reads.client.on_call = relist
    assert reads.play().told == ["ns/b", "ns/u"]
    assert reads.store.keys() == ()


def test_stopping_ends_the_thread() -> None:
    failing = Reads(*[CUT] * 1000)
    failing.client.open.set()
    failing.reads.ask("u", "ns/u", 20, 0)
    until(lambda: len(failing.client.calls) > 3)
    assert not failing.reads.join(0)
    failing.stop.set()
    assert failing.reads.join(5)
    asked = len(failing.client.calls)
    failing.play()
    assert len(failing.client.calls) == asked, "nothing is read after the end"


def test_a_client_that_shuts_down_ends_the_thread() -> None:
    assert Reads(Stopped("bye")).play().told == []
