"""What a status that was just written says for the first time: one log line and one count for each fact.

INFO is what a person follows a cluster with: a workflow starts, is suspended, is blocked, is decided, ends; a task
fails or is tried again. DEBUG adds the tasks that go well. The name of the workflow is on every line of
its reconcile.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.phases import FINAL, Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Workflow, WorkflowStatus
from pkg.apis.meta import seconds
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.progress import FlowState, Progress, Task
from pkg.telemetry.metrics import Metrics

_log = structlog.get_logger("workflow")
_WITHOUT_OUTPUT = frozenset({Reasons.OUTPUT_MISSING, Reasons.OUTPUT_TOO_LARGE})
_QUIET_ENDS = {
    Phase.SUCCEEDED: "task succeeded",
    Phase.SKIPPED: "task skipped",
    Phase.CANCELLED: "task cancelled",
}


class Report:
    """Logs and counts what is new in a status, once the API server has acknowledged it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def written(self, before: Workflow, after: Workflow, graph: object, acked: Progress, now: float) -> None:
        """before, after: the Workflow as it was and as the API server answered; graph: its compiled spec, if it is one.

        acked: the progress that was written, whose `acked` are still the flows as the status before recorded them.
        now: seconds since the epoch.
        """
        old, new = before.status, after.status
        self._report_start(old, new)
        if isinstance(graph, Graph) and len(acked.acked) == len(acked.flows) == len(graph.nodes):
            for node, was, state in zip(graph.nodes, acked.acked, acked.flows, strict=True):
                if was is not state:
                    self._report_flow(node, was, state, now)
        for phase in FINAL:
            grown = new.tasks.of(phase) - old.tasks.of(phase)
            if grown > 0:
                self._metrics.workflow_tasks_finished.labels(phase.value).inc(grown)
        _report_condition(old, new, conds.SUSPENDED, "workflow suspended", "workflow resumed")
        _report_condition(old, new, conds.BLOCKED, "workflow blocked", "workflow no longer blocked")
        self._report_end(old, new)

    def _report_start(self, old: WorkflowStatus, new: WorkflowStatus) -> None:
        if not old.start_time and new.start_time:
            _log.info("workflow started", tasks=new.tasks.total)
        elif _is_final(old) and not _is_final(new):
            _log.info("workflow restarted", tasks=new.tasks.total, token=records.record_of(new).restarted_at)

    def _report_end(self, old: WorkflowStatus, new: WorkflowStatus) -> None:
        if not _is_final(new) or _is_final(old):
            is_new = conds.is_true(new.conditions, conds.DECIDED) and not conds.is_true(old.conditions, conds.DECIDED)
            decided = conds.find(new.conditions, conds.DECIDED)
            if is_new and decided is not None and not _is_final(new):
                _log.info("workflow decided", reason=decided.reason, message=decided.message)
            return
        phase, took = str(new.phase), _seconds_between(new.start_time, new.completion_time)
        self._metrics.workflow_workflows_finished.labels(phase, new.reason).inc()
        if took is not None:
            self._metrics.workflow_duration.labels(phase).observe(took)
        _log.info(
            "workflow ended",
            phase=phase,
            reason=new.reason,
            message=new.message,
            seconds=took,
            **{name: count for name, count in _ends(new).items() if count},
        )

    def _report_flow(self, node: Node, was: FlowState, state: FlowState, now: float) -> None:
        if was.tasks is not state.tasks:
            for index, (old, task) in enumerate(zip(was.tasks, state.tasks, strict=False)):
                if old is not task and (old.phase is not task.phase or old.attempt != task.attempt):
                    self._report_retries(node, index, old, task, state.first_attempt)
                    self._report_task(node, index, old, task, now)
        if state.wait_reason in ("", Reasons.WAITING_FOR_DEPENDENCIES):
            return
        if (state.wait_reason, state.wait_message) != (was.wait_reason, was.wait_message):
            _log.debug("flow waits", flow=node.name, reason=state.wait_reason, message=state.wait_message)

    def _report_retries(self, node: Node, index: int, old: Task, task: Task, first_attempt: int) -> None:
        """The attempts that failed and were followed by another one before any status could say so."""
        begin = max(old.attempt + (old.phase is Phase.BACKOFF), first_attempt)
        for attempt in range(begin, task.attempt):
            reason, message = task.current.after if attempt == task.attempt - 1 else ("", "")
            self._report_retry(_place(node, index, attempt), reason, message, 0.0)

    def _report_retry(self, place: dict[str, object], reason: str, message: str, seconds: float) -> None:
        """seconds: until the next attempt may begin."""
        self._report_outputs(reason)
        self._metrics.workflow_task_retries.labels(reason or Reasons.FAILED).inc()
        _log.info("task is retried", **place, reason=reason or Reasons.FAILED, message=message, seconds=seconds)

    def _report_outputs(self, reason: str) -> None:
        if reason in _WITHOUT_OUTPUT:
            self._metrics.workflow_outputs.labels(reason).inc()

    def _report_task(self, node: Node, index: int, old: Task, task: Task, now: float) -> None:
        place = _place(node, index, task.attempt)
        if task.outputs and task.phase is Phase.SUCCEEDED:
            self._metrics.workflow_outputs.labels("read").inc(len(task.outputs))
        if task.phase is Phase.FAILED:
            self._report_outputs(task.reason)
            _log.info("task failed", **place, reason=task.reason, message=task.message)
        elif task.phase is Phase.BACKOFF:
            self._report_retry(place, task.reason, task.message, round(max(0.0, (task.due or now) - now), 1))
        elif task.phase in _QUIET_ENDS:
            _log.debug(_QUIET_ENDS[task.phase], **place, **({"reason": task.reason} if task.reason else {}))
        elif task.is_unfinished and not (old.is_unfinished and old.attempt == task.attempt):
            _log.debug("task started", **place, job=task.current.job)


def _place(node: Node, index: int, attempt: int) -> dict[str, object]:
    """What says on a line which attempt it is about."""
    place: dict[str, object] = {"flow": node.name, "attempt": attempt}
    if node.is_indexed:
        place["index"] = index
    return place


def _report_condition(old: WorkflowStatus, new: WorkflowStatus, kind: str, begins: str, ends: str) -> None:
    """One line as the condition becomes True, one for each other cause while it is, and one as it ends."""
    was, now = conds.find(old.conditions, kind), conds.find(new.conditions, kind)
    was_true, is_true = was is not None and was.status == conds.TRUE, now is not None and now.status == conds.TRUE
    if is_true and now is not None and not (was_true and was is not None and was.reason == now.reason):
        _log.info(begins, reason=now.reason, message=now.message)
    elif was_true and not is_true and not _is_final(new):
        _log.info(ends)


def _is_final(status: WorkflowStatus) -> bool:
    return status.phase is not None and status.phase.is_final


def _ends(status: WorkflowStatus) -> dict[str, int]:
    return {phase.field: status.tasks.of(phase) for phase in _ORDER}


def _seconds_between(start: str, end: str) -> float | None:
    """Seconds between two times as status writes them, rounded to milliseconds; None if one is missing."""
    if not start or not end:
        return None
    return round(max(0.0, seconds(end) - seconds(start)), 3)


_ORDER: Sequence[Phase] = (Phase.SUCCEEDED, Phase.FAILED, Phase.SKIPPED, Phase.CANCELLED)
