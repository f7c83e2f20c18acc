"""The reflector against answers that no real server gives on demand; tests/cluster has it against the real one."""

from __future__ import annotations

import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from pkg.apis.meta import GVR
from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.reflector import Reflector
from pkg.controllers.engine.reflector_options import ByOwner, EventHandlers, Owners, Source, Timing
from pkg.controllers.engine.store import Store
from pkg.kube.errors import Forbidden, Gone, KubeError, NotFound, Refused, Stopped, Throttled, Transient
from tests.unit.controllers.engine.objects import THINGS, Thing, thing
from tests.unit.controllers.engine.scripted import Answer, Lines, ScriptedClient, bookmark, error_line, line, page
from tests.waiting import until

FAST = Backoff(base=0.001, cap=0.002)
SLOW = Backoff(base=600.0, cap=600.0)
CUT = Transient("the watch broke")
INITIALIZING = Throttled("storage is (re)initializing", status=429, retry_after=9)
_SOURCE = ("page_limit", "by_owner")
UNREADABLE = b'{"metadata":{"name":"bad","namespace":"ns","resourceVersion":"9"},"status":5}'


class Counter:
    def __init__(self) -> None:
        self.relists: list[str] = []
        self.lists: list[int] = []
        self.failures: list[str] = []
        self.watches = 0
        self.events: list[str] = []

    def listed(self, gvr: GVR, objects: int, seconds: float) -> None:
        self.lists.append(objects)

    def failed(self, gvr: GVR, verb: str) -> None:
        self.failures.append(verb)

    def relisted(self, gvr: GVR, reason: str) -> None:
        self.relists.append(reason)

    def watched(self, gvr: GVR) -> None:
        self.watches += 1

    def received(self, gvr: GVR, event: str) -> None:
        self.events.append(event)


class Run:
    """A reflector that plays a script in its thread until the script is at its end."""

    def __init__(self, *answers: Answer, **options: Any) -> None:
        self.client = ScriptedClient(*answers)
        self.store: Store[Thing] = Store()
        self.deltas: list[Delta[Thing]] = []
        self.synced = 0
        self.gone = 0
        self.metrics = Counter()
        self.on_sync: Callable[[], None] = lambda: None
        handlers = {name: options.pop(name) for name in ("is_absent", "on_trouble", "on_owners") if name in options}
        timing: dict[str, Any] = {"failing": FAST, "waiting": FAST, "rng": random.Random(1)}
        timing |= {name: options.pop(name) for name in ("failing", "waiting", "clock") if name in options}
        self.reflector = Reflector(
            self.client,
            Source(THINGS, **{name: options.pop(name) for name in _SOURCE if name in options}),
            Thing,
            self.store,
            EventHandlers(options.pop("on_deltas", self.take), on_synced=self.sync, on_gone=self.go, **handlers),
            timing=Timing(**timing),
            metrics=self.metrics,
        )
        assert not options

    def take(self, _gvr: GVR, deltas: Sequence[Delta[Thing]]) -> None:
        self.deltas.extend(deltas)

    def sync(self, _gvr: GVR) -> None:
        assert self.store.synced
        self.synced += 1
        self.on_sync()

    def go(self, _gvr: GVR) -> None:
        self.gone += 1

    def play(self) -> Run:
        self.reflector.start()
        try:
            assert self.client.finished.wait(5), f"stuck after {self.client.calls}"
        finally:
            self.reflector.stop()
            assert self.reflector.join(5)
        return self

    @property
    def told(self) -> list[str]:
        return [f"{'-' if d.new is None else '+'}{d.key}" for d in self.deltas]


A, B, C = thing("a", 1), thing("b", 2), thing("c", 3)


def test_pages_are_one_list_and_the_watch_goes_on_from_it() -> None:
    run = Run(page(A, more="t1"), page(B, more="t2"), page(C, rv="10"), page_limit=1).play()
    assert run.client.calls == ["list 1", "list 1 t1", "list 1 t2", "watch 10"]
    assert run.told == ["+ns/a", "+ns/b", "+ns/c"]
    assert run.reflector.served is True
    assert run.reflector.wait_synced(0)
    assert (run.synced, run.metrics.lists, run.metrics.watches) == (1, [3], 1)
    assert run.store.synced_rv == 10


