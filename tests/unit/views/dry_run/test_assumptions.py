"""What a dry run is told, and what it says of texts that it cannot read."""

from __future__ import annotations

import pytest

from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.views.dry_run.assumptions import AssumptionError, Assumptions, Target, read_assumptions, unknown_targets

A, A1 = TaskKey("a", 0), TaskKey("a", 1)


def test_durations_of_a_flow_and_of_one_of_its_tasks() -> None:
    found = read_assumptions("30s", ["a=5m", "a/1=1h"])
    assert (found.duration(A), found.duration(A1), found.duration(TaskKey("b", 0))) == (300, 3600, 30)


def test_failures_of_all_or_of_the_first_attempts() -> None:
    found = read_assumptions(failures=["a", "a/1:2"])
    assert [found.fails(A, attempt) for attempt in (0, 7)] == [True, True]
    assert [found.fails(A1, attempt) for attempt in (0, 1, 2)] == [True, True, False]
    assert not found.fails(TaskKey("b", 0), 0)


def test_probes_pass_at_once_later_or_never() -> None:
    found = read_assumptions(probes=["a=10s", "a/1=never"])
    assert (found.answers_after(A), found.answers_after(A1), found.answers_after(TaskKey("b", 0))) == (10, None, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"durations_of": ["a"]}, "'a': write it like flow=5m", id="a duration without ="),
        pytest.param({"durations_of": ["a=5"]}, "'5' is not a duration; write it like 90s", id="no duration"),
        pytest.param({"durations_of": ["/1=5m"]}, "name a flow, or one of its tasks as flow/0", id="no flow"),
        pytest.param({"durations_of": ["a/x=5m"]}, "name a flow, or one of its tasks as flow/0", id="no index"),
        pytest.param({"failures": ["a:0"]}, "such as flow:2", id="fails no times"),
        pytest.param({"failures": ["a:x"]}, "such as flow:2", id="fails a word"),
        pytest.param({"probes": ["a=x"]}, "is not a duration", id="a probe that passes after a word"),
        pytest.param({"default_duration": "x"}, "is not a duration", id="a default that is none"),
    ],
)
def test_faults(given: dict[str, object], message: str) -> None:
    with pytest.raises(AssumptionError, match=message):
        read_assumptions(**given)  # type: ignore[arg-type]


def test_unknown_flows_and_indexes_are_named() -> None:
    told = Assumptions(durations={Target("a", 4): 1.0, Target("x"): 1.0, Target("a", 0): 1.0})
    assert unknown_targets(told, {"a": 4}) == ["a/4: the flow 'a' has the indexes 0 to 3", "no flow is named 'x'"]
