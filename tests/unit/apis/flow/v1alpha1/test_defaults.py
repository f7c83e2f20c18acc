"""What left-out fields mean."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1 import defaults
from pkg.apis.flow.v1alpha1.types import PolicyType, ProbedPhase, Remaining, Strategy, SuccessPolicy


@pytest.mark.parametrize(
    ("given", "phase", "expected"),
    [
        pytest.param(None, None, Strategy.ALL, id="All by default"),
        pytest.param(None, ProbedPhase.COMPLETED, Strategy.ALL, id="All for a phase"),
        pytest.param(None, ProbedPhase.FAILED, Strategy.ANY, id="Any for Failed"),
        pytest.param(None, ProbedPhase.ABORTED, Strategy.ANY, id="Any for what reads as Failed"),
        pytest.param(Strategy.ALL, ProbedPhase.FAILED, Strategy.ALL, id="as given"),
    ],
)
def test_strategy(given: Strategy | None, phase: ProbedPhase | None, expected: Strategy) -> None:
    assert defaults.strategy(given, phase) is expected


@pytest.mark.parametrize(
    ("policy", "succeeded", "expected"),
    [
        pytest.param(SuccessPolicy(), True, Remaining.DRAIN, id="Drain by default"),
        pytest.param(
            SuccessPolicy(type=PolicyType.CRITICAL), True, Remaining.CONTINUE, id="a satisfied Critical goes on"
        ),
        pytest.param(SuccessPolicy(type=PolicyType.CRITICAL), False, Remaining.DRAIN, id="a failed Critical drains"),
        pytest.param(SuccessPolicy(remaining=Remaining.CANCEL), True, Remaining.CANCEL, id="as given"),
    ],
)
def test_remaining(policy: SuccessPolicy, succeeded: bool, expected: Remaining) -> None:
    assert defaults.remaining(policy, succeeded=succeeded) is expected
