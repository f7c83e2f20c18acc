"""When a task is released whose dependencies are met: `startDelay`.

The due time is fixed once, when the dependencies are first found met, and recorded in status. A retry does not wait
again, because only a task without a job is released. A restart makes new tasks, so they wait again.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.meta import timestamp
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.outputs.condition import Waits
from pkg.controllers.workflow.planner.progress import NEVER, Task


def has_begun(task: Task) -> bool:
    """Whether the dependencies were met, and the delay runs or is over. Whether it runs at all was judged before it."""
    return task.phase is Phase.WAITING and task.due is not None


def delayed(task: Task, node: Node, now: float) -> Task | None:
    """The task, whose dependencies are met, while its delay runs; None once it is over, and for a flow without one.

    A time further away than the delay means that the clock was set back: the delay then begins anew.
    """
    if not node.start_delay:
        return None
    due = now + node.start_delay
    if task.due is not None and task.due <= due:
        return task if task.due > now else None
    return msgspec.structs.replace(task, due=due)


class Delays:
    """The delays of a flow with startDelay in one pass. Equal tasks get one value, which takes less memory."""

    def __init__(self, node: Node, now: float) -> None:
        self._node = node
        self._now = now
        self._seen: Task | None = None
        self._later: Task | None = None
        self._soonest = NEVER

    def of(self, task: Task) -> Task | None:
        """As `delayed`."""
        if task is not self._seen:
            self._seen, self._later = task, delayed(task, self._node, self._now)
        if self._later is not None and self._later.due is not None:
            self._soonest = min(self._soonest, self._later.due)
        return self._later

    @property
    def waits(self) -> Waits | None:
        """What a user reads while a task waits: when the first of them starts."""
        if self._soonest == NEVER:
            return None
        at = timestamp(self._soonest)[:19]
        text = f"starts at {at}Z: startDelay ({self._node.flow.start_delay}) runs since its dependencies were met"
        return Waits(Reasons.START_DELAYED, text)


def next_start(tasks: Iterable[Task], now: float) -> float:
    """When the next delay is over (seconds since the epoch, or NEVER)."""
    starts = (task.due for task in tasks if has_begun(task) and task.released is None)
    return min((due for due in starts if due is not None and due > now), default=NEVER)


def over(ctx: Context) -> set[int]:
    """The flows whose tasks may be released because the time of a delay has come."""
    flows = ctx.draft.base.flows
    return {
        number
        for number in ctx.graph.timed
        if ctx.graph.nodes[number].start_delay and flows[number].timer_at <= ctx.now and number in ctx.draft.not_final
    }
