"""The status of a CronWorkflow, and the patch that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1 import conditions
from pkg.apis.flow.v1alpha1.types import MAX_ACTIVE, ActiveRun, CronWorkflowStatus
from pkg.apis.meta import Condition
from pkg.controllers.cronworkflow.planner.snapshot import Run


def written(time: float | None) -> str:
    """A time in whole seconds as RFC 3339 has it in UTC; empty for None and 0."""
    return datetime.fromtimestamp(int(time), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else ""


def read(text: str) -> float:
    """The reverse of `written`; 0 for what is no time."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except ValueError:
        return 0.0


def new_status(
    old: CronWorkflowStatus,
    runs: Sequence[Run],
    *,
    last: float,
    next_: float | None,
    valid: Condition,
) -> CronWorkflowStatus:
    """The status as it has to be. last: the newest scheduled time that has its run, 0 if there is none.

    What is known of runs that do not exist any more stays.
    """
    unfinished = sorted((run for run in runs if not run.is_ended), key=lambda run: run.age, reverse=True)
    succeeded = max((run.ended_at for run in runs if run.has_succeeded), default=0.0)
    return CronWorkflowStatus(
        active=tuple(ActiveRun(run.name, run.uid) for run in unfinished[:MAX_ACTIVE]),
        active_count=len(unfinished),
        last_schedule_time=written(max(last, read(old.last_schedule_time))),
        last_successful_time=written(max(succeeded, read(old.last_successful_time))),
        next_schedule_time=written(next_),
        observed_generation=valid.observed_generation,
        conditions=conditions.put(old.conditions, valid),
    )


def merge_patch(old: CronWorkflowStatus, new: CronWorkflowStatus, resource_version: str) -> dict[str, Any] | None:
    """The merge patch from one status to the other, None if they are equal.

    It names the version that it was computed from. activeCount is always there: kubectl shows no 0 for what is absent.
    """
    if old == new:
        return None
    before: dict[str, Any] = msgspec.to_builtins(old)
    after: dict[str, Any] = msgspec.to_builtins(new)
    changed: dict[str, Any] = {key: value for key, value in after.items() if before.get(key) != value}
    changed |= {key: None for key in before if key not in after}
    return {
        "metadata": {"resourceVersion": resource_version},
        "status": {**changed, "activeCount": new.active_count},
    }
