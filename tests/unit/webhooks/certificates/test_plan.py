"""The plan of the webhook's certificate, as a table; and a simulation of replicas that follow it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkg.webhooks.certificates.plan import (
    Generation,
    Inject,
    Issue,
    NoteTrust,
    Policy,
    Retire,
    State,
    Swap,
    Write,
    plan,
)

POLICY = Policy(lifetime=900, renew_before=300, grace=60, retire=120)
NAMES = frozenset({"a", "b"})
OLD = Generation("old", NAMES, 1000.0)
NEW = Generation("new", NAMES, 2000.0)
TRUST = {"v": (frozenset({"old"}),), "m": (frozenset({"old"}), frozenset({"old"}))}
BOTH = {"v": (frozenset({"old", "new"}),), "m": (frozenset({"old", "new"}), frozenset({"old", "new"}))}
STEADY = State(serving=OLD, bundles=TRUST)
COMING = State(serving=OLD, next=NEW, bundles=BOTH)


@pytest.mark.parametrize(
    ("state", "now", "expected"),
    [
        pytest.param(State(), 0, Issue(NAMES, is_first=True), id="an empty Secret: make a certificate"),
        pytest.param(STEADY, 699, (), id="a certificate that is valid for long, and trusted: nothing"),
        pytest.param(STEADY, 700, Issue(NAMES, is_first=False), id="it has to be renewed: make the next"),
        pytest.param(STEADY, 1000, Issue(NAMES, is_first=True), id="it has expired without a next: begin anew"),
        pytest.param(
            replace(STEADY, serving=replace(OLD, not_after=9000.0, not_before=8100.0)),
            500,
            Issue(NAMES, is_first=True),
            id="it is not valid yet, because the clock was fast when it was made: begin anew",
        ),
        pytest.param(
            replace(COMING, serving=replace(OLD, not_after=9000.0, not_before=8100.0)),
            500,
            Swap(),
            id="it is not valid yet, and the next one is: use that",
        ),
        pytest.param(
            replace(COMING, next=replace(NEW, not_after=9000.0, not_before=8100.0)),
            500,
            Issue(NAMES, is_first=False),
            id="the next one is not valid yet: make another",
        ),
        pytest.param(
            replace(STEADY, serving=replace(OLD, names=frozenset({"b", "c"}))),
            0,
            Issue(frozenset({"a", "b", "c"}), is_first=False),
            id="a name is missing: the next one has it, and the names of before",
        ),
        pytest.param(
            replace(STEADY, serving=replace(OLD, names=NAMES | {"c"})), 0, (), id="more names than wanted: nothing"
        ),
        pytest.param(
            replace(STEADY, bundles={**TRUST, "m": (frozenset({"old"}), frozenset())}),
            0,
            (Inject("m", frozenset({"old"})),),
            id="one webhook of a configuration trusts nobody: its configuration is written, the other is not",
        ),
        pytest.param(
            replace(STEADY, bundles={"v": (frozenset({"old", "stranger"}),)}),
            0,
            (Inject("v", frozenset({"old"})),),
            id="a CA of somebody else is trusted: it goes",
        ),
        pytest.param(
            replace(STEADY, bundles={"v": (), "m": None}), 0, (), id="no configuration, or one that cannot be read"
        ),
        pytest.param(
            replace(COMING, bundles=TRUST),
            700,
            (Inject("m", frozenset({"old", "new"})), Inject("v", frozenset({"old", "new"}))),
            id="the next exists: its CA is added beside the old one",
        ),
        pytest.param(
            replace(COMING, bundles={**BOTH, "v": TRUST["v"]}),
            900,
            (Inject("v", frozenset({"old", "new"})),),
            id="one configuration does not trust it yet: no time is noted",
        ),
        pytest.param(COMING, 700, NoteTrust(is_trusted=True), id="all configurations trust the next: note the time"),
        pytest.param(
            replace(COMING, bundles={**BOTH, "v": None}), 700, (), id="one cannot be read: it is not taken for trusted"
        ),
        pytest.param(replace(COMING, next_trusted_at=700.0), 759, (), id="within the grace period: wait"),
        pytest.param(replace(COMING, next_trusted_at=700.0), 760, Swap(), id="after the grace period: use the next"),
        pytest.param(
            replace(COMING, bundles=TRUST, next_trusted_at=700.0),
            760,
            NoteTrust(is_trusted=False),
            id="somebody took the CA away: the grace period begins again",
        ),
        pytest.param(
            replace(COMING, bundles={"v": None}), 1000, Swap(), id="the old one has expired: use the next at once"
        ),
        pytest.param(
            replace(COMING, next=replace(NEW, not_after=1100.0)),
            900,
            Issue(NAMES, is_first=False),
            id="the next has grown old before it was trusted: make another",
        ),
        pytest.param(
            State(NEW, None, ("old",), None, 760.0, BOTH), 879, (), id="the old CA is kept for a while after the swap"
        ),
        pytest.param(State(NEW, None, ("old",), None, 760.0, BOTH), 880, Retire(), id="then it is dropped"),
        pytest.param(
            State(NEW, None, (), None, 760.0, {"v": BOTH["v"]}),
            881,
            (Inject("v", frozenset({"new"})),),
            id="and taken from the configurations",
        ),
    ],
)
def test_what_comes_next(state: State, now: float, expected: Write | tuple[Inject, ...]) -> None:
    assert plan(state, NAMES, now, POLICY) == expected


@pytest.mark.parametrize("lifetime", [30.0, 3600.0, 90 * 86400.0], ids=["half a minute", "an hour", "90 days"])
def test_the_times_of_a_policy_leave_room_for_a_rotation(lifetime: float) -> None:
    policy = Policy.of(lifetime)
    assert policy.grace + policy.retire < policy.renew_before < lifetime
