"""Conditions are set without touching what has not changed."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1 import conditions
from pkg.apis.meta import Condition

OLD = (Condition(type="Finished", status="False", reason="Running", message="m", last_transition_time="t0"),)


def test_a_new_one_goes_to_its_place() -> None:
    put = conditions.put(OLD, Condition(type="Decided", status="True", last_transition_time="t1"))
    assert [condition.type for condition in put] == ["Decided", "Finished"]


def test_the_same_again_gives_back_the_same_tuple() -> None:
    again = Condition(type="Finished", status="False", reason="Running", message="m", last_transition_time="t9")
    assert conditions.put(OLD, again) is OLD


def test_another_reason_keeps_the_time_of_the_transition() -> None:
    (put,) = conditions.put(OLD, Condition(type="Finished", status="False", reason="Other", last_transition_time="t9"))
    assert (put.reason, put.last_transition_time) == ("Other", "t0")


def test_another_status_takes_the_new_time() -> None:
    (put,) = conditions.put(OLD, Condition(type="Finished", status="True", last_transition_time="t9"))
    assert (put.status, put.last_transition_time) == ("True", "t9")


def test_a_message_is_cut_to_what_the_schema_takes() -> None:
    (put,) = conditions.put((), Condition(type="Decided", status="True", message="x" * 5_000))
    assert len(put.message) == 1_024


def test_looking_up_and_taking_away() -> None:
    assert conditions.find(OLD, "Decided") is None
    assert not conditions.is_true(OLD, "Finished")
    assert conditions.without(OLD, "Decided") is OLD
    assert conditions.without(OLD, "Finished") == ()
