"""Golden texts, and one Workflow in the middle of its run for all of them."""

from __future__ import annotations

from typing import Any, Final, Protocol

import pytest

from pkg.apis.flow.v1alpha1.types import Workflow
from tests.manifests import decoded

NOW: Final = 1_800_000_600.0
START: Final = "2027-01-15T08:00:00.000000Z"  # ten minutes before NOW

_MESSAGE: Final = (
    "job nightly-train-2-r1, pod nightly-train-2-r1-x7k2p, container main: exit code 137 (SIGKILL), OOMKilled: "
    '"epoch 7"; BackoffLimitExceeded: Job has reached the specified backoff limit'
)


def on(*targets: str) -> dict[str, Any]:
    return {"dependsOn": {"targets": list(targets)}}


_LOST: Final = "there is no WorkTemplate nosuch in namespace team; create it, and the job is made at once"


def nightly() -> Workflow:
    """A workflow with a flow in each state that people ask about."""
    spec = {
        "flows": [
            {"name": "prepare", "template": "step"},
            {"name": "train", "template": "train", "for": {"replicas": 4}, **on("prepare")},
            {"name": "sweep", "for": {"replicas": 200}, **on("prepare")},
            {"name": "evaluate", **on("train", "sweep")},
            {"name": "gone", "template": "nosuch"},
            {
                "name": "roll-back",
                "dependsOn": {"probe": {"taskStatusList": [{"taskName": "prepare", "phase": "Failed"}]}},
            },
            {"name": "notify", "finally": True},
        ]
    }
    status = {
        "phase": "Running",
        "reason": "TemplateNotFound",
        "message": f"flow gone: {_LOST}",
        "startTime": START,
        "progress": "113/209",
        "tasks": {"total": 209, "running": 21, "failed": 11},
        "conditions": [
            {
                "type": "Blocked",
                "status": "True",
                "reason": "TemplateNotFound",
                "lastTransitionTime": START,
                "message": f"flow gone: {_LOST}",
            }
        ],
        "flows": [
            {
                "name": "prepare",
                "phase": "Succeeded",
                "attempts": 1,
                "startTime": START,
                "completionTime": "2027-01-15T08:00:12.000000Z",
                "outputs": [{"name": "rows", "value": "12 of 15"}],
            },
            {
                "name": "train",
                "phase": "Running",
                "attempts": 2,
                "startTime": "2027-01-15T08:00:12.500000Z",
                "reason": "TaskRetry",
                "message": f"index 2: {_MESSAGE}",
                "nextAttemptTime": "2027-01-15T08:10:08.000000Z",
                "succeeded": "0",
                "outputs": [{"name": "loss", "values": ["0.7", '{"mean":0.2}'], "indexes": "0,2"}],
                "running": "1,3",
                "backoff": "2",
                "replicas": [{"index": 2, "phase": "Backoff", "reason": "Failed", "message": _MESSAGE}],
            },
            {
                "name": "sweep",
                "phase": "Running",
                "attempts": 1,
                "startTime": "2027-01-15T08:00:12.500000Z",
                "succeeded": "0-49,55-105",
                "running": "50-54,106-119",
                "failed": "120-130",
                "waiting": "131-199",
                "replicas": [
                    {
                        "index": index,
                        "phase": "Failed",
                        "reason": "Failed",
                        "message": f"job nightly-sweep-{index} failed",
                    }
                    for index in range(120, 131)
                ],
            },
            {
                "name": "evaluate",
                "phase": "Waiting",
                "reason": "WaitingForDependencies",
                "message": "waits for train to succeed (now Running)",
            },
            {
                "name": "gone",
                "phase": "Waiting",
                "reason": "TemplateNotFound",
                "message": _LOST,
            },
            {
                "name": "roll-back",
                "phase": "Skipped",
                "reason": "DependenciesImpossible",
                "message": "it waited for prepare to fail, which is Succeeded",
            },
            {"name": "notify", "phase": "Waiting"},
        ],
    }
    metadata = {"name": "nightly", "namespace": "team", "uid": "u", "creationTimestamp": "2027-01-15T08:00:00Z"}
    return decoded({"metadata": metadata, "spec": spec, "status": status}, Workflow)


def asking() -> Workflow:
    """A workflow that waits for a person, for a lock and for a delay."""
    spec = {
        "flows": [
            {"name": "build", "template": "step"},
            {"name": "release", "approval": {"message": "Ship it?", "approvers": [{"user": "alice"}]}, **on("build")},
            {"name": "migrate", "template": "step", "mutexes": ["db"], **on("build")},
            {"name": "later", "template": "step", "startDelay": "1h", **on("build")},
        ]
    }
    held = "waits for mutex db, which weekly/migrate holds"
    asked = (
        "Ship it? (alice may decide: kubectl workflow approve -n team ship release, or reject -n team ship release) "
        "\x1b[2Jand a last word that is long enough for two lines of a narrow terminal"
    )
    status = {
        "phase": "Running",
        "reason": "ApprovalNeeded",
        "message": f"flow release: {asked}",
        "startTime": START,
        "progress": "1/4",
        "tasks": {"total": 4, "succeeded": 1, "waiting": 3},
        "conditions": [
            {
                "type": "Blocked",
                "status": "True",
                "reason": "ApprovalNeeded",
                "lastTransitionTime": START,
                "message": f"flow release: {asked}",
            }
        ],
        "flows": [
            {"name": "build", "phase": "Succeeded", "attempts": 1, "startTime": START, "completionTime": START},
            {"name": "release", "phase": "Waiting", "reason": "ApprovalNeeded", "message": asked},
            {"name": "migrate", "phase": "Waiting", "reason": "LockHeld\x1b[2J", "message": held},
            {
                "name": "later",
                "phase": "Waiting",
                "reason": "StartDelayed",
                "message": "starts at 2027-01-15T09:00:00Z",
            },
        ],
    }
    metadata = {"name": "ship", "namespace": "team", "uid": "u", "creationTimestamp": "2027-01-15T08:00:00Z"}
    return decoded({"metadata": metadata, "spec": spec, "status": status}, Workflow)


class Golden(Protocol):
    """Compares lines with the golden text of the test; `--force-regen` writes it anew."""

    def __call__(self, lines: list[str]) -> None: ...


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    regression = request.getfixturevalue("file_regression")
    return lambda lines: regression.check("\n".join(lines) + "\n", extension=".txt")
