"""The states, the one table of moves between them, and how a flow's state is folded from its tasks."""

from __future__ import annotations

from itertools import product

import pytest

from pkg.apis.flow.v1alpha1.phases import (
    FINAL,
    TASK_MOVES,
    WORKFLOW_MOVES,
    IllegalMove,
    Phase,
    WorkflowPhase,
    advance,
    advance_workflow,
    fold,
)

FOLDS: dict[str, tuple[str, str]] = {
    "Running comes first": ("Running Pending Suspended Backoff Waiting Failed", "Running"),
    "then Pending": ("Pending Suspended Backoff Waiting Failed", "Pending"),
    "then Suspended": ("Suspended Backoff Waiting Succeeded", "Suspended"),
    "then Backoff": ("Backoff Waiting Succeeded", "Backoff"),
    "else Running if one is final": ("Waiting Succeeded", "Running"),
    "else Waiting": ("Waiting Waiting", "Waiting"),
    "all final: Failed if any": ("Succeeded Skipped Cancelled Failed", "Failed"),
    "else Cancelled if any": ("Succeeded Skipped Cancelled", "Cancelled"),
    "else Succeeded if any": ("Succeeded Skipped", "Succeeded"),
    "else Skipped": ("Skipped", "Skipped"),
    "no task at all is Skipped": ("", "Skipped"),
}


@pytest.mark.parametrize(("tasks", "flow"), FOLDS.values(), ids=FOLDS)
def test_fold(tasks: str, flow: str) -> None:
    words = tasks.split()
    assert fold({Phase(word): words.count(word) for word in words}) == flow


def test_a_phase_that_no_task_has_does_not_count() -> None:
    assert fold({Phase.FAILED: 0, Phase.SUCCEEDED: 2}) is Phase.SUCCEEDED


@pytest.mark.parametrize("phase", sorted(FINAL))
def test_final_states_never_change(phase: Phase) -> None:
    assert not TASK_MOVES[phase]
    for then in set(Phase) - {phase}:
        with pytest.raises(IllegalMove, match=f"cannot go from {phase} to {then}"):
            advance(phase, then)


def test_every_move_is_in_the_table_or_refused() -> None:
    for now, then in product(Phase, Phase):
        if now is then or then in TASK_MOVES[now]:
            assert advance(now, then) is then
        else:
            with pytest.raises(IllegalMove):
                advance(now, then)


def test_only_a_task_without_a_job_is_skipped() -> None:
    assert [now for now in Phase if Phase.SKIPPED in TASK_MOVES[now]] == [Phase.WAITING]


def test_a_task_between_attempts_has_no_job_to_cancel() -> None:
    assert Phase.CANCELLED not in TASK_MOVES[Phase.BACKOFF]


def test_a_workflow_that_is_over_stays_as_it_is() -> None:
    for now, then in product(WorkflowPhase, WorkflowPhase):
        if now.is_final and then is not now:
            with pytest.raises(IllegalMove):
                advance_workflow(now, then)


def test_what_terminates_ends_or_runs_on_after_an_edit_was_taken_back() -> None:
    ends = {WorkflowPhase.SUCCEEDED, WorkflowPhase.FAILED}
    assert WORKFLOW_MOVES[WorkflowPhase.TERMINATING] == {*ends, WorkflowPhase.RUNNING}
