"""The judge of takeovers finds a late one and two leaders that write by turns."""

from __future__ import annotations

import pytest

from hack.faults.judge import Call, Verdict
from hack.faults.takeover import Takeover, assess


def call(at: float, user: str) -> Call:
    return Call(at, at, "create", "faultjobs", f"job-{at:g}", user)


TAKEN = [Takeover("a", "b", at=10.0, stalled=0.0), Takeover("b", "a", at=20.0, stalled=0.0)]
GOOD = [call(1, "a"), call(9, "a"), call(16, "b"), call(19, "b"), call(26, "a")]


def faults(taken: list[Takeover], calls: list[Call]) -> str:
    verdict = Verdict("test", 1)
    assess(verdict, "kill", taken, calls)
    return verdict.faults()


def test_a_run_in_which_each_leader_writes_in_its_own_term_is_clean() -> None:
    assert faults(TAKEN, GOOD) == ""


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        pytest.param(
            [*GOOD, call(16.5, "a")], "after 3 terms b wrote, nobody was due", id="a write after the next one began"
        ),
        pytest.param([*GOOD, call(30, "b")], "after 3 terms b wrote, nobody was due", id="a write long after"),
        pytest.param([*GOOD, call(30, "c")], "c wrote", id="a write of a third one"),
        pytest.param(GOOD[:4], "a led after b and wrote nothing", id="a leader that does nothing"),
        pytest.param([*GOOD[:4], call(27.5, "a")], "a wrote 7.5 s after the fault; 7 s is the bound", id="a late one"),
    ],
)
def test_each_fault_is_said(calls: list[Call], says: str) -> None:
    assert says in faults(TAKEN, calls)


def test_a_takeover_on_a_machine_that_stalled_is_not_compared_with_the_bound() -> None:
    verdict = Verdict("test", 1)
    assess(verdict, "kill", [Takeover("a", "b", at=10.0, stalled=3.0)], [call(9, "a"), call(18, "b")])
    assert verdict.is_clean
    assert "1 of them while this machine stalled" in verdict.what
