"""Which jobs are deleted now, and whether any is left that the end of the workflow waits for."""

from __future__ import annotations

from collections.abc import Iterable

from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Completion, RetainPolicy
from pkg.controllers.workflow.planner.actions import DeleteJob
from pkg.controllers.workflow.planner.control.outcome import Mode
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import Task, TaskKey
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.snapshot import Seen, Snapshot


def deletions(
    snapshot: Snapshot, graph: Graph, draft: Draft, how: Mode, phase: WorkflowPhase, keys: Iterable[TaskKey]
) -> list[DeleteJob]:
    """The jobs of the given tasks that have to go."""
    found = []
    for key in keys:
        number = graph.by_name.get(key.flow)
        is_known = number is not None and key.index < graph.nodes[number].size
        task = draft.task(number, key.index) if number is not None and is_known else None
        for seen in snapshot.jobs.get(key, ()):
            if seen.job.metadata.is_deleting:
                continue
            why = _condemned(snapshot, task, seen, how, phase)
            if why:
                meta = seen.job.metadata
                found.append(DeleteJob(key, seen.gvr, meta.namespace, meta.name, meta.uid, why))
    return found


def _condemned(snapshot: Snapshot, task: Task | None, seen: Seen, how: Mode, phase: WorkflowPhase) -> str:
    """Why a job has to go, empty if it may stay; task is None for a flow that the spec no longer has."""
    policy = snapshot.workflow.spec.job_retain_policy
    if is_removed_at_end(policy, phase):
        return f"jobRetainPolicy {policy}"
    if task is None:
        return "the workflow was cancelled" if how is Mode.CANCEL and not look(snapshot, seen).is_final else ""
    if seen.attempt < task.attempt:
        reading = look(snapshot, seen)
        return "" if reading.is_final or reading.faulty else "an older attempt"
    if how is Mode.CANCEL and task.is_final and not task.ready and task.phase is not Phase.CANCELLED:
        # A creation that came through after all, when its task had already been given up.
        reading = look(snapshot, seen)
        if not reading.is_final and not reading.faulty:
            return "the workflow was cancelled"
    if seen.attempt != task.attempt or not task.is_settled:
        return ""
    if task.ready:
        return "the workflow was cancelled" if how is Mode.CANCEL else ""
    if task.phase is Phase.CANCELLED:
        return "the workflow was decided"
    if task.reason in (Reasons.DEADLINE_EXCEEDED, Reasons.PENDING_TIMEOUT) and not look(snapshot, seen).is_final:
        return task.reason
    return ""


def is_removed_at_end(policy: RetainPolicy, phase: WorkflowPhase) -> bool:
    """Whether the jobs of a workflow in that phase go by its policy."""
    if policy is RetainPolicy.DELETE_ON_SUCCESS:
        return phase is WorkflowPhase.SUCCEEDED
    return policy is RetainPolicy.DELETE and phase.is_final


def is_at_rest(snapshot: Snapshot, graph: Graph, draft: Draft) -> bool:
    """Whether no job is unfinished; one under deletion is not waited for, nor is a service that became ready."""
    for key, jobs in snapshot.jobs.items():
        number = graph.by_name.get(key.flow)
        is_known = number is not None and key.index < graph.nodes[number].size
        task = draft.task(number, key.index) if number is not None and is_known else None
        for seen in jobs:
            if task is None:  # the spec no longer has it: whether it became ready is nobody's question
                template = graph.nodes[number].flow.template_name if number is not None else ""
                is_service = snapshot.completion(template, seen.gvr) is Completion.READY
            else:
                is_service = task.ready and seen.attempt == task.attempt
            if seen.job.metadata.is_deleting or is_service:
                continue
            reading = look(snapshot, seen)
            # Rules that can no longer judge a job do not take back what was judged before.
            is_judged = reading.faulty and task is not None and task.is_settled
            if not reading.is_final and not is_judged:
                return False
    return True
