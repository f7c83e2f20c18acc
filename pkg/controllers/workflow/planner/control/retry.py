"""What follows a failed attempt: another one after a delay, or the end of the task."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.graph.model import RetryRule
from pkg.controllers.workflow.planner.progress import Task


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the state of the workflow says about attempts that fail now: may they be tried again, and is a job under
    deletion judged at once (after the decision) or when it is gone."""

    may_retry: bool
    at_once: bool


def is_retriable(rule: RetryRule, *, reason: str, attempt: int, first_attempt: int) -> bool:
    """Whether the rule gives another attempt after this one failed for this reason."""
    return reason in rule.reasons and attempt - first_attempt < rule.max_retries


def after_failure(
    task: Task, rule: RetryRule, *, first_attempt: int, reason: str, message: str, now: float, may_retry: bool
) -> Task:
    """The task after its newest attempt failed; the due time counts from now, when the failure was seen."""
    reported = task.reported or reason == Reasons.FAILED
    if may_retry and is_retriable(rule, reason=reason, attempt=task.attempt, first_attempt=first_attempt):
        due = now + rule.delay(task.attempt - first_attempt + 1)
        return msgspec.structs.replace(
            task,
            phase=Phase.BACKOFF,
            reason=reason,
            message=message,
            due=due,
            reported=reported,
            makeable=None,
            began=False,
            was_held=False,
            held_at=None,
            held=0.0,
        )
    return msgspec.structs.replace(
        task,
        phase=Phase.FAILED,
        reason=reason,
        message=message,
        due=None,
        finished=now,
        reported=reported,
        held_at=None,
    )


def is_due(task: Task, now: float) -> bool:
    """Whether the next attempt may be made."""
    return task.phase is Phase.BACKOFF and task.due is not None and task.due <= now
