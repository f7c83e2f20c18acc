"""Every step that an answer of the API server makes of what is known of a kind."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.meta import GVR
from pkg.kinds.kind import Kind
from pkg.kinds.kind_state import (
    Absent,
    Asked,
    Closing,
    CrdChanged,
    CrdDeleted,
    Described,
    Effect,
    Input,
    KindState,
    KindTiming,
    SchemaChanged,
    Served,
    Unanswered,
    Undescribed,
    advance,
    pause,
    to_ask,
)
from pkg.workloads import rules_for

TIMING = KindTiming(retry=1, certain=1.5, settling=2, absent_at_once=2)
BOX = Kind("Box", rules_for(GVR("example.com", "v1", "boxes")))
CRATE = Kind("Crate", BOX.row)
NOW = 100.0

NEW = KindState()
USABLE = KindState(kind=BOX, is_answered=True)
MISSING = KindState(is_answered=True, absent_since=NOW - 1, absent_at=NOW - 1)
LONG_MISSING = KindState(is_answered=True, absent_since=NOW - 9, absent_at=NOW - 1)
GONE = KindState(is_answered=True, absent_since=NOW - 9, absent_at=NOW - 1, is_gone=True)
DOUBTED = KindState(kind=BOX, is_answered=True, absent_since=NOW - 1, absent_at=NOW - 1)
CAME = KindState(is_answered=True, is_stale=True, absent_since=NOW - 9, absent_at=NOW - 1, crd_changed_at=NOW - 0.5)
SETTLING = KindState(is_answered=True, absent_since=NOW - 9, absent_at=NOW - 2, usable_at=NOW + 1)
SETTLED = KindState(
    is_answered=True, absent_since=NOW - 9, absent_at=NOW - 2, is_gone=True, crd_changed_at=NOW - 2, usable_at=NOW
)
UNDESCRIBED = KindState(undescribed_since=NOW - 1)

STEPS: dict[str, tuple[KindState, Input, KindState, Effect]] = {
    "asking answers a change of the CRD": (
        KindState(kind=BOX, is_answered=True, is_stale=True),
        Asked(),
        USABLE,
        Effect.NONE,
    ),
    "a usable kind is asked for again after no answer came: what changed is still to be learned": (
        USABLE,
        Unanswered(),
        msgspec.structs.replace(USABLE, ask_again_at=NOW + 1),
        Effect.NONE,
    ),
    "no answer puts off no earlier look": (
        msgspec.structs.replace(USABLE, ask_again_at=NOW + 0.5),
        Unanswered(),
        msgspec.structs.replace(USABLE, ask_again_at=NOW + 0.5),
        Effect.NONE,
    ),
    "a kind that is not known yet is asked for anyway": (NEW, Unanswered(), NEW, Effect.NONE),
    "the first no is news": (
        NEW,
        Absent(),
        KindState(is_answered=True, absent_since=NOW, absent_at=NOW),
        Effect.ABSENT,
    ),
    "a second no within a moment is none": (
        MISSING,
        Absent(),
        KindState(is_answered=True, absent_since=NOW - 1, absent_at=NOW),
        Effect.NONE,
    ),
    "the no that is confirmed is news": (
        LONG_MISSING,
        Absent(is_confirmed=True),
        KindState(is_answered=True, absent_since=NOW - 9, absent_at=NOW, is_gone=True),
        Effect.ABSENT,
    ),
    "one more no after that is none": (
        GONE,
        Absent(),
        KindState(is_answered=True, absent_since=NOW - 9, absent_at=NOW, is_gone=True),
        Effect.NONE,
    ),
    "a usable kind stays so while its absence is not confirmed": (
        USABLE,
        Absent(),
        KindState(kind=BOX, is_answered=True, absent_since=NOW, absent_at=NOW),
        Effect.NONE,
    ),
    "and is gone once it is": (
        DOUBTED,
        Absent(is_confirmed=True),
        KindState(is_answered=True, absent_since=NOW - 1, absent_at=NOW, is_gone=True),
        Effect.GONE,
    ),
    "or goes on as before when the server has it again": (
        DOUBTED,
        Served(True),
        KindState(kind=BOX, is_answered=True, absent_at=NOW - 1),
        Effect.NONE,
    ),
    "a kind that goes while it settles begins anew": (
        SETTLING,
        Absent(),
        KindState(is_answered=True, absent_since=NOW - 9, absent_at=NOW),
        Effect.NONE,
    ),
    "a kind that was there when first asked for is used at once": (NEW, Served(True), NEW, Effect.NONE),
    "a kind that comes settles from the change of its CRD on, and its cache is made ready": (
        CAME,
        Served(True),
        KindState(
            is_answered=True,
            is_stale=True,
            absent_since=NOW - 9,
            absent_at=NOW - 1,
            crd_changed_at=NOW - 0.5,
            usable_at=NOW + 1.5,
        ),
        Effect.COMING,
    ),
    "without a CRD it settles from now on": (
        MISSING,
        Served(True),
        KindState(is_answered=True, absent_since=NOW - 1, absent_at=NOW - 1, usable_at=NOW + 2),
        Effect.COMING,
    ),
    "a kind that can be no job needs no cache": (
        MISSING,
        Served(False),
        KindState(is_answered=True, absent_since=NOW - 1, absent_at=NOW - 1, usable_at=NOW + 2),
        Effect.NONE,
    ),
    "a kind that settles is not usable yet": (SETTLING, Served(True), SETTLING, Effect.NONE),
    "a kind that has settled is absent no more": (
        SETTLED,
        Served(True),
        KindState(is_answered=True, absent_at=NOW - 2),
        Effect.NONE,
    ),
    "a kind without a schema waits for it": (NEW, Undescribed(), KindState(undescribed_since=NOW), Effect.NONE),
    "and from the first time on": (UNDESCRIBED, Undescribed(), UNDESCRIBED, Effect.NONE),
    "a described kind is usable": (UNDESCRIBED, Described(BOX), USABLE, Effect.SERVED),
    "the same description again is no news": (USABLE, Described(BOX), USABLE, Effect.NONE),
    "another description is": (USABLE, Described(CRATE), KindState(kind=CRATE, is_answered=True), Effect.CHANGED),
    "a schema that came is read by asking again": (
        USABLE,
        SchemaChanged(),
        KindState(kind=BOX, is_answered=True, is_stale=True),
        Effect.NONE,
    ),
    "a usable kind that lets nothing new in is gone": (USABLE, Closing(), KindState(is_answered=True), Effect.GONE),
    "so is one that is first seen so": (NEW, Closing(), KindState(is_answered=True), Effect.GONE),
    "seen so again it is no news": (KindState(is_answered=True), Closing(), KindState(is_answered=True), Effect.NONE),
    "a usable kind whose CRD is being deleted is gone": (
        USABLE,
        CrdDeleted(),
        KindState(is_answered=True),
        Effect.GONE,
    ),
    "a kind that is not usable loses nothing with its CRD": (
        NEW,
        CrdDeleted(),
        KindState(is_answered=True),
        Effect.NONE,
    ),
    "a changed CRD of a usable kind makes it stale": (
        USABLE,
        CrdChanged(),
        KindState(kind=BOX, is_answered=True, is_stale=True, ask_again_at=NOW + 2),
        Effect.NONE,
    ),
    "a changed CRD of an absent kind may be its coming": (
        MISSING,
        CrdChanged(),
        KindState(is_answered=True, is_stale=True, absent_since=NOW - 1, absent_at=NOW - 1, crd_changed_at=NOW),
        Effect.NONE,
    ),
}


@pytest.mark.parametrize(("state", "happened", "new", "effect"), STEPS.values(), ids=STEPS.keys())
def test_advance(state: KindState, happened: Input, new: KindState, effect: Effect) -> None:
    step = advance(state, happened, NOW, TIMING)
    assert step.state == new
    assert step.effect is effect


def again(at: float) -> KindState:
    """A usable kind that is to be asked for once more."""
    return KindState(kind=BOX, is_answered=True, ask_again_at=at)


def gvr(name: str) -> GVR:
    return GVR("example.com", "v1", name)


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        pytest.param({}, [], id="nobody wants a kind"),
        pytest.param({"new": NEW}, ["new"], id="a new one"),
        pytest.param({"usable": USABLE}, [], id="a usable one is not asked for again"),
        pytest.param({"usable": KindState(kind=BOX, is_stale=True)}, ["usable"], id="unless its CRD changed"),
        pytest.param({"usable": again(NOW)}, ["usable"], id="or it is to be asked for once more now"),
        pytest.param({"usable": again(NOW + 1)}, [], id="but not before that time"),
        pytest.param({"missing": MISSING}, ["missing"], id="one that may be absent"),
        pytest.param({"doubted": DOUBTED}, ["doubted"], id="a usable one that discovery lacks"),
        pytest.param({"settling": SETTLING}, ["settling"], id="one that settles, however long it was absent"),
        pytest.param(
            {
                name: KindState(is_answered=True, absent_since=0, absent_at=at)
                for name, at in zip("abc", (9, 7, 8), strict=True)
            },
            ["b", "c"],
            id="of the absent ones a few, those not asked for longest",
        ),
    ],
)
def test_to_ask(states: dict[str, KindState], asked: list[str]) -> None:
    assert to_ask({gvr(name): state for name, state in states.items()}, NOW, TIMING) == [gvr(name) for name in asked]


@pytest.mark.parametrize(
    ("states", "tried", "seconds"),
    [
        pytest.param({}, "", None, id="nobody wants a kind"),
        pytest.param({"a": USABLE}, "a", None, id="all are usable"),
        pytest.param({"a": NEW}, "", 0, id="one came during the round"),
        pytest.param({"a": NEW}, "a", 1, id="one could not be answered"),
        pytest.param({"a": USABLE, "b": MISSING}, "b", 1, id="one is missing"),
        pytest.param({"a": DOUBTED}, "a", 1, id="one is usable, but discovery lacks it"),
        pytest.param({"a": KindState(kind=BOX, is_answered=True, is_stale=True)}, "a", 0, id="a CRD changed meanwhile"),
        pytest.param({"a": again(NOW + 2), "b": again(NOW + 3)}, "a", 2, id="one is to be asked for once more later"),
        pytest.param({"a": again(NOW - 1)}, "b", 0, id="one is to be asked for once more now"),
        pytest.param({"a": KindState(usable_at=NOW + 0.5, is_answered=True)}, "a", 0.5, id="one settles soon"),
    ],
)
def test_pause(states: dict[str, KindState], tried: str, seconds: float | None) -> None:
    assert pause({gvr(name): state for name, state in states.items()}, {gvr(t) for t in tried}, NOW, TIMING) == seconds


def test_a_usable_kind_is_asked_for_twice_after_its_crd_changed() -> None:
    """At once, and once more when discovery no longer answers from before the change."""
    changed = advance(USABLE, CrdChanged(), NOW, TIMING).state
    assert changed == KindState(kind=BOX, is_answered=True, is_stale=True, ask_again_at=NOW + TIMING.settling)
    asked = advance(changed, Asked(), NOW, TIMING).state
    assert asked == again(NOW + TIMING.settling)
    assert advance(asked, Asked(), NOW + TIMING.settling, TIMING).state == USABLE


def test_a_schema_is_waited_for_but_not_for_long() -> None:
    assert not UNDESCRIBED.is_schema_overdue(NOW, TIMING)
    assert UNDESCRIBED.is_schema_overdue(NOW + 0.5, TIMING)
    assert not NEW.is_schema_overdue(NOW, TIMING)
