"""What a pass over a workflow remembers for the next. Losing it costs one full look, never correctness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.meta import GVR
from pkg.controllers.workflow.pending import PendingJob
from pkg.controllers.workflow.planner.actions import DeleteJob, Emit
from pkg.controllers.workflow.planner.graph.compile import Compiled
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import Progress, TaskKey
from pkg.controllers.workflow.planner.snapshot import CreateFault


@dataclass(slots=True)
class Memory:
    """What is remembered of one workflow uid. Touched only by the worker of its shard."""

    key: str
    generation: int = -1
    names: frozenset[str] = frozenset()
    sources: tuple[tuple[str, int], ...] = ()
    compiled: Compiled = ()
    spec_hash: str = ""
    progress: Progress | None = None
    faults: dict[TaskKey, CreateFault] = field(default_factory=dict)
    untold: tuple[Emit, ...] = ()
    undone: tuple[DeleteJob, ...] = ()
    term: int = 0
    complete: frozenset[GVR] = frozenset()
    write_seconds: float = 0.0


def pending_jobs(memories: Mapping[str, Memory]) -> Iterator[PendingJob]:
    """Every job that is pending now, as the last pass over its workflow saw it. memories: by
    uid. For any thread."""
    for uid, memory in list(memories.items()):
        progress, graph = memory.progress, memory.compiled
        if progress is None or not isinstance(graph, Graph) or not progress.counts.get(Phase.PENDING):
            continue
        for node, state in zip(graph.nodes, progress.flows, strict=False):
            if not state.count(Phase.PENDING):
                continue
            for index, task in enumerate(state.tasks):
                if task.phase is Phase.PENDING and task.job_uid and task.created is not None:
                    key = TaskKey(node.name, index)
                    yield PendingJob(uid, memory.key, key, task.job_uid, task.created, task.attempt, state.gvr)
