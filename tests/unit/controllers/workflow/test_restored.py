"""When a restored Workflow is held, for how long it is silent, and what it then says."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.controllers.workflow import restored
from tests.builders import wf

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
NOW = CREATED.timestamp()


def workflow(labels: dict[str, str], phase: WorkflowPhase | None = None, reason: str = "") -> Workflow:
    made = wf(a="")
    meta = msgspec.structs.replace(made.metadata, labels=labels, creation_timestamp=CREATED)
    return msgspec.structs.replace(
        made, metadata=meta, status=msgspec.structs.replace(made.status, phase=phase, reason=reason)
    )


RESTORED = {"velero.io/restore-name": "r", "velero.io/backup-name": "b"}


@pytest.mark.parametrize(
    ("labels", "phase", "held"),
    [
        pytest.param(RESTORED, None, True, id="restored without its status"),
        pytest.param(RESTORED, WorkflowPhase.RUNNING, False, id="restored with the status of one that runs"),
        pytest.param(RESTORED, WorkflowPhase.SUCCEEDED, False, id="restored with the status of one that has ended"),
        pytest.param({"team": "a"}, None, False, id="new"),
        pytest.param({"velero.io/backup-name": "b"}, None, False, id="the label of the restore was taken off"),
    ],
)
def test_one_is_held_if_a_restore_left_out_its_status(
    labels: dict[str, str], phase: WorkflowPhase | None, held: bool
) -> None:
    assert restored.is_held(workflow(labels, phase)) is held


@pytest.mark.parametrize(
    ("age", "left"),
    [
        pytest.param(0.0, 10.0, id="just created"),
        pytest.param(4.0, 6.0, id="created a moment ago"),
        pytest.param(3600.0, 0.0, id="created long ago"),
        pytest.param(-3600.0, 10.0, id="created in the future, by a clock that is ahead"),
    ],
)
def test_its_status_is_waited_for_a_moment(age: float, left: float) -> None:
    assert restored.seconds_left(workflow(RESTORED), NOW + age) == left


def test_the_notice_says_what_to_do_and_leaves_the_phase_out() -> None:
    patch = restored.notice(workflow(RESTORED), NOW)
    assert patch is not None
    status = patch.operations[-1]["value"]
    assert "phase" not in status
    assert status["reason"] == "RestoredWithoutStatus"
    assert "--status-include-resources=workflows.flow.workflow.sh" in status["message"]
    assert status["message"].endswith("label wkf w velero.io/restore-name-)")
    (blocked,) = status["conditions"]
    assert (blocked.type, blocked.status, blocked.message) == ("Blocked", "True", status["message"])


def test_it_is_said_once() -> None:
    assert restored.notice(workflow(RESTORED, reason="RestoredWithoutStatus"), NOW) is None
