"""What a user reads who waits for a lock."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.locks import words
from pkg.controllers.workflow.planner.locks.calls import Held, Place
from pkg.controllers.workflow.planner.locks.holders import Holder, LockAnswer

MUTEX, SEMAPHORE = LockName(LockKind.MUTEX, "db"), LockName(LockKind.SEMAPHORE, "gpus/licences")
HELD = Held(Place(MUTEX), Holder("team/nightly", "u", "load", 3, True), "l", 1, "2026-01-31T10:00:00Z")
_OTHER = Held(Place(MUTEX), Holder("team/other", "v", "f", 0), "l", 2)
SAID: dict[str, tuple[LockAnswer, str, str]] = {
    "a mutex that a task holds": (
        words.held_by(MUTEX, [HELD]),
        Reasons.LOCK_HELD,
        "waits for mutex db, held by nightly/load[3] since 2026-01-31T10:00:00Z",
    ),
    "a semaphore whose places are taken": (
        words.held_by(SEMAPHORE, [HELD, HELD, HELD]),
        Reasons.LOCK_HELD,
        "waits for semaphore gpus/licences, all of whose places are taken: held by nightly/load[3] since"
        " 2026-01-31T10:00:00Z and by 2 more",
    ),
    "a semaphore of one place": (
        words.held_by(SEMAPHORE, [HELD]),
        Reasons.LOCK_HELD,
        "waits for semaphore gpus/licences, all of whose places are taken: held by nightly/load[3] since"
        " 2026-01-31T10:00:00Z",
    ),
    "a semaphore without places": (
        words.closed(SEMAPHORE, []),
        Reasons.LOCK_HELD,
        "waits for semaphore gpus/licences: its limit is 0, so nobody can take it until key licences of ConfigMap gpus"
        " is raised",
    ),
    "a semaphore that was lowered to nothing while it was held": (
        words.closed(SEMAPHORE, [HELD, HELD]),
        Reasons.LOCK_HELD,
        "waits for semaphore gpus/licences: its limit is 0, so nobody can take it until key licences of ConfigMap gpus"
        " is raised; nightly/load[3] since 2026-01-31T10:00:00Z and 1 more may go on",
    ),
    "somebody who waits longer": (
        words.behind(MUTEX, "other/train"),
        Reasons.LOCK_HELD,
        "waits for mutex db behind other/train, which waits longer and for other locks too",
    ),
    "a semaphore that is none": (
        words.invalid(SEMAPHORE, "there is no ConfigMap gpus"),
        Reasons.LOCK_INVALID,
        "semaphore gpus/licences: there is no ConfigMap gpus; its holders go on",
    ),
    "a semaphore that could not be read yet": (
        words.unread(SEMAPHORE, "ConfigMap gpus cannot be read: no answer"),
        Reasons.LOCK_HELD,
        "waits for semaphore gpus/licences, whose number is not known yet: ConfigMap gpus cannot be read: no answer; it"
        " is tried again every ten seconds",
    ),
    "a stranger's Lease": (
        words.stranger(MUTEX, "workflow-lock-0"),
        Reasons.LOCK_INVALID,
        "the Lease workflow-lock-0 has the name of a place of mutex db and is none of the controller's, which leaves it"
        " alone; delete it, and the lock is taken within a minute",
    ),
}


@pytest.mark.parametrize(("answer", "reason", "message"), SAID.values(), ids=SAID)
def test_words(answer: LockAnswer, reason: str, message: str) -> None:
    assert (answer.reason, answer.message) == (reason, message)


def test_long_names_are_cut() -> None:
    long = LockName(LockKind.MUTEX, "m" * 253)
    assert (
        len(
            words.held_by(
                long, [Held(Place(long), Holder(f"team/{'h' * 300}", "u"), "l", 1, "2026-01-31T10:00:00Z")]
            ).message
        )
        < 400
    )


@pytest.mark.parametrize(
    ("holder", "identity"),
    [
        pytest.param(Holder("team/w", "u"), "w", id="a workflow"),
        pytest.param(Holder("team/w", "u", "train"), "w/train", id="a task"),
        pytest.param(Holder("team/w", "u", "train", 3, True), "w/train[3]", id="one of several tasks"),
    ],
)
def test_how_a_holder_is_named(holder: Holder, identity: str) -> None:
    assert holder.identity == identity


@pytest.mark.parametrize(
    ("shown", "answer", "is_news"),
    [
        (words.held_by(MUTEX, [HELD]), words.held_by(MUTEX, [_OTHER]), False),
        (words.held_by(MUTEX, [HELD]), words.behind(MUTEX, "w/f"), False),
        (words.TAKING, words.held_by(MUTEX, [HELD]), True),
        (words.held_by(MUTEX, [HELD]), words.TAKING, True),
        (words.closed(SEMAPHORE, [HELD]), words.closed(SEMAPHORE, []), False),
        (words.held_by(SEMAPHORE, [HELD]), words.closed(SEMAPHORE, [HELD]), True),
        (words.invalid(SEMAPHORE, "no key"), words.invalid(SEMAPHORE, "no number"), True),
        (words.invalid(SEMAPHORE, "no key"), words.invalid(SEMAPHORE, "no key"), False),
    ],
)
def test_what_is_told_to_those_who_read_something_else(shown: LockAnswer, answer: LockAnswer, is_news: bool) -> None:
    assert answer.is_news_after(shown) is is_news
