"""concurrencyPolicy and the history limits."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.types import ConcurrencyPolicy
from pkg.controllers.cronworkflow.planner.concurrency import verdict
from pkg.controllers.cronworkflow.planner.history import surplus
from pkg.controllers.cronworkflow.planner.snapshot import Run
from tests.unit.controllers.cronworkflow.setups import at, run

RUNS = run("01:00:00")
ENDED = run("01:00:00", ended="01:10:00")
ALLOW, FORBID, REPLACE = ConcurrencyPolicy


@pytest.mark.parametrize(
    ("policy", "runs", "waits", "terminates"),
    [
        pytest.param(ALLOW, [RUNS], [], [], id="Allow waits for nothing"),
        pytest.param(FORBID, [RUNS], [RUNS], [], id="Forbid waits for a run that has not ended, and leaves it alone"),
        pytest.param(FORBID, [ENDED], [], [], id="Forbid does not wait for a run that has ended"),
        pytest.param(
            FORBID,
            [run("01:00:00", ended="01:10:00", has_jobs=True)],
            [],
            [],
            id="nor for its jobs, if they are being deleted",
        ),
        pytest.param(REPLACE, [RUNS], [RUNS], [RUNS], id="Replace terminates a run that has not ended, and waits"),
        pytest.param(
            REPLACE,
            [run("01:00:00", is_terminated=True)],
            [run("01:00:00", is_terminated=True)],
            [],
            id="Replace terminates a run once",
        ),
        pytest.param(
            REPLACE,
            [run("01:00:00", is_deleting=True)],
            [run("01:00:00", is_deleting=True)],
            [],
            id="Replace waits for a run that is being deleted",
        ),
        pytest.param(
            REPLACE,
            [run("01:00:00", ended="01:10:00", has_jobs=True)],
            [run("01:00:00", ended="01:10:00", has_jobs=True)],
            [],
            id="Replace waits until the jobs of the earlier run are gone",
        ),
        pytest.param(REPLACE, [ENDED], [], [], id="Replace makes the run once the earlier one is gone from the way"),
    ],
)
def test_concurrency(policy: ConcurrencyPolicy, runs: list[Run], waits: list[Run], terminates: list[Run]) -> None:
    said = verdict(policy, runs)
    assert (list(said.waits_for), list(said.terminates)) == (waits, terminates)
    assert said.may_make is (not waits)


ENDS = [run(f"{hour:02}:00:00", ended=f"{hour:02}:10:00") for hour in range(1, 6)]
FAILS = [run(f"{hour:02}:30:00", ended=f"{hour:02}:40:00", failed=True) for hour in range(1, 4)]


@pytest.mark.parametrize(
    ("runs", "covered", "deleted"),
    [
        pytest.param([*ENDS, *FAILS], "09:00:00", [*ENDS[2::-1], *FAILS[1::-1]], id="the newest of each kind are kept"),
        pytest.param(ENDS, "02:00:00", ENDS[1::-1], id="no run goes that lastScheduleTime does not cover yet"),
        pytest.param([run("01:00:00"), *ENDS[3:]], "09:00:00", [], id="a run that has not ended is never too many"),
        pytest.param(
            [run("01:00:00", ended="01:10:00", is_deleting=True), *ENDS[3:]],
            "09:00:00",
            [],
            id="a run is deleted once",
        ),
        pytest.param(
            [run("01:00:00", ended="01:10:00", time=None), *ENDS[3:]],
            "00:00:00",
            [run("01:00:00", ended="01:10:00", time=None)],
            id="a run that a person started counts as any other",
        ),
    ],
)
def test_history(runs: list[Run], covered: str, deleted: list[Run]) -> None:
    assert list(surplus(runs, succeeded=2, failed=1, covered=at(covered))) == deleted
