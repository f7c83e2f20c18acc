"""Every way a process can find the Lease, and what it does about it."""

from __future__ import annotations

import msgspec
import pytest

from pkg.controllers.engine.lease import (
    Acquire,
    LeaseOptions,
    LeaseRecord,
    Observed,
    Renew,
    Verdict,
    Wait,
    acquired,
    judge,
    observe,
    released,
    renewed,
)

OPTIONS = LeaseOptions("system", "workflow-controller", "me", lease_duration=6, renew_deadline=4, retry_period=1)
OTHER = LeaseRecord("other", 10, "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z", 3)
MINE = msgspec.structs.replace(OTHER, holder_identity="me")

VERDICTS: dict[str, tuple[LeaseRecord | None, float, Verdict]] = {
    "there is no Lease": (None, 0, Acquire()),
    "an empty Lease": (LeaseRecord(), 0, Acquire()),
    "a released Lease": (LeaseRecord("", 1), 0, Acquire()),
    "a Lease of our own leads at once": (MINE, 0, Renew()),
    "a Lease of our own that expired is still ours": (MINE, 99, Renew()),
    "another's Lease seen just now, whatever its times say": (OTHER, 0, Wait(10, "other")),
    "another's Lease not yet expired by what it says itself": (OTHER, 9.5, Wait(0.5, "other")),
    "another's Lease unchanged for as long as it lasts": (OTHER, 10, Acquire()),
    "another's Lease that does not say how long it lasts": (LeaseRecord("other"), 5, Wait(1, "other")),
    "another's Lease that does not say how long it lasts, later": (LeaseRecord("other"), 6, Acquire()),
}


@pytest.mark.parametrize(("record", "unchanged_for", "verdict"), VERDICTS.values(), ids=VERDICTS.keys())
def test_judge(record: LeaseRecord | None, unchanged_for: float, verdict: Verdict) -> None:
    assert judge(Observed(record, 100.0), 100.0 + unchanged_for, OPTIONS) == verdict


def test_only_a_change_restarts_the_wait() -> None:
    first = observe(None, OTHER, 1.0)
    assert observe(first, msgspec.structs.replace(OTHER), 5.0) == Observed(OTHER, 1.0)
    changed = msgspec.structs.replace(OTHER, renew_time="2026-01-01T00:00:01.000000Z")
    assert observe(first, changed, 5.0) == Observed(changed, 5.0)


def test_taking_it_counts_a_transition() -> None:
    assert acquired(None, "now", OPTIONS) == LeaseRecord("me", 6, "now", "now", 0)
    assert acquired(OTHER, "now", OPTIONS) == LeaseRecord("me", 6, "now", "now", 4)


def test_keeping_it_changes_the_renew_time_alone() -> None:
    mine = acquired(OTHER, "then", OPTIONS)
    assert renewed(mine, "now", OPTIONS) == msgspec.structs.replace(mine, renew_time="now")


def test_giving_it_up_leaves_no_holder_and_the_count() -> None:
    assert released(acquired(OTHER, "then", OPTIONS), "now") == LeaseRecord("", 1, "now", "now", 4)


def test_a_fraction_of_a_second_is_written_as_a_whole_one_so_that_others_wait_longer_not_shorter() -> None:
    options = msgspec.structs.replace(OPTIONS, lease_duration=6.2)
    assert acquired(None, "now", options).lease_duration_seconds == 7


FAULTS: dict[str, tuple[dict[str, object], str]] = {
    "lease not longer than the deadline": ({"lease_duration": 4}, "--leader-elect-lease-duration is 4s"),
    "deadline leaves no room for a second try": ({"renew_deadline": 1.2}, "--leader-elect-renew-deadline is 1.2s"),
    "no retry period": ({"retry_period": 0}, "--leader-elect-retry-period is 0s; it must be more than 0"),
    "less than a second": (
        {"lease_duration": 0.9, "renew_deadline": 0.5, "retry_period": 0.1},
        "--leader-elect-lease-duration is 0.9s; it must be at least 1s",
    ),
    "no namespace": ({"namespace": ""}, "--leader-elect-resource-namespace must not be empty"),
    "no name": ({"name": ""}, "--leader-elect-resource-name must not be empty"),
    "no identity": ({"identity": ""}, "--leader-elect-identity must not be empty"),
}


@pytest.mark.parametrize(("changes", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_options_that_cannot_work_name_their_flag(changes: dict[str, object], fault: str) -> None:
    faults = msgspec.structs.replace(OPTIONS, **changes).faults()
    assert len(faults) == 1
    assert fault in faults[0]


def test_the_defaults_work() -> None:
    assert OPTIONS.faults() == LeaseOptions("a", "b", "c").faults() == []
