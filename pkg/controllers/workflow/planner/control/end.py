"""Settles how the workflow went, for `finally` flows that use it: once, when every flow without `finally` is final.

Status records it before any `finally` job is made, so that no job ever reads anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.conditions import MAX_MESSAGE
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import EndRecord, Failure
from pkg.apis.meta import seconds
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control import outcome
from pkg.controllers.workflow.planner.outputs.end import item_of, more_item
from pkg.controllers.workflow.planner.progress import Decision

#: Bytes of the list of failures as JSON.
MAX_FAILURES: Final = 4_096
_MAX_MESSAGE: Final = 256
# Seconds for which it waits to learn how the pods of failed jobs ended.
PATIENCE: Final = 10.0


def settle(ctx: Context, decision: Decision | None) -> float:
    """Settles how the workflow went. Returns when `finally` flows may begin, in seconds since the epoch.

    decision: the outcome as far as it is decided. How the pods of failed jobs ended is part of the messages, and is
    waited for a moment.
    """
    draft = ctx.draft
    unexplained = [
        task.finished for number, index in draft.unexplained if (task := draft.task(number, index)).finished is not None
    ]
    until = max(unexplained, default=ctx.now) + (PATIENCE if unexplained else 0.0)
    if ctx.now < until <= ctx.now + PATIENCE:
        return until
    found = decision or outcome.without_finally(ctx.snapshot.workflow.spec, draft)
    started = ctx.snapshot.workflow.status.start_time
    failures, more = _failures(ctx)
    draft.end = EndRecord(
        phase=WorkflowPhase.SUCCEEDED if found.is_success else WorkflowPhase.FAILED,
        reason=found.reason,
        message=found.message[:MAX_MESSAGE],
        duration=max(0, int(ctx.now - seconds(started))) if started else 0,
        failures=failures,
        more=more,
    )
    return ctx.now


def _failures(ctx: Context) -> tuple[tuple[Failure, ...], int]:
    """The failed tasks that fit, and how many do not."""
    listed: list[Failure] = []
    more, size = 0, 2
    room = MAX_FAILURES - _size(more_item(10**6))
    for one in _failed(ctx):
        size += _size(item_of(one))
        if more or size > room:
            more += 1
        else:
            listed.append(one)
    return tuple(listed), more


def _failed(ctx: Context) -> Iterator[Failure]:
    draft = ctx.draft
    for number in sorted(draft.failed):
        node = ctx.graph.nodes[number]
        if node.is_finally:
            continue
        ctx.budget.spend(1 + node.size // 8)
        for index, task in enumerate(draft.tasks(number)):
            if task.phase is Phase.FAILED:
                yield Failure(node.name, index, task.reason, task.message[:_MAX_MESSAGE])


def _size(item: object) -> int:
    return len(msgspec.json.encode(item)) + 1