D11, D12, D13 = thing("d", 11), thing("d", 12), thing("d", 13)
PAGES = (page(A, more="t"), page(B))
GONE_LINE = Lines((error_line(410),))
HANGING = Lines((), Transient("the watch said nothing for 5 s", reason="Timeout"))
MINE, YOURS = Owners({"me": "ns/me"}, 9), Owners({"you": "ns/you"}, 9)


def test_what_is_needed_first_is_read_between_the_first_page_and_the_others() -> None:
    """The list is older: what it has of a thing that was read since counts no more, and what it lacks stays."""
    told: list[tuple[str, ...]] = []
    new = [thing("b", 12, state="done"), thing("d", 11)]
    answers = [page(A, more="t1"), page(*new, rv="12"), page(rv="12"), page(B, more="t2"), page(C), page(rv="10")]

    def take_owners(_gvr: GVR, owners: Owners) -> None:
        told.append((*run.told, *owners.keys))
        known.append([run.reflector.knows(uid, since) for uid, since in (("me", 12), ("me", 13), ("you", 12))])
        assert not run.reflector.wait_synced(0)

    known: list[list[bool]] = []
    run = Run(*answers, page_limit=1, by_owner=ByOwner("owner", lambda *_: (MINE, YOURS)), on_owners=take_owners)
    run.play()
    first, then = ["list 1", "list 0 at 9", "list 0 at 9"], ["list 1 t1", "list 1 t2", "list 1", "watch 10"]
    assert run.client.calls == [*first, *then]
    assert [selector for _, _, selector in run.client.listed] == ["", "owner in (me)", "owner in (you)", "", "", ""]
    assert told == [("+ns/b", "+ns/d", "me"), ("+ns/b", "+ns/d", "you")]
    assert known == [[True, False, False], [True, False, True]]
    assert run.told == ["+ns/b", "+ns/d", "+ns/a", "+ns/c"]
    assert run.store.get("ns/b") == new[0]


def test_the_objects_of_anybody_are_known_as_far_as_list_and_watch_have_told() -> None:
    known: list[bool] = []

    def take(_gvr: GVR, _deltas: Sequence[Delta[Thing]]) -> None:
        known.append(run.reflector.knows("me", 12))

    run = Run(page(A), Lines((line("ADDED", thing("d", 12)), line("ADDED", thing("e", 13)))), on_deltas=take)
    run.play()
    assert known == [False, False, True], "what was not announced does not count"
    assert run.reflector.knows("anybody", 13)
    assert not run.reflector.knows("anybody", 14)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Transient("Too large resource version: 9, current: 7", status=504), id="that is refused"),
        pytest.param(page(B, more="t"), id="that is not whole"),
        pytest.param(page(UNREADABLE), id="with something unreadable"),
    ],
)
def test_what_cannot_be_read_first_is_left_to_the_list(answer: Answer) -> None:
    read: list[Owners] = []
    run = Run(
        page(A, more="t1"),
        answer,
        page(B),
        page(rv="10"),
        page_limit=1,
        by_owner=ByOwner("owner", lambda *_: (MINE,)),
        on_owners=lambda _, owners: read.append(owners),
    ).play()
    assert read == []
    assert run.store.keys() == ("ns/a", "ns/b")
    assert run.client.calls[-1] == "watch 10"


def test_what_was_read_first_counts_no_more_where_the_list_keeps_failing() -> None:
    """What becomes of it is not seen, for as long as that takes."""
    known: list[bool] = []
    run: Run
    run = Run(
        page(A, more="t1"),
        page(B, rv="12"),
        *[Transient("boom", status=500)] * 4,
        page(A),
        page(rv="10"),
        page_limit=1,
        by_owner=ByOwner("owner", lambda *_: (MINE,)),
        on_owners=lambda *_: known.append(run.reflector.knows("me", 12)),
        on_trouble=lambda _: known.append(run.reflector.knows("me", 12)),
    )
    run.play()
    assert known == [True, False]


