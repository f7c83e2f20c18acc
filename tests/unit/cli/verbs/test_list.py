"""The columns of `list`."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.cli.output import Screen
from pkg.cli.verbs.list import render
from pkg.views.workflow_list import Listed, line
from tests.manifests import decoded
from tests.unit.cli.conftest import NOW, Golden


def listed(name: str, phase: str = "", **status: Any) -> Listed:
    metadata = {
        "name": name,
        "namespace": "team",
        "creationTimestamp": "2027-01-15T07:00:00Z",
        **status.pop("meta", {}),
    }
    return decoded({"metadata": metadata, "status": {"phase": phase, **status}}, Listed)


BLOCKED = {
    "type": "Blocked",
    "status": "True",
    "reason": "TemplateNotFound",
    "message": "flow one: there is no WorkTemplate nosuch in namespace team; create it, and the job is made at once",
}
FOUND = [
    listed("new"),
    listed(
        "done",
        "Succeeded",
        reason="AllSucceeded",
        message="every flow succeeded",
        progress="7/7",
        startTime="2027-01-15T07:00:00Z",
        completionTime="2027-01-15T07:10:00Z",
    ),
    listed(
        "broken",
        "Failed",
        reason="TaskFailed",
        message="flow train: index 3: job broken-train-3 failed",
        progress="4/12",
        startTime="2027-01-15T07:00:00Z",
        completionTime="2027-01-15T07:01:04Z",
        tasks={"failed": 1},
    ),
    listed("stuck", "Running", reason="TemplateNotFound", progress="0/2", conditions=[BLOCKED], tasks={"running": 1}),
    listed("going", "Running", meta={"deletionTimestamp": "2027-01-15T08:00:00Z"}),
    listed("hostile", "Failed", reason="TaskFailed", message="flow x: \x1b[2Jgone\nand more"),
]


@pytest.mark.parametrize(
    ("to", "wide", "namespaces"),
    [
        pytest.param(Screen(80), False, False, id="80"),
        pytest.param(Screen(160), True, True, id="160-wide-all"),
        pytest.param(Screen(), False, False, id="piped"),
        pytest.param(Screen(80, colours=True), False, False, id="80-colours"),
    ],
)
def test_list(golden: Golden, to: Screen, wide: bool, namespaces: bool) -> None:
    golden(render([line(one, NOW) for one in FOUND], to, wide=wide, namespaces=namespaces))


def test_what_waits_for_a_person_is_blocked() -> None:
    assert [line(one, NOW).name for one in FOUND if line(one, NOW).is_blocked] == ["stuck"]
