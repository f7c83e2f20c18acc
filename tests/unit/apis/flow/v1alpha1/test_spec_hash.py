"""The hash that status records, and how one of another algorithm is compared."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.first_spec_hash import first_spec_hash
from pkg.apis.flow.v1alpha1.spec_hash import is_comparable, is_hash_of, spec_hash
from pkg.apis.flow.v1alpha1.types import WorkflowSpec
from tests.manifests import decoded


def spec(**fields: Any) -> WorkflowSpec:
    return decoded({"flows": [{"name": "a"}], **fields}, WorkflowSpec)


def test_the_number_of_the_algorithm_stands_in_front() -> None:
    assert re.fullmatch(r"2:[0-9a-f]{16}", spec_hash(spec()))


def test_the_hash_is_the_same_in_every_release() -> None:
    """Another value here needs another algorithm number: status of running workflows has this one."""
    assert spec_hash(spec()) == "2:dfbb2da8b5128147"
    assert spec_hash(decoded(RICH, WorkflowSpec)) == "2:b02040aee99b72fe"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"suspend": True}, id="suspend"),
        pytest.param({"shutdown": "Stop"}, id="shutdown"),
        pytest.param({"restart": {"at": "1", "flows": ["a"]}}, id="restart"),
        pytest.param({"parallelism": 3}, id="parallelism"),
        pytest.param({"ttlSecondsAfterFinished": 0}, id="ttlSecondsAfterFinished"),
        pytest.param({"timeout": "1h"}, id="timeout"),
        pytest.param({"flows": [{"name": "a", "retry": {}}]}, id="another way to write it"),
    ],
)
def test_these_do_not_change_the_hash(fields: dict[str, Any]) -> None:
    assert spec_hash(spec(**fields)) == spec_hash(spec())


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"flows": [{"name": "b"}]}, id="another flow"),
        pytest.param({"flows": [{"name": "a", "patch": {"spec": {"x": 1}}}]}, id="a patch"),
        pytest.param({"flows": [{"name": "a", "timeout": "1h"}]}, id="the timeout of a flow"),
        pytest.param({"jobRetainPolicy": "delete"}, id="a policy"),
        pytest.param({"parameters": [{"name": "x", "value": "1"}]}, id="a parameter"),
    ],
)
def test_these_change_the_hash(fields: dict[str, Any]) -> None:
    assert spec_hash(spec(**fields)) != spec_hash(spec())


@pytest.mark.parametrize(
    ("recorded", "fits"),
    [
        pytest.param("", True, id="nothing is recorded"),
        pytest.param(spec_hash(spec()), True, id="the same algorithm"),
        pytest.param(spec_hash(spec(queueName="q")), False, id="the same algorithm, another spec"),
        pytest.param(first_spec_hash(spec()), True, id="the first algorithm"),
        pytest.param(first_spec_hash(spec(queueName="q")), False, id="the first algorithm, another spec"),
        pytest.param("9:0123456789abcdef", True, id="an algorithm of the future cannot be judged"),
    ],
)
def test_a_hash_is_compared_by_its_own_algorithm(recorded: str, fits: bool) -> None:
    assert is_hash_of(recorded, spec()) is fits


def test_only_a_hash_of_this_algorithm_can_be_compared_as_text() -> None:
    assert [is_comparable(one) for one in (spec_hash(spec()), first_spec_hash(spec()), "9:01")] == [True, False, False]


RICH: dict[str, Any] = {
    "flows": [
        {
            "name": "a",
            "template": "a",
            "retry": {
                "maxRetries": 3,
                "interval": "10s",
                "factor": 3,
                "maxInterval": "300s",
                "reasons": ["Failed", "JobDeleted"],
            },
            "timeout": "60m",
            "dependsOn": {},
        },
        {
            "name": "b",
            "for": {"replicas": 2, "parallelism": 1, "dependsOn": {"targets": ["b"]}},
            "dependsOn": {
                "targets": ["a"],
                "probe": {"httpGetList": [{"taskName": "a", "port": 80}], "failAfter": "5s"},
            },
            "patch": {"spec": {"x": 1.5, "y": [1, None]}},
            "parameters": [{"name": "p", "value": "1"}],
        },
    ],
    "parameters": [{"name": "z", "value": "1"}, {"name": "a"}],
    "plugins": {"svc": [], "ssh": ["x"]},
    "queueName": "q",
    "schedulerName": "volcano",
    "jobRetainPolicy": "delete",
    "successPolicy": {"type": "Critical", "criticalFlows": ["a"], "remaining": "Drain"},
    "timeout": "1h",
    "parallelism": 3,
}


@pytest.mark.parametrize(
    ("manifest", "recorded"),
    [
        pytest.param({"flows": [{"name": "a"}]}, "dfbb2da8b5128147", id="the smallest"),
        pytest.param({"flows": [{"name": "a", "retry": {}}]}, "1ae50ba6e6e84e45", id="an empty retry"),
        pytest.param(RICH, "92613293e0cee631", id="many fields"),
        pytest.param(
            {"flows": [{"name": "a", "parameters": [{"name": "x", "value": ""}]}]},
            "9ca559b2859b9edf",
            id="an empty value, which was the default of that time",
        ),
        pytest.param(
            {"flows": [{"name": "a", "parameters": [{"name": "x"}]}]}, "9ca559b2859b9edf", id="a name without a value"
        ),
        pytest.param(
            {
                "flows": [
                    {
                        "name": "a",
                        "retry": {
                            "factor": 1.5,
                            "reasons": ["Failed", "JobDeleted", "DeadlineExceeded", "PendingTimeout"],
                        },
                    }
                ]
            },
            "f81c04c1634a4d2a",
            id="the reasons of that time, written out",
        ),
    ],
)
def test_the_first_algorithm_gives_what_it_always_gave(manifest: dict[str, Any], recorded: str) -> None:
    assert first_spec_hash(decoded(manifest, WorkflowSpec)) == recorded