@pytest.mark.parametrize(
    ("answers", "calls"),
    [
        pytest.param([page(A)], ["list 1", "watch 10"], id="where one page has all"),
        pytest.param(
            [*PAGES[:1], page(), page(B), page(), Lines((error_line(410),)), page(A, more="t"), page(B, rv="20")],
            ["list 1", "list 0 at 9", "list 1 t", "list 1", "watch 10", "list 1", "list 1 t", "watch 20"],
            id="in a later list",
        ),
    ],
)
def test_nothing_is_read_first(answers: list[Answer], calls: list[str]) -> None:
    assert Run(*answers, page_limit=1, by_owner=ByOwner("owner", lambda *_: (MINE,))).play().client.calls == calls


@pytest.mark.parametrize(
    ("answers", "calls", "seen"),
    [
        pytest.param(
            [*PAGES, page(rv="12"), Lines((line("ADDED", D11), line("MODIFIED", D12), line("MODIFIED", D13)))],
            ["list 2", "list 2 t", "list 1", "watch 10 for 1 s", "watch 13"],
            D12,
            id="that the watch has told all",
        ),
        pytest.param(
            [*PAGES, page(rv="19"), Lines((line("ADDED", D11),)), Lines((bookmark(19),))],
            ["list 2", "list 2 t", "list 1", "watch 10 for 1 s", "watch 11 for 1 s", "watch 19"],
            D11,
            id="of which a bookmark tells",
        ),
        pytest.param(
            [*PAGES, page(rv="19"), Lines()],
            ["list 2", "list 2 t", "list 1", "watch 10 for 1 s", "watch 10"],
            None,
            id="that nothing has happened",
        ),
        pytest.param(
            [*PAGES, page(rv="19"), Lines((line("ADDED", D11),)), Lines((), CUT), Lines()],
            ["list 2", "list 2 t", "list 1", "watch 10 for 1 s", *["watch 11 for 1 s"] * 2, "watch 11"],
            D11,
            id="and a watch that breaks proves nothing",
        ),
        pytest.param([*PAGES, page(rv="10")], ["list 2", "list 2 t", "list 1", "watch 10"], None, id="if anything"),
        pytest.param(
            [*PAGES, page(rv="19"), HANGING, Lines((line("ADDED", D11),)), HANGING, Lines()],
            ["list 2", "list 2 t", "list 1", *["watch 10 for 1 s"] * 2, *["watch 11 for 1 s"] * 2, "watch 11"],
            D11,
            id="and one that the server does not end in time proves nothing",
        ),
        pytest.param(
            [*PAGES, page(rv="19"), *[HANGING] * 3],
            ["list 2", "list 2 t", "list 1", *["watch 10 for 1 s"] * 3, "watch 10"],
            None,
            id="unless the server ends none",
        ),
        pytest.param(
            [*PAGES, page(rv="19"), GONE_LINE, page(A, rv="18")],
            ["list 2", "list 2 t", "list 1", "watch 10 for 1 s", "list 2", "watch 18"],
            None,
            id="unless the list is too old for a watch, and the next has one page",
        ),
        pytest.param(
            [*PAGES, CUT, Throttled("busy", status=429), page(rv="19"), Lines()],
            ["list 2", "list 2 t", *["list 1"] * 3, "watch 10 for 1 s", "watch 10"],
            None,
            id="and the version to reach is asked for until it is known",
        ),
        pytest.param(
            [*PAGES, page(rv="19"), GONE_LINE, page(A, more="t"), page(B, D11, rv="18")],
            ["list 2", "list 2 t", "list 1", "watch 10 for 1 s", "list 2", "list 2 t", "watch 18"],
            D11,
            id="unless the list is too old for a watch",
        ),
        pytest.param(
            [*PAGES, NotFound("no such resource", status=404), page(A, rv="18"), page(rv="18")],
            ["list 2", "list 2 t", "list 1", "list 2", "list 1", "watch 18"],
            None,
            id="unless the kind is gone by then",
        ),
        pytest.param([page(A)], ["list 2", "watch 10"], None, id="if it has more than a page"),
        pytest.param(
            [page(A), GONE_LINE, *PAGES], ["list 2", "watch 10", "list 2", "list 2 t", "watch 10"], None, id="the first"
        ),
    ],
)
def test_a_first_list_is_complete_once_the_watch_has_told_what_happened_since(
    answers: list[Answer], calls: list[str], seen: Thing | None
) -> None:
    ticks = itertools.count()
    run = Run(*answers, page_limit=2, by_owner=ByOwner("owner"), clock=lambda: float(next(ticks)))
    found: list[Thing | None] = []
    run.on_sync = lambda: found.append(run.store.get("ns/d"))
    run.play()
    assert run.client.calls == calls
    assert found[0] == seen


