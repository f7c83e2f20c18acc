"""A restart of a finished workflow: which tasks run again, and from which attempt number on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.progress import FlowState, Progress, Task, TaskKey, from_flows, tally_of
from pkg.controllers.workflow.planner.snapshot import Snapshot

_AGAIN = frozenset({Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED})


def is_due(snapshot: Snapshot) -> bool:
    """Whether the spec asks for a restart that has not been carried out. It waits for the end of the workflow."""
    asked = snapshot.workflow.spec.restart
    return asked is not None and asked.at != snapshot.workflow.status.restarted_at


def refusal(snapshot: Snapshot, graph: Graph) -> str:
    """Why the requested restart is refused; empty if it is not."""
    asked = snapshot.workflow.spec.restart
    if snapshot.workflow.spec.shutdown is not None:
        return "a workflow that was shut down cannot be restarted"
    for at, name in enumerate(asked.flows if asked is not None else ()):
        if name not in graph.by_name:
            return f'spec.restart.flows[{at}]: no flow is named "{name}"'
    return ""


def are_services_known(snapshot: Snapshot, graph: Graph, progress: Progress) -> bool:
    """Whether the caches show the job of every service that became ready. A restart runs services without a job again,
    so it waits for this."""
    return not any(
        state.count(Phase.SUCCEEDED)
        and snapshot.may_hide_jobs(node.flow.template_name, state.gvr)
        and snapshot.is_service(node.flow.template_name, state.gvr)
        for node, state in zip(graph.nodes, progress.flows, strict=True)
    )


def named(snapshot: Snapshot, graph: Graph) -> frozenset[int]:
    """Flows that the last restart named, and all that depend on them. The outcome waits for them.

    They are read from status, because the spec may already ask for the next restart.
    """
    numbers = unpack_indexes(snapshot.workflow.status.restarted_flows)
    return _downstream(graph, (number for number in numbers if number < len(graph.nodes)))


def numbers_of(snapshot: Snapshot, graph: Graph) -> tuple[int, ...]:
    """Numbers of the flows that the requested restart names, in ascending order."""
    asked = snapshot.workflow.spec.restart
    names = set(asked.flows) if asked is not None else set()
    return tuple(sorted(graph.by_name[name] for name in names if name in graph.by_name))


def reset(snapshot: Snapshot, graph: Graph, progress: Progress) -> Progress:
    """The progress with the tasks of the restart Waiting again; the same object if nothing is to run again."""
    asked = numbers_of(snapshot, graph)
    again = _downstream(graph, asked)
    has_failed = snapshot.workflow.status.phase is WorkflowPhase.FAILED
    flows = []
    for node, state in zip(graph.nodes, progress.flows, strict=True):
        whole = node.number in again or (node.is_finally and (has_failed or bool(again)))
        wanted = [
            index
            for index, task in enumerate(state.tasks)
            if not node.is_empty
            and (
                whole
                or (not asked and has_failed and task.phase in _AGAIN)
                or ((has_failed or again) and _is_lost_service(snapshot, node, state, task, index))
            )
        ]
        flows.append(_reset_flow(snapshot, node, state, wanted) if wanted else state)
    if all(new is old for new, old in zip(flows, progress.flows, strict=True)):
        return progress
    fresh = from_flows(_without_latches(graph, flows, progress.flows))
    return replace(fresh, acked=progress.acked)


def _reset_flow(snapshot: Snapshot, node: Node, state: FlowState, wanted: list[int]) -> FlowState:
    highest = max(task.attempt if task.had_job or task.attempt else -1 for task in state.tasks)
    for index in range(node.size):
        highest = max([highest, *(observed.attempt for observed in snapshot.jobs.get(TaskKey(node.name, index), ()))])
    first = highest + 1
    tasks = list(state.tasks)
    for index in wanted:
        tasks[index] = Task(attempt=first)
    return replace(
        state,
        tasks=tuple(tasks),
        tally=tally_of(tasks),
        first_attempt=first,
        wait_reason="",
        wait_message="",
        server_warning="",
        passed={},
    )


def _without_latches(graph: Graph, flows: list[FlowState], before: Iterable[FlowState]) -> list[FlowState]:
    """Forgets probes of restarted flows that passed: they say nothing about the next attempt."""
    moved = {number for number, (new, old) in enumerate(zip(flows, before, strict=True)) if new is not old}
    for node in graph.nodes:
        stale = {part.path for part in node.probes() if part.flow in moved}
        state = flows[node.number]
        if stale and state.passed:
            kept = {path: indexes for path, indexes in state.passed.items() if path not in stale}
            flows[node.number] = replace(state, passed=kept)
    return flows


def _is_lost_service(snapshot: Snapshot, node: Node, state: FlowState, task: Task, index: int) -> bool:
    """Whether a service became ready and its job is gone, so that flows which depend on it would find nothing."""
    if task.phase is not Phase.SUCCEEDED:
        return False
    if not snapshot.is_service(node.flow.template_name, state.gvr):
        return False
    jobs = snapshot.jobs.get(TaskKey(node.name, index), ())
    return not any(observed.attempt == task.attempt and not observed.job.metadata.is_deleting for observed in jobs)


def _downstream(graph: Graph, numbers: Iterable[int]) -> frozenset[int]:
    found: set[int] = set()
    todo = list(numbers)
    while todo:
        number = todo.pop()
        if number not in found:
            found.add(number)
            todo.extend(graph.nodes[number].dependents)
    return frozenset(found)
