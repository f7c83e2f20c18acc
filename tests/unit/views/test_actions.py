"""What suspend, resume, stop and terminate change, for workflows in each state."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Shutdown
from pkg.views.actions import Action, Change, Impossible, Unchanged, Verdict, verdict
from pkg.views.briefs import Brief, BriefMeta, BriefSpec, BriefStatus

P = WorkflowPhase


def brief(phase: WorkflowPhase | None = P.RUNNING, *, deleted: str = "", reason: str = "", **spec: Any) -> Brief:
    return Brief(
        BriefMeta("w", "ns", "u", deletion_timestamp=deleted),
        BriefSpec(**spec),
        BriefStatus(phase=phase, reason=reason, message="the spec was edited" if reason else ""),
    )


STOP, TERMINATE = Shutdown.STOP, Shutdown.TERMINATE


@pytest.mark.parametrize(
    ("action", "of", "expected"),
    [
        pytest.param(Action.SUSPEND, brief(), {"suspend": True}, id="one that runs is suspended"),
        pytest.param(Action.SUSPEND, brief(None), {"suspend": True}, id="one that no controller has seen yet"),
        pytest.param(Action.SUSPEND, brief(shutdown=STOP), {"suspend": True}, id="one that is being stopped"),
        pytest.param(Action.SUSPEND, brief(P.SUSPENDED, suspend=True), "is suspended already", id="twice"),
        pytest.param(Action.SUSPEND, brief(P.SUCCEEDED), Impossible, id="one that has ended cannot be suspended"),
        pytest.param(Action.SUSPEND, brief(shutdown=TERMINATE), Impossible, id="nor one that is being terminated"),
        pytest.param(Action.RESUME, brief(P.SUSPENDED, suspend=True), {"suspend": False}, id="one that is suspended"),
        pytest.param(Action.RESUME, brief(P.FAILED, suspend=True), {"suspend": False}, id="also after its end"),
        pytest.param(Action.RESUME, brief(), "is not suspended", id="one that runs"),
        pytest.param(Action.RESUME, brief(P.SUSPENDED, reason="SpecChanged"), Impossible, id="one that an edit holds"),
        pytest.param(Action.STOP, brief(), {"shutdown": "Stop"}, id="one that runs is stopped"),
        pytest.param(Action.STOP, brief(P.SUSPENDED, suspend=True), {"shutdown": "Stop"}, id="one that is suspended"),
        pytest.param(Action.STOP, brief(P.TERMINATING), {"shutdown": "Stop"}, id="one whose rest still runs"),
        pytest.param(Action.STOP, brief(shutdown=STOP), "is being stopped already", id="stopped twice"),
        pytest.param(
            Action.STOP, brief(shutdown=TERMINATE), "is being terminated already", id="never less than before"
        ),
        pytest.param(
            Action.STOP, brief(P.FAILED, shutdown=STOP), Impossible, id="one that has ended cannot be stopped"
        ),
        pytest.param(Action.TERMINATE, brief(), {"shutdown": "Terminate"}, id="one that runs is terminated"),
        pytest.param(Action.TERMINATE, brief(shutdown=STOP), {"shutdown": "Terminate"}, id="after stop"),
        pytest.param(Action.TERMINATE, brief(shutdown=TERMINATE), "is being terminated already", id="terminated twice"),
        pytest.param(Action.TERMINATE, brief(P.SUCCEEDED), Impossible, id="one that has ended cannot be terminated"),
        *(
            pytest.param(action, brief(deleted="2026-01-01T00:00:00Z"), Impossible, id=f"{action}: under deletion")
            for action in Action
        ),
    ],
)
def test_verdict(action: Action, of: Brief, expected: Any) -> None:
    found: Verdict = verdict(action, of)
    if isinstance(expected, dict):
        assert isinstance(found, Change)
        assert dict(found.fields) == expected
    elif isinstance(expected, str):
        assert isinstance(found, Unchanged)
        assert found.said.startswith(expected)
    else:
        assert isinstance(found, Impossible)
        assert found.why


def test_what_holds_a_workflow_is_quoted() -> None:
    found = verdict(Action.RESUME, brief(P.SUSPENDED, reason="SpecChanged"))
    assert isinstance(found, Impossible)
    assert found.why.endswith("it is held (SpecChanged): the spec was edited")
