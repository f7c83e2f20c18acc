"""Electors that meet over one Lease in memory, step by step, under a clock that the test moves."""

# ruff: noqa: A002 - the signatures are the client's.
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pkg.apis.meta import GVR
from pkg.controllers.engine.elector import Elector
from pkg.controllers.engine.leadership import Lease, LeaseApi, steady_clock
from pkg.controllers.engine.lease import LeaseOptions
from pkg.controllers.engine.unelected import AlwaysLeader
from pkg.kube.errors import Conflict, Exists, NotFound, Transient


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Leases:
    """One Lease with the API server's rules: versions, conflicts, names taken."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.calls: list[str] = []
        self.down = False
        self.lose_answers = False

    def get(self, gvr: GVR, namespace: str | None, name: str, type: type[dict[str, Any]]) -> dict[str, Any]:
        self._called("get")
        if self.lease is None:
            raise NotFound("no lease", status=404)
        return self.lease

    def create(
        self, gvr: GVR, namespace: str | None, body: dict[str, Any], type: type[dict[str, Any]]
    ) -> dict[str, Any]:
        self._called("create")
        if self.lease is not None:
            raise Exists("there is one", status=409)
        return self._store(body)

    def replace(
        self, gvr: GVR, namespace: str | None, name: str, body: dict[str, Any], type: type[dict[str, Any]]
    ) -> dict[str, Any]:
        self._called("replace")
        if self.lease is None:
            raise NotFound("no lease", status=404)
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("it changed", status=409)
        return self._store(body)

    def abort(self) -> None:
        self.calls.append("abort")

    @property
    def holder(self) -> str:
        return "" if self.lease is None else str(self.lease["spec"].get("holderIdentity"))

    def edit(self, **spec: object) -> None:
        """What somebody with kubectl does."""
        assert self.lease is not None
        self._store({**self.lease, "spec": {**self.lease["spec"], **spec}})

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        if self.lose_answers:
            raise Transient("cut")
        return self.lease

    def _called(self, verb: str) -> None:
        self.calls.append(verb)
        if self.down:
            raise Transient("no answer")


def elector(leases: LeaseApi, clock: Clock, identity: str, **kwargs: Any) -> Elector:
    options = LeaseOptions("system", "wc", identity, lease_duration=6, renew_deadline=4, retry_period=1)
    nothing = lambda: None  # noqa: E731
    return Elector(leases, options, nothing, nothing, clock=clock, rng=lambda: 0.0, **kwargs)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases() -> Leases:
    return Leases()


def test_the_first_makes_the_lease_and_leads(leases: Leases, clock: Clock) -> None:
    first = elector(leases, clock, "a")
    assert not first.is_leader()
    assert first.step() == 1
    assert first.is_leader()
    assert (leases.holder, leases.calls) == ("a", ["get", "create"])


def test_keeping_the_lease_costs_one_write_and_no_read(leases: Leases, clock: Clock) -> None:
    first = elector(leases, clock, "a")
    first.step()
    leases.calls.clear()
    for _ in range(10):
        clock.now += 1
        first.step()
    assert leases.calls == ["replace"] * 10
    assert first.is_leader()


def test_the_second_waits_as_long_as_the_first_renews(leases: Leases, clock: Clock) -> None:
    first, second = elector(leases, clock, "a"), elector(leases, clock, "b")
    for _ in range(20):
        first.step()
        second.step()
        clock.now += 1
        assert (first.is_leader(), second.is_leader()) == (True, False)


def test_the_second_takes_over_when_the_first_died_and_never_before(leases: Leases, clock: Clock) -> None:
    first, second = elector(leases, clock, "a"), elector(leases, clock, "b")
    first.step()
    second.step()
    for _ in range(11):
        clock.now += 0.5
        second.step()
        assert not (first.is_leader() and second.is_leader())
        assert not second.is_leader()
    clock.now += 0.5
    second.step()
    assert second.is_leader()
    assert leases.lease is not None
    assert leases.lease["spec"]["leaseTransitions"] == 1


def test_a_waiting_challenger_comes_back_when_the_lease_runs_out(leases: Leases, clock: Clock) -> None:
    first, second = elector(leases, clock, "a"), elector(leases, clock, "b")
    first.step()
    assert second.step() == 1
    clock.now += 5.75
    assert second.step() == pytest.approx(0.25)


def test_a_process_that_was_stopped_does_not_lead_when_it_goes_on(leases: Leases, clock: Clock) -> None:
    first = elector(leases, clock, "a")
    first.step()
    clock.now += 4
    assert not first.is_leader(), "before its elector thread has run at all"


def test_a_leader_cut_off_stops_at_its_deadline_and_leads_again_afterwards(leases: Leases, clock: Clock) -> None:
    told: list[bool] = []
    first = elector(leases, clock, "a", on_leading=lambda name, leading: told.append(leading))
    first.step()
    leases.down = True
    for _ in range(3):
        clock.now += 1
        first.step()
        assert first.is_leader()
    clock.now += 1
    assert not first.is_leader()
    first.step()
    leases.down = False
    first.step()
    assert first.is_leader()
    assert told == [True, False, True]


def test_a_renewal_counts_from_its_beginning(leases: Leases, clock: Clock) -> None:
    class Slow(Leases):
        def _called(self, verb: str) -> None:
            clock.now += 3 if verb == "replace" else 0

    first = elector(Slow(), clock, "a")
    first.step()
    first.step()
    assert first.is_leader()
    clock.now += 1
    assert not first.is_leader()


def test_a_renewal_that_took_longer_than_the_term_begins_another(leases: Leases, clock: Clock) -> None:
    terms: list[bool] = []
    first = elector(leases, clock, "a", on_leading=lambda _name, leading: terms.append(leading))
    first.step()
    clock.now += 3.5
    replace = leases.replace

    def slow(*args: Any) -> dict[str, Any]:
        clock.now += 1.0
        assert not first.is_leader()  # what was to be done now is dropped, and only a new term looks at it again
        return replace(*args)

    leases.replace = slow  # type: ignore[assignment, method-assign]
    first.step()
    assert first.is_leader()
    assert terms == [True, False, True]


def test_a_renewal_whose_answer_was_lost_is_found_out(leases: Leases, clock: Clock) -> None:
    first = elector(leases, clock, "a")
    first.step()
    leases.lose_answers = True
    clock.now += 1
    first.step()
    leases.lose_answers = False
    clock.now += 1
    first.step()
    clock.now += 3.9
    assert first.is_leader()


def test_a_lease_of_the_same_identity_is_taken_up_at_once(leases: Leases, clock: Clock) -> None:
    elector(leases, clock, "a").step()
    again = elector(leases, clock, "a")
    again.step()
    assert again.is_leader()


def test_a_lease_taken_away_ends_leadership(leases: Leases, clock: Clock) -> None:
    first = elector(leases, clock, "a")
    first.step()
    leases.edit(holderIdentity="somebody")
    first.step()
    assert not first.is_leader()


def test_a_lease_emptied_by_hand_begins_a_new_term(leases: Leases, clock: Clock) -> None:
    told: list[bool] = []
    first = elector(leases, clock, "a", on_leading=lambda name, leading: told.append(leading))
    first.step()
    leases.edit(holderIdentity="")
    first.step()
    assert first.is_leader()
    assert told == [True, False, True]


def test_a_lease_that_was_deleted_is_made_again(leases: Leases, clock: Clock) -> None:
    first = elector(leases, clock, "a")
    first.step()
    leases.lease = None
    first.step()
    assert (first.is_leader(), leases.holder) == (True, "a")


def test_what_others_keep_in_the_lease_stays(leases: Leases, clock: Clock) -> None:
    first = elector(leases, clock, "a")
    first.step()
    leases.edit(preferredHolder="b")
    first.step()
    clock.now += 1
    first.step()
    assert leases.lease is not None
    assert leases.lease["spec"]["preferredHolder"] == "b"


def test_of_two_that_come_at_once_one_leads(leases: Leases, clock: Clock) -> None:
    second = elector(leases, clock, "b")

    class Interrupted(Leases):
        def get(self, *args: Any) -> dict[str, Any]:
            found = leases.lease
            second.step()  # comes between the look and the write
            if found is None:
                raise NotFound("no lease", status=404)
            return found

        def create(self, *args: Any) -> dict[str, Any]:
            return leases.create(*args)

    first = elector(Interrupted(), clock, "a")
    first.step()
    assert (first.is_leader(), second.is_leader()) == (False, True)


def test_a_standby_that_watches_the_lease_does_not_read_it(leases: Leases, clock: Clock) -> None:
    first, second = elector(leases, clock, "a"), elector(leases, clock, "b")
    for _ in range(10):
        first.step()
        second.see(leases.lease)
        leases.calls.clear()
        second.step()
        clock.now += 1
    assert leases.calls == []
    assert (first.is_leader(), second.is_leader()) == (True, False)


@pytest.mark.parametrize("seen_after", [0.0, 0.9], ids=["it saw at once", "it saw late"])
def test_a_lease_expires_its_duration_after_the_standby_saw_it_change(
    leases: Leases, clock: Clock, seen_after: float
) -> None:
    first, second = elector(leases, clock, "a"), elector(leases, clock, "b")
    first.step()
    clock.now += seen_after
    second.see(leases.lease)
    left = second.step()
    clock.now += 5.9
    second.step()
    assert not second.is_leader()
    assert left <= 1, "it looks again meanwhile"
    clock.now += 0.1
    second.step()
    assert second.is_leader()
    assert not first.is_leader()


def test_a_released_lease_is_taken_as_soon_as_it_is_seen(leases: Leases, clock: Clock) -> None:
    first, second = elector(leases, clock, "a"), elector(leases, clock, "b")
    first.step()
    second.see(leases.lease)
    second.step()
    leases.edit(holderIdentity="")
    second.see(leases.lease)
    second.step()
    assert second.is_leader()


@pytest.mark.parametrize(
    "skew",
    [
        pytest.param("1970-01-01T00:00:00.000000Z", id="far behind"),
        pytest.param("2199-01-01T00:00:00Z", id="far ahead"),
    ],
)
def test_the_clock_of_the_holder_does_not_matter(leases: Leases, clock: Clock, skew: str) -> None:
    first, second = elector(leases, clock, "a"), elector(leases, clock, "b")
    first.step()
    leases.edit(renewTime=skew, acquireTime=skew)
    second.step()
    clock.now += 5.9
    second.step()
    assert not second.is_leader(), "it is not taken before its time"
    clock.now += 0.1
    second.step()
    assert second.is_leader(), "nor is it waited for any longer"


def test_what_a_watch_says_too_late_takes_nothing_from_a_leader(leases: Leases, clock: Clock) -> None:
    """A watch that fell silent shows a Lease as expired that is renewed all the time."""
    first, second = elector(leases, clock, "a"), elector(leases, clock, "b")
    first.step()
    second.see(leases.lease)
    for _ in range(20):
        clock.now += 1
        first.step()
        second.step()
        assert (first.is_leader(), second.is_leader()) == (True, False)
    assert "get" in leases.calls, "it was refused, and read the Lease"


def test_a_watch_wakes_a_standby_and_a_leader_only_if_another_has_the_lease(leases: Leases) -> None:
    class Changes:
        def start(self, on_change: Callable[[Lease | None], None]) -> None:
            self.on_change = on_change

        def stop(self) -> None:
            pass

    def start(identity: str) -> tuple[Elector, Changes]:
        changes, nothing = Changes(), lambda: None
        options = LeaseOptions("system", "wc", identity, lease_duration=3600, renew_deadline=2000, retry_period=1000)
        made = Elector(leases, options, nothing, nothing, changes=changes)
        made.start()
        return made, changes

    first, of_first = start("a")
    assert first.wait_leader(5)
    second, of_second = start("b")
    try:
        of_first.on_change(leases.lease)
        of_second.on_change(leases.lease)
        first.stop()
        assert not second.is_leader()
        of_second.on_change(leases.lease)
        assert second.wait_leader(5)
    finally:
        second.stop()
    assert leases.calls.count("replace") == 3, "a released it, b took it and released it: no renewal was due"


def test_the_thread_calls_back_in_order_and_releases_the_lease(leases: Leases) -> None:
    told: list[str] = []
    started = threading.Event()
    options = LeaseOptions("system", "wc", "a")

    def on_started() -> None:
        told.append("started")
        started.set()

    first = Elector(leases, options, on_started, lambda: told.append("stopped"))
    first.start()
    assert first.wait_leader(5)
    assert started.wait(5)
    first.stop()
    assert not first.is_leader()
    assert told == ["started", "stopped"]
    assert leases.lease is not None
    assert leases.lease["spec"]["holderIdentity"] == ""
    assert leases.lease["spec"]["leaseDurationSeconds"] == 1
    assert leases.calls[-1] == "abort"


def test_without_release_the_lease_is_left_to_expire(leases: Leases) -> None:
    first = Elector(leases, LeaseOptions("system", "wc", "a"), lambda: None, lambda: None)
    first.start()
    assert first.wait_leader(5)
    first.stop(release=False)
    assert leases.holder == "a"
    assert not first.is_leader()


def test_a_slow_callback_holds_up_no_renewal(leases: Leases) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        go_on.wait(5)

    options = LeaseOptions("system", "wc", "a", lease_duration=2, renew_deadline=0.5, retry_period=0.01)
    first = Elector(leases, options, slow, lambda: None)
    first.start()
    assert entered.wait(5)
    before = leases.version
    threading.Event().wait(0.05)
    assert leases.version > before
    go_on.set()
    first.stop()


def test_options_that_cannot_work_are_refused(leases: Leases) -> None:
    options = LeaseOptions("system", "wc", "a", lease_duration=1, renew_deadline=4)
    with pytest.raises(ValueError, match="--leader-elect-lease-duration is 1s"):
        Elector(leases, options, lambda: None, lambda: None)


def test_without_election_one_leads_from_start_to_stop() -> None:
    told: list[str] = []
    only = AlwaysLeader(lambda: told.append("started"), lambda: told.append("stopped"))
    assert not only.is_leader()
    only.start()
    assert only.wait_leader(0)
    only.stop()
    only.stop()
    assert not only.is_leader()
    assert told == ["started", "stopped"]


def test_the_clock_goes_on() -> None:
    assert steady_clock() <= steady_clock()
