"""The locks of a namespace, sentence by sentence: what is asked of the API server, and who is woken."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.locks.calls import (
    CallAnswer,
    Failed,
    GiveBack,
    GivenBack,
    Held,
    JobsFound,
    Limits,
    LockCall,
    LookForJobs,
    Place,
    ReadLimits,
    Rewritten,
    Take,
    TakeAgain,
    Taken,
    TakenByOther,
)
from pkg.controllers.workflow.planner.locks.holders import Holder, KnownJobs, LockAnswer, LockNeeds, LockView, Want
from pkg.controllers.workflow.planner.locks.space import EXPECT_SECONDS, Space
from pkg.controllers.workflow.planner.locks.tenure import ELECTED, Patience
from pkg.controllers.workflow.planner.locks.words import TAKING
from pkg.controllers.workflow.planner.progress import TaskKey

DB, LOG = LockName(LockKind.MUTEX, "db"), LockName(LockKind.MUTEX, "log")
GPU = LockName(LockKind.SEMAPHORE, "limits/gpu")
TASK = TaskKey("f", 0)
NO_ROOM = Failed(LockAnswer(Reasons.FORBIDDEN, "no right"), may_have_worked=False)
NO_ANSWER = Failed(LockAnswer(Reasons.CREATE_FAILED, "no answer"))


class Bench:
    def __init__(self, *expected: str) -> None:
        self.now = 100.0
        self.space = Space(expected, self.now)
        self.version = 0

    def want(
        self,
        name: str,
        *locks: LockName,
        attempt: int = 0,
        since: float | None = None,
        keeps: bool = False,
        shown: LockAnswer | None = None,
    ) -> None:
        """The one task of a workflow waits for these; none: it wants nothing. shown: not what it would read now."""
        view = self.view(name, *locks)
        reads = view.answers.get(TASK) or next((view.locks[lock] for lock in locks if lock in view.locks), TAKING)
        shown = shown or reads
        want = Want(TASK, attempt, locks, self.now if since is None else since, shown=shown)
        wants = (want,) if locks else ()
        self.space.update(f"team/{name}", f"uid-{name}", LockNeeds(wants, frozenset({TASK} if keeps else ())), self.now)

    def calls(self) -> list[LockCall]:
        return self.space.take_calls()

    def call(self) -> LockCall:
        (call,) = self.calls()
        return call

    def held(self, call: Take | TakeAgain) -> Held:
        self.version += 1
        return Held(call.place, call.holder, f"lease-{call.place.lock}", self.version, "2026-01-31T10:00:00Z")

    def take(self) -> Held:
        """The call is to take a place, and works."""
        call = self.call()
        assert isinstance(call, Take | TakeAgain), call
        held = self.held(call)
        self.space.answered(call, Taken(held), self.now)
        return held

    def view(self, name: str, *locks: LockName) -> LockView:
        return self.space.view(f"team/{name}", f"uid-{name}", locks, self.now)

    def holds(self, name: str) -> bool:
        return TASK in self.view(name).granted

    def look(self, *uids: str) -> None:
        """Once no other controller can make a job any more, the jobs are listed, and these are there."""
        self.now += ELECTED.for_others
        self.space.tick(self.now)
        call = self.call()
        assert isinstance(call, LookForJobs), call
        self.space.answered(call, JobsFound(frozenset(uids)), self.now)

    def woken(self) -> set[str]:
        return self.space.take_woken()


def holder(name: str) -> Holder:
    return Holder(f"team/{name}", f"uid-{name}", "f", 0)


def holding(*locks: LockName) -> Bench:
    """`a` holds these."""
    bench = Bench()
    bench.want("a", *locks)
    for _ in locks:
        bench.take()
    assert bench.holds("a")
    bench.woken()
    return bench


def test_a_holder_counts_once_the_api_server_has_acknowledged_all_of_its_leases() -> None:
    bench = Bench()
    bench.want("a", DB, LOG)
    bench.take()
    assert not bench.holds("a")
    bench.take()
    assert bench.holds("a")
    assert bench.woken() == {"team/a"}


def test_a_release_wakes_only_the_next() -> None:
    bench = holding(DB)
    for name in ("b", "c"):
        bench.want(name, DB)
    bench.woken()
    bench.want("a")
    bench.space.answered(bench.call(), GivenBack(), bench.now)
    bench.take()
    assert bench.woken() == {"team/b"}
    assert not bench.holds("c")


def test_who_holds_is_named_to_who_comes() -> None:
    bench = holding(DB)
    found = bench.view("b", DB).locks[DB]
    assert (found.reason, found.message) == (
        "LockHeld",
        "waits for mutex db, held by a/f since 2026-01-31T10:00:00Z",
    )


def test_who_comes_is_told_who_waits_longer_for_a_lock_that_is_free() -> None:
    bench = holding(DB)
    bench.want("b", DB, LOG)
    assert bench.view("c", LOG).locks[LOG].message == (
        "waits for mutex log behind b/f, which waits longer and for other locks too"
    )
    assert bench.view("b", LOG).locks == {}


def test_who_shows_something_else_than_it_waits_for_is_woken_once() -> None:
    bench = holding(DB)
    shown = LockAnswer(Reasons.LOCK_HELD, "its locks are being taken; this takes a moment")
    needs = LockNeeds((Want(TASK, 0, (DB,), 1.0, shown=shown),))
    for expected in ({"team/b"}, set[str]()):
        bench.space.update("team/b", "uid-b", needs, bench.now)
        assert bench.woken() == expected


def test_an_attempt_does_not_hold_what_was_granted_for_the_one_before() -> None:
    bench = holding(DB)
    bench.want("b", DB)
    bench.now += 1
    bench.want("a", DB, attempt=1)
    call = bench.call()
    assert isinstance(call, GiveBack)
    bench.space.answered(call, GivenBack(), bench.now)
    bench.take()
    assert bench.holds("b")
    assert bench.view("a").is_waiting


def test_an_attempt_takes_over_from_one_whose_job_is_still_there() -> None:
    bench = holding(DB)
    bench.want("a", DB, attempt=1, keeps=True)
    assert bench.view("a").granted == {TASK: 1}
    assert bench.calls() == []


def test_who_keeps_its_locks_needs_no_call() -> None:
    bench = holding(DB)
    bench.want("a", keeps=True)
    assert bench.calls() == []
    assert bench.holds("a")


def test_a_lease_that_is_found_is_taken_again_without_waiting() -> None:
    bench = Bench()
    bench.space.seen(Held(Place(DB), holder("a"), "lease", 1), bench.now)
    assert bench.woken() == {"team/a"}
    bench.want("b", DB, since=1.0)
    bench.want("a", DB, since=50.0)
    assert isinstance(bench.call(), TakeAgain)


def test_a_lease_that_is_found_of_a_task_whose_job_runs_is_left_as_it_is() -> None:
    bench = Bench()
    bench.space.seen(Held(Place(DB), holder("a"), "lease", 1), bench.now)
    bench.want("a", keeps=True)
    assert bench.calls() == []


def test_a_lease_that_is_found_of_somebody_who_needs_it_no_more_is_given_back() -> None:
    bench = Bench()
    held = Held(Place(DB), holder("a"), "lease", 1)
    bench.space.seen(held, bench.now)
    bench.want("a")
    assert bench.calls() == []
    bench.look()
    assert bench.call() == GiveBack(Place(DB), holder("a"), held)


def test_who_found_one_of_two_leases_gives_it_back_if_the_other_is_not_free() -> None:
    bench = Bench()
    bench.space.seen(Held(Place(DB), holder("a"), "lease", 1), bench.now)
    bench.want("b", LOG)
    bench.take()
    bench.want("a", DB, LOG)
    bench.look()
    assert isinstance(bench.call(), GiveBack)


def test_what_another_has_taken_meanwhile_is_learned_from_the_call() -> None:
    bench = Bench()
    bench.want("a", DB, LOG)
    bench.take()
    call = bench.call()
    assert isinstance(call, Take)
    bench.space.answered(call, TakenByOther(Held(call.place, holder("x"), "lease-x", 9)), bench.now)
    assert isinstance(bench.call(), GiveBack)
    assert "mutex log, held by x/f" in bench.view("b", LOG).locks[LOG].message


def test_a_call_without_an_answer_is_made_again_after_a_moment() -> None:
    bench = Bench()
    bench.want("a", DB)
    first = bench.call()
    bench.space.answered(first, NO_ANSWER, bench.now)
    assert bench.calls() == []
    assert bench.space.next_at() == bench.now + 0.5
    bench.now += 1
    bench.space.tick(bench.now)
    assert bench.call() == first


def test_a_lease_that_the_api_server_refuses_is_tried_for_one_of_all_who_wait() -> None:
    bench = Bench()
    for name in "abc":
        bench.want(name, DB)
    bench.space.answered(bench.call(), NO_ROOM, bench.now)
    assert bench.calls() == []
    assert bench.woken() == {"team/a", "team/b", "team/c"}
    assert bench.view("b").answers[TASK] == NO_ROOM.answer
    for name in "abc":
        bench.want(name, DB, since=100.0)
    bench.now += 1.5
    bench.space.tick(bench.now)
    bench.space.answered(bench.call(), NO_ROOM, bench.now)
    assert bench.woken() == set()
    assert bench.space.next_at() == bench.now + 2
    bench.now += 2
    bench.space.tick(bench.now)
    bench.take()
    assert bench.holds("a")


def test_a_stranger_is_looked_at_again_after_half_a_minute() -> None:
    bench = Bench()
    bench.want("a", DB)
    bench.space.answered(bench.call(), TakenByOther(is_stranger=True), bench.now)
    assert bench.view("a").answers[TASK].reason == "LockInvalid"
    assert bench.calls() == []
    bench.now += 31
    bench.space.tick(bench.now)
    bench.take()
    assert bench.holds("a")


@pytest.mark.parametrize(
    ("locks", "answer", "message"),
    [
        pytest.param((DB,), TakenByOther(is_stranger=True), "the Lease workflow-lock-", id="a stranger's Lease"),
        pytest.param(
            (DB,),
            TakenByOther(Held(Place(DB, 0), holder("z"), "lease-z", 1, "2026-01-31T10:00:00Z")),
            "waits for mutex db, held by z/f",
            id="another workflow's Lease",
        ),
        pytest.param((DB,), NO_ROOM, "no right", id="a refusal"),
        pytest.param((LOG, DB), TakenByOther(is_stranger=True), "the Lease workflow-lock-", id="with one to give back"),
        pytest.param((LOG, DB), NO_ROOM, "no right", id="a refusal, with one to give back"),
    ],
)
def test_who_cannot_have_its_lock_reads_why_and_not_that_it_is_being_taken(
    locks: tuple[LockName, ...], answer: CallAnswer, message: str
) -> None:
    """Its status may be written before the answer comes, and after it nothing else need happen to the workflow."""
    bench = Bench()
    bench.want("a", *locks, shown=TAKING)
    for _ in locks[1:]:
        bench.take()
    bench.want("a", *locks, shown=TAKING)
    assert bench.woken() == set()
    bench.space.answered(bench.call(), answer, bench.now)
    for call in bench.calls():
        bench.space.answered(call, GivenBack(), bench.now)
    assert bench.woken() - {"team/z"} == {"team/a"}
    found = bench.view("a").answers[TASK]
    assert message in found.message
    bench.want("a", *locks, shown=found)
    assert bench.woken() == set()


def test_what_a_plan_has_read_before_the_answer_came_is_read_again() -> None:
    bench = Bench()
    bench.want("a", DB)
    bench.space.answered(bench.call(), TakenByOther(is_stranger=True), bench.now)
    answer = bench.view("a").answers[TASK]
    bench.want("a", DB, shown=answer)
    bench.now += 31
    bench.space.tick(bench.now)
    bench.space.answered(bench.call(), TakenByOther(is_stranger=True), bench.now)
    bench.woken()
    for expected in ({"team/a"}, set[str]()):
        bench.want("a", DB, shown=TAKING)  # of a plan that began while the Lease was being taken
        assert bench.woken() == expected


def test_who_reads_already_why_it_cannot_have_its_lock_is_left_alone_when_that_is_tried_again() -> None:
    bench = Bench()
    bench.want("a", DB)
    bench.space.answered(bench.call(), TakenByOther(is_stranger=True), bench.now)
    bench.want("a", DB, shown=bench.view("a").answers[TASK])
    bench.woken()
    bench.now += 31
    bench.space.tick(bench.now)
    bench.space.answered(bench.call(), TakenByOther(is_stranger=True), bench.now)
    assert bench.woken() == set()


def test_a_strangers_lease_is_shown_while_it_is_tried_again_and_no_longer() -> None:
    bench = Bench()
    for name in "ab":
        bench.want(name, DB)
    bench.space.answered(bench.call(), TakenByOther(is_stranger=True), bench.now)
    assert bench.woken() == {"team/a", "team/b"}
    for name in "ab":
        bench.want(name, DB, since=100.0)
    for answer in (TakenByOther(is_stranger=True), None):
        bench.now += 31
        bench.space.tick(bench.now)
        call = bench.call()
        assert bench.view("b").answers[TASK].reason == "LockInvalid"
        assert bench.woken() == set()
        assert isinstance(call, Take)
        bench.space.answered(call, answer or Taken(bench.held(call)), bench.now)
        assert bench.woken() == (set() if answer else {"team/a", "team/b"})
    assert "held by a/f" in bench.view("b").answers[TASK].message


def test_who_waits_is_not_woken_each_time_that_the_lock_passes_on_between_its_plan_and_what_it_tells() -> None:
    bench = Bench()
    bench.want("a", DB)
    bench.take()
    bench.want("z", DB, since=1_000.0)
    bench.woken()
    for before, after in ("ab", "bc"):
        shown = bench.view("z", DB).answers[TASK]
        assert f"held by {before}/f" in shown.message
        bench.want(after, DB)
        bench.want(before)
        bench.space.answered(bench.call(), GivenBack(), bench.now)
        bench.take()
        bench.woken()
        bench.want("z", DB, since=1_000.0, shown=shown)
        assert bench.woken() == set()


def test_who_was_planned_before_those_who_wait_longer_is_told_once_everybody_is_there() -> None:
    bench = Bench("team/a", "team/x")
    bench.want("b", DB, since=50.0)
    bench.want("a", DB, since=10.0)
    bench.woken()
    bench.want("x")
    assert bench.woken() == {"team/b"}
    assert "held by a/f" in bench.view("b").answers[TASK].message


def test_who_comes_to_stand_behind_another_at_the_start_of_a_term_is_told_once_everybody_is_there() -> None:
    bench = Bench("team/b", "team/c", "team/x")
    bench.space.seen(Held(Place(DB, 0), holder("a"), "lease-a", 1, "2026-01-31T10:00:00Z"), bench.now)
    bench.want("a", keeps=True)
    bench.want("c", LOG, since=2.0)
    bench.want("b", DB, LOG, since=1.0)
    bench.woken()
    bench.want("x")
    assert bench.woken() == {"team/c"}
    assert "behind b/f" in bench.view("c").answers[TASK].message


def test_who_loses_its_only_lease_to_somebody_else_before_it_has_a_job_is_asked_what_it_needs() -> None:
    bench = holding(DB)
    held = Held(Place(DB, 0), holder("a"), "lease-mutex db", 1, "2026-01-31T10:00:00Z")
    bench.space.lost(held, bench.now)
    bench.space.answered(bench.call(), TakenByOther(is_stranger=True), bench.now)
    assert bench.woken() == {"team/a"}
    bench.want("a", DB)
    assert bench.view("a").answers[TASK].reason == "LockInvalid"


def test_who_loses_one_of_its_leases_to_somebody_else_before_it_has_a_job_waits_for_both_again() -> None:
    bench = holding(DB, LOG)
    bench.space.lost(Held(Place(DB, 0), holder("a"), "lease-mutex db", 1, "2026-01-31T10:00:00Z"), bench.now)
    other = Held(Place(DB, 0), holder("z"), "lease-z", 9, "2026-01-31T10:00:00Z")
    bench.space.answered(bench.call(), TakenByOther(other), bench.now)
    assert "team/a" in bench.woken()
    assert not bench.holds("a"), "a job is made only under both locks"
    bench.want("a", DB, LOG)
    bench.space.answered(bench.call(), GivenBack(), bench.now)
    assert bench.calls() == []
    assert "held by z/f" in bench.view("a").answers[TASK].message


def test_a_lock_that_somebody_else_could_take_is_refused_no_more() -> None:
    bench = Bench()
    bench.want("a", DB)
    bench.space.answered(bench.call(), NO_ROOM, bench.now)
    bench.want("a", DB)
    bench.woken()
    bench.now += 2
    bench.space.tick(bench.now)
    other = Held(Place(DB, 0), holder("z"), "lease-z", 1, "2026-01-31T10:00:00Z")
    bench.space.answered(bench.call(), TakenByOther(other), bench.now)
    assert "team/a" in bench.woken()
    assert "held by z/f" in bench.view("a").answers[TASK].message


def test_who_waits_behind_another_reads_that_once_the_limit_is_known() -> None:
    bench = holding(DB)
    bench.want("b", GPU, DB, since=1.0)
    bench.want("c", GPU, since=2.0)
    assert bench.view("c").answers == {}
    bench.woken()
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "2"}), bench.now)
    assert bench.woken() == {"team/c"}
    assert "behind b/f" in bench.view("c").answers[TASK].message


def test_a_semaphore_is_read_before_it_is_taken_and_once_for_all() -> None:
    bench = Bench()
    for name in "abc":
        bench.want(name, GPU)
    assert bench.call() == ReadLimits("limits")
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "2"}), bench.now)
    for call in bench.calls():
        assert isinstance(call, Take)
        bench.space.answered(call, Taken(bench.held(call)), bench.now)
    assert [bench.holds(name) for name in "abc"] == [True, True, False]
    assert bench.space.next_at() == bench.now + 10


def test_a_limit_that_is_raised_lets_more_in_and_one_that_is_lowered_takes_nothing_away() -> None:
    bench = Bench()
    for name in "abc":
        bench.want(name, GPU)
    bench.calls()
    for text, expected in (("1", "a"), ("2", "ab"), ("0", "ab")):
        bench.space.answered(ReadLimits("limits"), Limits({"gpu": text}), bench.now)
        for call in bench.calls():
            assert isinstance(call, Take)
            bench.space.answered(call, Taken(bench.held(call)), bench.now)
        assert "".join(name for name in "abc" if bench.holds(name)) == expected


def test_who_waits_reads_that_nobody_may_take_a_semaphore_any_more_although_somebody_holds_it() -> None:
    """Else it reads for ever that it waits for a holder, which ended long ago."""
    bench = Bench()
    for name in "ab":
        bench.want(name, GPU)
    bench.calls()
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "1"}), bench.now)
    bench.take()
    bench.woken()
    assert "held by a/f" in bench.view("b").answers[TASK].message
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "0"}), bench.now)
    assert bench.woken() == {"team/b"}
    assert "until key gpu of ConfigMap limits is raised; a/f" in bench.view("b").answers[TASK].message


@pytest.mark.parametrize(
    "data",
    [pytest.param(None, id="no ConfigMap"), pytest.param({}, id="no key"), pytest.param({"gpu": "x"}, id="no number")],
)
def test_an_invalid_semaphore_wakes_those_who_wait_and_holds_up_nobody_at_other_locks(
    data: dict[str, str] | None,
) -> None:
    bench = Bench()
    bench.want("a", DB, GPU, since=1.0)
    assert bench.call() == ReadLimits("limits")
    bench.space.answered(ReadLimits("limits"), Limits(data), bench.now)
    assert bench.woken() == {"team/a"}
    assert bench.view("a").answers[TASK].reason == "LockInvalid"
    bench.want("b", DB, since=2.0)
    bench.take()
    assert bench.holds("b")


def test_a_config_map_that_cannot_be_read_for_now_keeps_its_value() -> None:
    bench = Bench()
    for name in "ab":
        bench.want(name, GPU)
    bench.calls()
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "1"}), bench.now)
    bench.take()
    bench.now += 11
    bench.space.tick(bench.now)
    assert bench.call() == ReadLimits("limits")
    bench.space.answered(ReadLimits("limits"), NO_ANSWER, bench.now)
    assert bench.view("b").answers[TASK].reason == "LockHeld"


def test_a_lease_that_somebody_deletes_is_taken_again_while_its_holder_goes_on() -> None:
    bench = Bench()
    bench.want("a", DB)
    held = bench.take()
    bench.want("a", keeps=True)
    bench.want("b", DB)
    bench.space.lost(held, bench.now)
    call = bench.call()
    assert isinstance(call, Take)
    assert call.holder == holder("a")


def test_one_who_lost_its_lease_to_another_holds_nothing_and_the_other_counts() -> None:
    bench = Bench()
    bench.want("a", DB)
    held = bench.take()
    bench.want("a", keeps=True)
    bench.space.lost(held, bench.now)
    call = bench.call()
    bench.space.answered(call, TakenByOther(Held(Place(DB), holder("x"), "lease-x", 9)), bench.now)
    assert not bench.holds("a")
    assert "held by x/f" in bench.view("b", DB).locks[DB].message


def test_what_a_watch_shows_late_changes_nothing() -> None:
    bench = Bench()
    bench.want("a", DB)
    held = bench.take()
    bench.want("a")
    bench.space.answered(bench.call(), GivenBack(), bench.now)
    bench.space.seen(held, bench.now)
    assert bench.space.is_idle


def test_nobody_is_served_before_those_have_reported_who_stood_in_line() -> None:
    bench = Bench("team/first", "team/second")
    bench.want("late", DB)
    bench.want("first", DB, since=1.0)
    assert bench.calls() == []
    bench.space.leave("team/second", "uid-second", bench.now)
    call = bench.call()
    assert isinstance(call, Take)
    assert call.holder == holder("first")


def test_one_that_never_reports_is_waited_for_only_so_long() -> None:
    bench = Bench("team/never")
    bench.want("a", DB)
    assert bench.space.next_at() == 100.0 + EXPECT_SECONDS
    bench.now += EXPECT_SECONDS
    bench.space.tick(bench.now)
    bench.take()
    assert bench.holds("a")


def test_a_second_place_of_the_same_lock_is_given_back() -> None:
    bench = Bench()
    bench.want("a", GPU)
    bench.calls()
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "2"}), bench.now)
    bench.take()
    late = Held(Place(GPU, 1), holder("a"), "lease-late", 9)
    bench.space.seen(late, bench.now)
    assert bench.call() == GiveBack(Place(GPU, 1), holder("a"), late)
    assert bench.holds("a")


@pytest.mark.parametrize("seconds", [pytest.param(3600.0, id="old"), pytest.param(-50.0, id="of a clock set back")])
def test_a_limit_that_was_read_while_nobody_waited_any_more_grants_nothing(seconds: float) -> None:
    bench = Bench()
    bench.want("a", GPU)
    bench.calls()
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "3"}), bench.now)
    bench.take()
    bench.now += seconds
    bench.want("b", GPU)
    assert bench.call() == ReadLimits("limits")
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "1"}), bench.now)
    assert bench.calls() == []
    assert "held by a/f" in bench.view("b").answers[TASK].message


def test_who_found_one_of_two_leases_does_not_take_a_semaphore_on_an_old_limit() -> None:
    bench = Bench()
    bench.want("x", GPU)
    bench.calls()
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "3"}), bench.now)
    bench.take()
    bench.now += 3600
    bench.space.seen(Held(Place(DB), holder("a"), "lease", 1), bench.now)
    bench.want("a", DB, GPU)
    bench.look()
    assert isinstance(bench.call(), GiveBack)


def test_who_stands_aside_as_its_semaphore_becomes_invalid_lets_those_behind_it_at_other_locks_go_on() -> None:
    bench = Bench()
    bench.want("z", GPU)
    bench.calls()
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "1"}), bench.now)
    bench.take()
    bench.want("x", DB, GPU, since=1.0)
    bench.want("y", DB, since=2.0)
    assert bench.calls() == []
    bench.space.answered(ReadLimits("limits"), Limits(None), bench.now)
    bench.take()
    assert bench.holds("y")


def test_a_lock_that_was_refused_is_open_again_once_a_lease_of_it_is_acknowledged() -> None:
    """Another try of the same call had made the Lease. Nobody else would ever open the line again."""
    bench = Bench()
    bench.want("a", DB)
    bench.space.answered(bench.call(), NO_ROOM, bench.now)
    bench.want("b", DB)
    bench.space.seen(Held(Place(DB), holder("a"), "lease", 1), bench.now)
    bench.want("a", DB)
    bench.woken()
    bench.take()
    assert bench.holds("a")
    assert "held by a/f" in bench.view("b").answers[TASK].message
    assert bench.woken() == {"team/a", "team/b"}, "b does not read any more that its lock is refused"
    bench.want("a")
    bench.look()
    bench.space.answered(bench.call(), GivenBack(), bench.now)
    bench.take()
    assert bench.holds("b")


def test_a_creation_that_had_no_answer_and_is_refused_when_it_is_tried_again_may_have_worked() -> None:
    """So the Lease is looked for before the place is given to somebody else."""
    bench = Bench()
    bench.want("a", DB)
    first = bench.call()
    bench.want("b", DB)
    bench.space.answered(first, NO_ANSWER, bench.now)
    bench.now += 1
    bench.space.tick(bench.now)
    again = bench.call()
    assert again == first
    bench.space.answered(again, NO_ROOM, bench.now)
    assert bench.call() == GiveBack(Place(DB), holder("a"), None)
    assert not bench.holds("b")


def test_who_stands_aside_as_a_lease_is_refused_lets_those_behind_it_at_other_locks_go_on() -> None:
    bench = Bench()
    bench.want("z", DB)
    taking = bench.call()
    bench.want("x", DB, LOG, since=1.0)
    bench.want("y", LOG, since=2.0)
    assert bench.calls() == []
    bench.space.answered(taking, NO_ROOM, bench.now)
    bench.take()
    assert bench.holds("y")


def test_a_lease_that_was_taken_for_gone_and_is_there_is_believed_and_not_asked_for_again_at_once() -> None:
    bench = Bench()
    held = Held(Place(DB), holder("x"), "lease-x", 9)
    bench.space.lost(held, bench.now)
    bench.want("a", DB)
    bench.space.answered(bench.call(), TakenByOther(held), bench.now)
    assert bench.calls() == []
    assert "held by x/f" in bench.view("a").answers[TASK].message
    assert bench.woken() >= {"team/x"}


def test_a_lease_that_was_changed_by_hand_into_that_of_another_is_not_asked_for_again_at_once() -> None:
    bench = Bench()
    bench.space.seen(Held(Place(DB), holder("a"), "lease", 1), bench.now)
    bench.want("a", DB)
    bench.space.answered(bench.call(), TakenByOther(Held(Place(DB), holder("x"), "lease", 2)), bench.now)
    assert bench.calls() == []
    assert "held by x/f" in bench.view("a").answers[TASK].message


def test_one_that_is_gone_again_by_the_time_the_answer_comes_is_given_back_by_its_holder() -> None:
    bench = Bench()
    held = Held(Place(DB), holder("x"), "lease-x", 9)
    bench.want("a", DB)
    taking = bench.call()
    bench.space.lost(held, bench.now)
    bench.space.answered(taking, TakenByOther(held), bench.now)
    bench.want("x")
    bench.look()
    bench.space.answered(bench.call(), GivenBack(), bench.now)
    bench.take()
    assert bench.holds("a")


FOUND = Held(Place(DB), holder("a"), "lease", 1)


def update(bench: Bench, *, keeps: bool = False, known: KnownJobs | None = None, is_unsure: bool = False) -> None:
    """What the workflow of `a` needs, which waits for nothing."""
    needs = LockNeeds(
        (),
        frozenset({TASK} if keeps else ()),
        {TASK: known} if known is not None else {},
        frozenset({TASK} if is_unsure else ()),
    )
    bench.space.update("team/a", "uid-a", needs, bench.now)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(KnownJobs(frozenset({"j"}), 0, is_final=True), True, id="its job is known, and it has ended"),
        pytest.param(KnownJobs(is_final=True), False, id="it has ended, and no job is known"),
        pytest.param(KnownJobs(frozenset({"j"}), 0), False, id="the job may be that of an earlier attempt"),
        pytest.param(None, False, id="nothing is known"),
    ],
)
def test_a_lease_of_another_controller_is_given_back_at_once_only_if_the_job_is_there(
    known: KnownJobs | None, expected: bool
) -> None:
    bench = Bench()
    bench.space.seen(FOUND, bench.now)
    update(bench, known=known)
    assert (bench.calls() == [GiveBack(Place(DB), holder("a"), FOUND)]) is expected


def test_a_job_that_a_list_shows_and_no_plan_knows_is_looked_for_again_until_the_plan_knows_it() -> None:
    bench = Bench()
    bench.space.seen(FOUND, bench.now)
    update(bench)
    for _ in range(2):
        bench.look("j")
        assert bench.calls() == []
    update(bench, keeps=True)
    bench.now += 5
    bench.space.tick(bench.now)
    assert bench.calls() == []
    update(bench, known=KnownJobs(frozenset({"j"}), 0))
    assert bench.calls() == [GiveBack(Place(DB), holder("a"), FOUND)]


def test_who_wants_again_what_it_was_about_to_give_back_takes_it_again() -> None:
    bench = Bench()
    bench.space.seen(FOUND, bench.now)
    update(bench)
    bench.want("a", DB)
    assert isinstance(bench.call(), TakeAgain)


def test_a_lease_that_another_controller_writes_while_it_is_given_back_is_kept_until_that_can_make_no_job() -> None:
    bench = holding(DB)
    update(bench)
    call = bench.call()
    assert isinstance(call, GiveBack)
    bench.space.answered(call, Rewritten(Held(Place(DB), holder("a"), "lease-x", 9)), bench.now)
    assert bench.calls() == []
    bench.look()
    assert bench.call() == GiveBack(Place(DB), holder("a"), Held(Place(DB), holder("a"), "lease-x", 9))


def test_a_lease_that_was_there_already_is_not_given_back_at_once_by_who_took_it_for_nothing() -> None:
    """The plan is older than the turn of its task: another controller has made the job by this Lease."""
    bench = Bench()
    bench.want("a", DB)
    call = bench.call()
    assert isinstance(call, Take)
    update(bench)
    bench.space.answered(call, Taken(bench.held(call), is_shared=True), bench.now)
    assert bench.calls() == []
    update(bench, keeps=True)
    bench.now += 60
    bench.space.tick(bench.now)
    assert bench.calls() == []


def test_what_is_held_for_a_creation_without_an_answer_is_kept_until_its_job_cannot_come_any_more() -> None:
    bench = holding(DB)
    update(bench, is_unsure=True)
    assert bench.calls() == []
    bench.look()
    assert isinstance(bench.call(), GiveBack)


def test_a_lease_that_is_deleted_by_hand_right_after_a_change_of_leader_is_put_back_if_the_job_goes_on() -> None:
    bench = Bench()
    bench.space.seen(FOUND, bench.now)
    bench.woken()
    bench.space.lost(FOUND, bench.now)
    assert bench.woken() == {"team/a"}
    bench.want("b", DB)
    assert bench.calls() == []
    update(bench, keeps=True)
    call = bench.call()
    assert isinstance(call, Take)
    assert call.holder == holder("a")


def test_a_lease_that_is_deleted_by_hand_after_a_change_of_leader_is_put_back_also_later() -> None:
    bench = Bench()
    bench.space.seen(FOUND, bench.now)
    update(bench, keeps=True)
    bench.space.lost(FOUND, bench.now)
    assert isinstance(bench.call(), Take)


def test_a_lease_that_is_deleted_by_hand_of_somebody_who_needs_it_no_more_frees_the_lock() -> None:
    bench = Bench()
    bench.space.seen(FOUND, bench.now)
    bench.space.lost(FOUND, bench.now)
    bench.want("b", DB)
    update(bench)
    bench.take()
    assert bench.holds("b")


def test_a_job_is_made_only_for_a_while_after_a_lease_was_acknowledged_where_no_election_ends_that() -> None:
    bench = Bench()
    bench.space = Space(patience=Patience.of(is_elected=False))
    bench.want("a", DB)
    bench.take()
    assert bench.space.may_create("team/a", "uid-a", TASK, 0, bench.now)
    assert not bench.space.may_create("team/a", "uid-a", TASK, 1, bench.now)
    bench.now += 9
    assert not bench.space.may_create("team/a", "uid-a", TASK, 0, bench.now)
    assert not bench.holds("a")
    bench.want("a", DB)
    bench.take()
    assert bench.holds("a")
    assert len(bench.space.take_acquired()) == 1


def test_of_two_places_that_two_controllers_took_for_one_holder_the_lower_one_stays() -> None:
    bench = Bench()
    bench.want("x", GPU)
    bench.calls()
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "2"}), bench.now)
    bench.take()
    bench.want("a", GPU)
    own = bench.take()
    assert own.place == Place(GPU, 1)
    bench.want("x")
    bench.space.answered(bench.call(), GivenBack(), bench.now)
    bench.space.seen(Held(Place(GPU, 0), holder("a"), "lease-other", 9), bench.now)
    assert bench.call() == GiveBack(Place(GPU, 1), holder("a"), own)


def test_who_waits_reads_that_a_config_map_could_never_be_read_and_is_woken_once() -> None:
    bench = Bench()
    bench.want("a", GPU)
    bench.calls()
    failed = Failed(LockAnswer(Reasons.LOCK_INVALID, "ConfigMap limits cannot be read: no answer"))
    for expected in ({"team/a"}, set[str]()):
        bench.space.answered(ReadLimits("limits"), failed, bench.now)
        assert bench.woken() == expected
        answer = LockAnswer(
            Reasons.LOCK_HELD,
            "waits for semaphore limits/gpu, whose number is not known yet: ConfigMap limits cannot be read: no answer;"
            " it is tried again every ten seconds",
        )
        assert bench.view("a").answers[TASK] == answer
        assert bench.view("b", GPU).locks == {GPU: answer}
        bench.now += 10
        bench.space.tick(bench.now)
        assert bench.call() == ReadLimits("limits")
    bench.space.answered(ReadLimits("limits"), Limits({"gpu": "1"}), bench.now)
    bench.take()
    assert bench.holds("a")