def test_a_watch_that_the_server_ends_at_once_tells_nothing_about_a_first_list() -> None:
    ended = Lines()
    run = Run(
        *PAGES, page(rv="19"), ended, ended, Lines((bookmark(19),)), page_limit=2, by_owner=ByOwner("owner")
    ).play()
    assert run.client.calls == ["list 2", "list 2 t", "list 1", *["watch 10 for 1 s"] * 3, "watch 19"]
    assert run.synced == 1


def test_events_change_the_store_and_are_announced() -> None:
    a11, a12 = thing("a", 11), thing("a", 12)
    run = Run(page(A), Lines((line("MODIFIED", a11), line("ADDED", thing("d", 12)), line("DELETED", a12)))).play()
    assert run.deltas[1:] == [
        Delta("ns/a", A, a11),
        Delta("ns/d", None, thing("d", 12)),
        Delta("ns/a", a11, None, a12),
    ]
    assert run.metrics.events == ["Modified", "Added", "Deleted"]
    assert run.store.keys() == ("ns/d",)


@pytest.mark.parametrize(
    ("lines", "resumed_from"),
    [
        pytest.param((), "10", id="from the list when nothing was said"),
        pytest.param((line("ADDED", thing("d", 12)),), "12", id="from the last event"),
        pytest.param((line("ADDED", thing("d", 12)), bookmark(20)), "20", id="from a later bookmark"),
        pytest.param(
            (b'{"type":"ADDED","object":' + UNREADABLE.replace(b'"9"', b'"15"') + b"}",), "15", id="from an unreadable"
        ),
    ],
)
@pytest.mark.parametrize("error", [None, CUT], ids=["ended", "cut"])
def test_a_watch_that_ends_is_resumed_without_a_list(
    lines: tuple[bytes, ...], resumed_from: str, error: Exception | None
) -> None:
    run = Run(page(A), Lines(lines, error)).play()
    assert run.client.calls == ["list 500", "watch 10", f"watch {resumed_from}"]
    assert run.metrics.relists == []


def test_a_watch_that_says_nothing_is_opened_anew_at_once() -> None:
    silent = Lines((), Transient("the watch said nothing for 80 s", reason="Timeout"))
    run = Run(page(A), silent, silent, failing=SLOW).play()
    assert run.client.calls == ["list 500", "watch 10", "watch 10", "watch 10"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(Gone("too old", status=410), "gone", id="410 as the answer"),
        pytest.param(Lines((error_line(410, "Expired"),)), "gone", id="410 as an event"),
        pytest.param(NotFound("no such resource", status=404), "absent", id="404"),
        pytest.param(Refused("bad version", status=400), "refused", id="400"),
        pytest.param(Transient("Too large resource version: 99", status=504), "refused", id="a version of the future"),
    ],
)
def test_a_watch_that_cannot_be_resumed_costs_a_list(answer: Answer, reason: str) -> None:
    run = Run(page(A, B), answer, page(B, rv="20")).play()
    assert run.client.calls == ["list 500", "watch 10", "list 500", "watch 20"]
    assert run.metrics.relists == [reason]
    assert run.told == ["+ns/a", "+ns/b", "-ns/a"]
    assert run.synced == 2


def test_other_errors_of_a_watch_cost_a_list_only_when_they_stay() -> None:
    failing = Lines((error_line(500, "InternalError"),))
    run = Run(page(A), failing, failing, Lines((bookmark(11),)), failing, failing, failing, page(A, rv="20")).play()
    assert run.client.calls == [
        "list 500",
        "watch 10",
        "watch 10",
        "watch 10",
        "watch 11",
        "watch 11",
        "watch 11",
        "list 500",
        "watch 20",
    ]
    assert run.metrics.relists == ["stuck"]


