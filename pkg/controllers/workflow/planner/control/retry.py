"""What follows a failed attempt: another attempt after a delay, or the end of the task."""

from __future__ import annotations

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.structs import Value
from pkg.controllers.workflow.planner.graph.model import Node, RetryRule
from pkg.controllers.workflow.planner.progress import Attempt, Task


class FailurePolicy(Value, frozen=True, gc=False):
    """What the state of the workflow means for attempts that fail now."""

    #: A failed task of a flow without `finally` may be tried again.
    may_retry: bool
    #: A failed task of a `finally` flow may be tried again.
    may_retry_finally: bool
    #: A job under deletion is a failed attempt at once (after the decision), and not only when it is gone.
    judges_deletion_at_once: bool
    #: Whether another attempt follows is not known: the workflow is held, and this controller does not know the spec
    #: that it started with. A task whose attempt failed keeps its phase until it goes on.
    is_deferred: bool = False

    def may_retry_flow(self, node: Node) -> bool:
        """Whether a failed task of this flow may be tried again."""
        return self.may_retry_finally if node.is_finally else self.may_retry


def is_retriable(rule: RetryRule, *, reason: str, attempt: int, first_attempt: int) -> bool:
    """Whether the rule allows another attempt after this one failed for this reason."""
    return reason in rule.reasons and attempt - first_attempt < rule.max_retries


def after_failure(
    task: Task, rule: RetryRule, *, first_attempt: int, reason: str, message: str, now: float, may_retry: bool
) -> Task:
    """The task after its newest attempt failed. The delay counts from now, when the failure is observed."""
    reported = task.reported or reason == Reasons.FAILED
    if may_retry and is_retriable(rule, reason=reason, attempt=task.attempt, first_attempt=first_attempt):
        return msgspec.structs.replace(
            task,
            phase=Phase.BACKOFF,
            reason=reason,
            message=message,
            due=now + rule.delay(task.attempt - first_attempt + 1),
            reported=reported,
            # A new attempt; the job of the failed one is followed until it is gone.
            current=Attempt(
                job=task.current.job, job_uid=task.current.job_uid, gvr=task.current.gvr, action=task.current.action
            ),
        )
    failed = msgspec.structs.replace(
        task, phase=Phase.FAILED, reason=reason, message=message, due=None, finished=now, reported=reported
    )
    return failed.with_current(held_at=None)


def is_due(task: Task, now: float) -> bool:
    """Whether the delay before the next attempt is over."""
    return task.phase is Phase.BACKOFF and task.due is not None and task.due <= now
