"""A restart of a finished workflow: which tasks run again, and from which attempt number on.

It adopts the spec as it is then: flows and indexes that are new run, and those that are gone are dropped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from pkg.apis.flow.v1alpha1 import records, validation
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.controllers.workflow.planner.attempts import is_left_behind
from pkg.controllers.workflow.planner.graph.in_force import spec_of_status
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.progress import FlowState, Progress, Task, TaskKey, from_flows, tally_of
from pkg.controllers.workflow.planner.snapshot import Snapshot

_AGAIN = frozenset({Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED})


def is_due(snapshot: Snapshot) -> bool:
    """Whether the spec asks for a restart that has not been carried out. It waits for the end of the workflow."""
    asked = snapshot.workflow.spec.restart
    return asked is not None and asked.at != records.record_of(snapshot.workflow.status).restarted_at


def adopting(snapshot: Snapshot) -> Snapshot:
    """The snapshot as the restart sees it: an edited spec is in force."""
    edit = snapshot.edit
    if edit is None:
        return snapshot
    workflow = msgspec.structs.replace(snapshot.workflow, spec=edit.spec)
    return replace(snapshot, workflow=workflow, graph=edit.compiled, edit=None, progress=None, dirty=None)


def refusal(snapshot: Snapshot) -> str:
    """Why the requested restart is refused; empty if it is not. snapshot: as of `adopting`."""
    asked, graph = snapshot.workflow.spec.restart, snapshot.graph
    if graph is not None and not isinstance(graph, Graph):
        return f"the spec can never run: {validation.summary(graph)}"[:1000]
    if snapshot.workflow.spec.shutdown is not None:
        return "a workflow with spec.shutdown cannot be restarted: remove it, and set spec.restart.at"
    for at, name in enumerate(asked.flows if asked is not None else ()):
        if graph is not None and name not in graph.by_name:
            return f'spec.restart.flows[{at}]: no flow is named "{name}"'
    return ""


def are_jobs_known(snapshot: Snapshot, graph: Graph, progress: Progress) -> bool:
    """Whether the caches show all jobs that a restart has to know, so that it waits for this.

    It runs services again whose job is gone, and new flows and indexes begin above all attempts found under their name.
    """
    if snapshot.unseen:
        return False
    for node, state in zip(graph.nodes, progress.flows, strict=True):
        name = node.flow.template_name
        if not snapshot.may_hide_jobs(name, state.gvrs):
            continue
        if state.count(Phase.SUCCEEDED) and snapshot.is_service(node, state.gvr):
            return False
        template = snapshot.templates.get(name)
        is_unlisted = template is not None and template.spec.gvr.gvr in snapshot.unlisted
        if not state.is_final and not is_unlisted:
            return False
    return True


def named(snapshot: Snapshot, graph: Graph) -> frozenset[int]:
    """Flows that the last restart named, and all that depend on them. The outcome waits for them.

    They are read from status, because the spec may already ask for the next restart.
    """
    names = records.restarted(snapshot.workflow.status)
    return _downstream(graph, (graph.by_name[name] for name in names if name in graph.by_name))


def numbers_of(snapshot: Snapshot, graph: Graph, progress: Progress) -> tuple[int, ...]:
    """Numbers of the flows for which the outcome waits, in ascending order.

    These are the flows that the requested restart names, and after a success those that are new or have new indexes:
    without them the outcome would be certain at once.
    """
    found = set(_asked(snapshot, graph))
    if snapshot.workflow.status.phase is WorkflowPhase.SUCCEEDED:
        found |= progress.not_final
    return tuple(sorted(found))


def _asked(snapshot: Snapshot, graph: Graph) -> tuple[int, ...]:
    asked = snapshot.workflow.spec.restart
    names = set(asked.flows) if asked is not None else set()
    return tuple(sorted(graph.by_name[name] for name in names if name in graph.by_name))


def reset(snapshot: Snapshot, graph: Graph, progress: Progress) -> Progress:
    """The progress with the tasks of the restart Waiting again; the same object if nothing is to run again.

    It belongs to the graph with `numbers_kept`.
    progress: recovered from the status, so that a task that is not final is one of a new flow or index.
    """
    asked = _asked(snapshot, graph)
    again = _downstream(graph, asked)
    has_failed = snapshot.workflow.status.phase is WorkflowPhase.FAILED
    is_any = has_failed or bool(again) or bool(progress.not_final)
    attempts = _attempts(snapshot)
    flows = []
    for node, state in zip(graph.nodes, progress.flows, strict=True):
        whole = node.number in again or (node.is_finally and is_any)
        wanted = [
            index
            for index, task in enumerate(state.tasks)
            if (not node.is_empty or node.items_from is not None)
            and (
                whole
                or not task.is_final
                or (not asked and has_failed and task.phase in _AGAIN)
                or (is_any and _is_lost_service(snapshot, node, state, task, index))
            )
        ]
        reset = _reset_flow(node, state, wanted, attempts) if wanted else state
        if wanted and node.is_approval:  # people decide anew
            reset = msgspec.structs.replace(reset, approvals=len(snapshot.workflow.spec.approvals))
        # A flow none of whose tasks stays reads its items anew.
        flows.append(_without_number(reset) if len(wanted) == len(state.tasks) else reset)
    is_same = all(new is old for new, old in zip(flows, progress.flows, strict=True))
    if is_same and not _has_lost_tasks(snapshot, graph):
        return progress
    fresh = from_flows(_without_latches(graph, flows, progress.flows))
    return msgspec.structs.replace(fresh, acked=progress.acked)


def _attempts(snapshot: Snapshot) -> dict[str, list[tuple[int, int]]]:
    """Index and attempt of each job that is there, by flow. Flows that the spec has lost are among them."""
    found: dict[str, list[tuple[int, int]]] = {}
    for key, jobs in snapshot.jobs.items():
        found.setdefault(key.flow, []).extend((key.index, observed.attempt) for observed in jobs)
    return found


def _has_lost_tasks(snapshot: Snapshot, graph: Graph) -> bool:
    """Whether status lists a flow or an index that the spec does not have any more."""
    for flow in spec_of_status(snapshot.workflow).flows:
        number = graph.by_name.get(flow.name)
        if number is None:
            return True
        node = graph.nodes[number]
        has = node.size if node.items_from is not None else node.flow.replicas
        if node.is_indexed != (flow.for_ is not None) or has < flow.replicas:
            return True
    return False


def _reset_flow(
    node: Node, state: FlowState, wanted: list[int], attempts: dict[str, list[tuple[int, int]]]
) -> FlowState:
    first = state.first_attempt
    had = [task.attempt for task in state.tasks if task.had_job or task.attempt]
    is_new = not had and all(not task.is_final for task in state.tasks)
    known = None if is_new else max(*had, first, 0)
    found = [(index, attempt) for index, attempt in attempts.get(node.name, ()) if is_left_behind(attempt, known)]
    again = set(wanted)
    are_all_new = all(not state.tasks[index].is_final for index in wanted)
    if not are_all_new or any(index in again and attempt >= first for index, attempt in found):
        first = 1 + max(*had, *(attempt for _, attempt in found), first - 1, -1)
    tasks = list(state.tasks)
    for index in wanted:
        tasks[index] = Task(attempt=first)
    return msgspec.structs.replace(
        state,
        tasks=tuple(tasks),
        tally=tally_of(tasks),
        first_attempt=first,
        wait_reason="",
        wait_message="",
        server_warning="",
        passed={},
    )


def _without_number(state: FlowState) -> FlowState:
    """The flow before `for.itemsFrom` gave it a number of tasks; the same flow if it had none."""
    if state.fan_out is None:
        return state
    first = state.tasks[:1]
    return msgspec.structs.replace(state, tasks=first, tally=tally_of(first), fan_out=None)


def numbers_kept(graph: Graph, progress: Progress) -> dict[str, int]:
    """The numbers of tasks that `for.itemsFrom` gave flows of which some task stays, by the name of the flow."""
    states = ((graph.nodes[number].name, progress.flows[number]) for number in graph.fan_outs)
    return {name: state.fan_out for name, state in states if state.fan_out is not None}


def _without_latches(graph: Graph, flows: list[FlowState], before: Iterable[FlowState]) -> list[FlowState]:
    """Forgets probes of restarted flows that passed: they say nothing about the next attempt."""
    moved = {number for number, (new, old) in enumerate(zip(flows, before, strict=True)) if new is not old}
    for node in graph.nodes:
        stale = {part.path for part in node.probes() if part.flow in moved}
        state = flows[node.number]
        if stale and state.passed:
            kept = {path: indexes for path, indexes in state.passed.items() if path not in stale}
            flows[node.number] = msgspec.structs.replace(state, passed=kept)
    return flows


def _is_lost_service(snapshot: Snapshot, node: Node, state: FlowState, task: Task, index: int) -> bool:
    """Whether a service became ready and its job is gone, so that flows which depend on it would find nothing."""
    if task.phase is not Phase.SUCCEEDED:
        return False
    if not snapshot.is_service(node, state.gvr):
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