def test_a_server_that_answers_410_in_a_circle_is_asked_ever_more_slowly() -> None:
    pauses: list[float] = []

    class Noting(Backoff, frozen=True):
        def delay(self, attempt: int, roll: float = 0.0) -> float:
            pauses.append(attempt)
            return 0.001

    gone = Gone("too old", status=410)
    Run(page(), gone, page(), gone, page(), gone, page(), failing=Noting(base=0.001, cap=1.0)).play()
    assert pauses == [0, 1], "the first relist comes at once, the next ones wait"


@pytest.mark.parametrize(
    "error",
    [
        Transient("connection refused"),
        Throttled("busy", status=429),
        Forbidden("not allowed", status=403),
        Gone("expired", status=410),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_list_that_fails_is_tried_again(error: KubeError) -> None:
    run = Run(error, error, page(A)).play()
    assert run.client.calls == ["list 500"] * 3 + ["watch 10"]
    assert run.told == ["+ns/a"]


def test_a_list_that_keeps_failing_is_reported_once_until_it_works() -> None:
    no = Forbidden("not allowed", status=403)
    told: list[str] = []
    runs: list[Run] = []
    runs.append(Run(no, no, no, no, page(A), on_trouble=lambda _gvr: told.append(runs[0].reflector.trouble)))
    runs[0].play()
    assert told == ["not allowed (HTTP 403)"]
    assert runs[0].reflector.trouble == ""


def troubles(*answers: Answer) -> list[str]:
    """What is reported while lists fail in this way."""
    told: list[str] = []
    runs: list[Run] = []
    runs.append(Run(*answers, page(A), on_trouble=lambda _gvr: told.append(runs[0].reflector.trouble)))
    runs[0].play()
    return told


def test_a_list_that_keeps_failing_for_another_reason_is_reported_anew() -> None:
    away, no = Transient("no route to host"), Forbidden("not allowed", status=403)
    assert troubles(*[away] * 5, *[no] * 5) == ["no route to host", "not allowed (HTTP 403)"]


def test_a_list_that_fails_in_words_with_other_numbers_is_reported_once() -> None:
    assert troubles(*(Transient(f"read tcp 10.0.0.1:{port}: reset") for port in range(50_000, 50_009))) == [
        "read tcp 10.0.0.1:50002: reset"
    ]


def test_errors_that_alternate_are_reported_once() -> None:
    away, no = Transient("no route to host"), Forbidden("not allowed", status=403)
    assert troubles(*[away, no] * 6) == ["no route to host"]


def test_a_list_that_fails_now_and_then_is_not_reported() -> None:
    told: list[str] = []
    busy = Throttled("busy", status=429)
    Run(busy, busy, page(A), on_trouble=lambda _gvr: told.append("trouble")).play()
    assert told == []


def test_the_server_says_how_long_to_wait() -> None:
    started = time.monotonic()
    Run(Throttled("busy", status=429, retry_after=0.03), page(A), failing=Backoff(base=0.001, cap=1.0)).play()
    assert time.monotonic() - started >= 0.03


def test_the_deletion_of_an_object_that_cannot_be_decoded_is_seen() -> None:
    broken = {"metadata": {"name": "a", "namespace": "ns", "uid": A.metadata.uid, "resourceVersion": "12"}, "status": 5}
    run = Run(page(A, B), Lines((line("MODIFIED", {**broken}), line("DELETED", broken)))).play()
    assert run.told == ["+ns/a", "+ns/b", "-ns/a"]
    assert run.store.keys() == ("ns/b",)


@pytest.mark.parametrize(
    "meta",
    [
        pytest.param({"uid": "another", "resourceVersion": "12"}, id="of another object of the name"),
        pytest.param({"uid": "", "resourceVersion": "1"}, id="without a uid"),
    ],
)
def test_a_deletion_that_cannot_be_decoded_changes_nothing(meta: dict[str, str]) -> None:
    broken = {"metadata": {"name": "a", "namespace": "ns", **meta}, "status": 5}
    run = Run(page(A), Lines((line("DELETED", broken),))).play()
    assert run.told == ["+ns/a"]


def test_an_expired_page_starts_the_list_again_in_one_answer() -> None:
    run = Run(page(A, more="t1"), Gone("expired", status=410), page(B, C)).play()
    assert run.client.calls == ["list 500", "list 500 t1", "list 0", "watch 10"]
    assert run.told == ["+ns/b", "+ns/c"]


@pytest.mark.parametrize(
    "early",
    [
        pytest.param([NotFound("no such resource", status=404)] * 3, id="404"),
        pytest.param([INITIALIZING, INITIALIZING], id="storage being set up, whatever it says about waiting"),
        pytest.param([page(rv=""), page(rv="0")], id="a list without a version"),
    ],
)
def test_a_kind_that_is_not_there_yet_is_picked_up_when_it_comes(early: list[Answer]) -> None:
    run = Run(*early, page(A)).play()
    assert run.told == ["+ns/a"]
    assert (run.reflector.served, run.synced, run.gone) == (True, 1, 0)


def test_storage_being_set_up_does_not_end_a_watch_for_good() -> None:
    run = Run(page(A), INITIALIZING, Lines((bookmark(12),))).play()
    assert run.client.calls == ["list 500", "watch 10", "watch 10", "watch 12"]


GONE = NotFound("the server could not find the requested resource", status=404)


def steps(*times: float) -> Callable[[], float]:
    left = deque(times)
    return lambda: left.popleft() if len(left) > 1 else left[0]


class TestKindGone:
    """A list first (clock read twice), a watch that ends in 404 (twice), then lists that end in 404 (twice each)."""

    @staticmethod
    def run(*missing: Answer, times: Sequence[float], is_absent: Callable[[GVR], bool] = lambda _gvr: True) -> Run:
        clock = steps(0, 0, 0, 0, *[at for time_ in times for at in (time_, time_)], times[-1])
        return Run(page(A, B), GONE, *missing, page(rv="50"), clock=clock, is_absent=is_absent).play()

    def test_its_objects_are_announced_as_deleted_once_it_is_certain(self) -> None:
        run = self.run(GONE, GONE, GONE, times=[1.0, 1.5, 2.1])
        assert [(d.key, d.new, d.reason) for d in run.deltas[2:]] == [
            ("ns/a", None, "kind gone"),
            ("ns/b", None, "kind gone"),
        ]
        assert run.gone == 1
        assert run.reflector.served is True
        assert not run.reflector.is_gone

    def test_a_moment_is_not_enough(self) -> None:
        run = self.run(GONE, GONE, times=[1.0, 1.9])
        assert (run.gone, [d.reason for d in run.deltas[2:]]) == (0, ["relist", "relist"])

    def test_one_answer_is_not_enough(self) -> None:
        assert self.run(GONE, times=[9.0]).gone == 0

    def test_another_failure_in_between_starts_the_count_anew(self) -> None:
        assert self.run(GONE, CUT, GONE, times=[1.0, 5.0, 9.0]).gone == 0

    def test_discovery_has_to_agree(self) -> None:
        asked: list[GVR] = []

        def still_there(gvr: GVR) -> bool:
            asked.append(gvr)
            return False

        assert self.run(GONE, GONE, times=[1.0, 3.0], is_absent=still_there).gone == 0
        assert asked == [THINGS]

    def test_discovery_that_fails_proves_nothing(self) -> None:
        def failing(gvr: GVR) -> bool:
            raise CUT

        assert self.run(GONE, GONE, times=[1.0, 3.0], is_absent=failing).gone == 0

    def test_what_is_still_there_afterwards_is_seen_again(self) -> None:
        clock = steps(0, 0, 0, 0, 1.0, 1.0, 3.0, 3.0)
        run = Run(page(A, B), GONE, GONE, GONE, page(A, B, rv="10"), clock=clock, is_absent=lambda _gvr: True).play()
        assert run.gone == 1
        assert run.told == ["+ns/a", "+ns/b", "-ns/a", "-ns/b", "+ns/a", "+ns/b"]

    def test_a_kind_that_only_seems_gone_is_reported_and_keeps_its_objects(self) -> None:
        reported: list[GVR] = []
        clock = steps(0, 0, 0, 0, 1.0, 1.0, 3.0, 3.0, 5.0, 5.0)
        answers: list[Answer] = [page(A), GONE, GONE, GONE, GONE, page(A, rv="10")]
        run = Run(*answers, clock=clock, is_absent=lambda _gvr: False, on_trouble=reported.append).play()
        assert (run.gone, reported, run.told) == (0, [THINGS], ["+ns/a"])
        assert run.reflector.trouble == ""

    def test_it_is_announced_once(self) -> None:
        assert self.run(GONE, GONE, GONE, GONE, times=[1.0, 3.0, 5.0, 7.0], is_absent=lambda gvr: True).gone == 1


def test_an_unreadable_object_is_skipped_and_never_taken_for_deleted() -> None:
    bad = thing("bad", 5)
    run = Run(
        page(A, bad),
        Gone("too old", status=410),
        page(UNREADABLE, B, rv="20"),
        Lines((b'{"type":"MODIFIED","object":' + UNREADABLE + b"}", line("ADDED", thing("d", 21)))),
    ).play()
    assert run.told == ["+ns/a", "+ns/bad", "-ns/a", "+ns/b", "+ns/d"]
    assert run.store.get("ns/bad") == bad
    assert run.metrics.events == ["Unreadable", "Added"]


def test_an_event_without_a_usable_version_is_skipped() -> None:
    odd = line("ADDED", {"metadata": {"name": "odd", "namespace": "ns", "resourceVersion": "x"}})
    run = Run(page(A), Lines((odd, line("ADDED", thing("d", 12))))).play()
    assert run.told == ["+ns/a", "+ns/d"]


def test_a_callback_that_fails_does_not_stop_the_reflector() -> None:
    calls: list[int] = []

    def failing(_gvr: GVR, deltas: Sequence[Delta[Thing]]) -> None:
        calls.append(len(deltas))
        raise RuntimeError("no")

    run = Run(page(A, B), Lines((line("ADDED", thing("d", 12)),)), on_deltas=failing).play()
    assert calls == [2, 1]
    assert run.client.calls == ["list 500", "watch 10", "watch 12"]


def test_a_surprise_is_survived_by_a_new_list() -> None:
    run = Run(page(A), RuntimeError("surprise"), page(B, rv="20")).play()
    assert run.client.calls == ["list 500", "watch 10", "list 500", "watch 20"]


@pytest.mark.parametrize("answers", [[Stopped("bye")], [page(A), Stopped("bye")], [page(A), Lines((), Stopped("bye"))]])
def test_a_client_that_shuts_down_ends_the_thread(answers: list[Answer]) -> None:
    run = Run(*answers)
    run.reflector.start()
    assert run.reflector.join(5)
    assert not run.reflector.is_alive


@pytest.fixture
def waiting_for_a_kind() -> Iterator[Run]:
    run = Run(NotFound("none", status=404), page(A), waiting=SLOW)
    run.reflector.start()
    yield run
    run.reflector.stop()
    assert run.reflector.join(5)


def test_the_wait_for_a_kind_can_be_ended(waiting_for_a_kind: Run) -> None:
    until(lambda: waiting_for_a_kind.reflector.served is False)
    waiting_for_a_kind.reflector.retry_now()
    assert waiting_for_a_kind.reflector.wait_synced(5)
    assert waiting_for_a_kind.told == ["+ns/a"]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([NotFound("none", status=404)], id="while it waits for a kind"),
        pytest.param([Transient("refused")], id="while it backs off"),
        pytest.param([page(A)], id="while it watches"),
    ],
)
def test_stopping_is_prompt(answers: list[Answer]) -> None:
    run = Run(*answers, waiting=SLOW, failing=SLOW)
    run.reflector.start()
    until(lambda: len(run.client.calls) >= len(answers))
    run.reflector.stop()
    assert run.reflector.join(5)


def test_a_reflector_that_never_started_counts_as_ended() -> None:
    run = Run()
    run.reflector.stop()
    assert run.reflector.join(0)
