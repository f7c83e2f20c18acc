"""What left-out fields mean, and what the hash of a spec sees."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1 import defaults
from pkg.apis.flow.v1alpha1.types import PolicyType, ProbedPhase, Remaining, Strategy, SuccessPolicy, WorkflowSpec
from tests.manifests import decoded


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


def hash_of(**fields: Any) -> str:
    return defaults.spec_hash(decoded({"flows": [{"name": "a", "retry": {}}], **fields}, WorkflowSpec))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing"),
        pytest.param(
            {"jobRetainPolicy": "retain", "successPolicy": {"type": "All"}, "plugins": {}}, id="defaults written out"
        ),
        pytest.param(
            {"flows": [{"name": "a", "retry": {"interval": "10s", "factor": 2, "maxInterval": "5m"}}]}, id="nested ones"
        ),
        pytest.param(
            {"suspend": True, "shutdown": "Stop", "restart": {"at": "1"}, "timeout": "1h"}, id="what may change"
        ),
        pytest.param({"parallelism": 3, "ttlSecondsAfterFinished": 0}, id="more of what may change"),
        pytest.param(
            {"flows": [{"name": "a", "template": "a", "retry": {}}]}, id="the flow's own name as its template"
        ),
    ],
)
def test_these_do_not_change_the_hash(fields: dict[str, Any]) -> None:
    assert hash_of(**fields) == hash_of()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"flows": [{"name": "b", "retry": {}}]}, id="another flow"),
        pytest.param({"flows": [{"name": "a", "retry": {}, "for": {}}]}, id="an index where there was none"),
        pytest.param({"flows": [{"name": "a", "retry": {}, "patch": {"spec": {"x": 1}}}]}, id="a patch"),
        pytest.param({"jobRetainPolicy": "delete"}, id="a policy"),
        pytest.param({"parameters": [{"name": "x", "value": "1"}]}, id="a parameter"),
    ],
)
def test_these_change_the_hash(fields: dict[str, Any]) -> None:
    assert hash_of(**fields) != hash_of()


def test_the_hash_does_not_see_the_order_of_keys() -> None:
    one = {"flows": [{"name": "a", "patch": {"x": 1, "y": 2}}]}
    two = {"flows": [{"patch": {"y": 2, "x": 1}, "name": "a"}]}
    assert hash_of(**one) == hash_of(**two)
