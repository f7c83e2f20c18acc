"""What every step of a pass works on, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pkg.controllers.workflow.planner.budget import Budget
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.progress import Task, TaskKey
from pkg.controllers.workflow.planner.snapshot import Snapshot


@dataclass(slots=True)
class Context:
    """The snapshot that a pass reads, and the draft that its steps change. Nobody sets its fields; frozen it would be
    slower, and there is one for each pass.
    """

    snapshot: Snapshot
    draft: Draft
    budget: Budget = field(default_factory=Budget)
    #: The items that the pass has read from outputs, by the number of the flow.
    items: dict[int, Sequence[Any]] = field(default_factory=dict)
    graph: Graph = field(init=False)
    #: The time of the pass, in seconds since the epoch.
    now: float = field(init=False)

    def __post_init__(self) -> None:
        self.graph = self.draft.graph
        self.now = self.snapshot.now

    def node_of(self, key: TaskKey) -> Node | None:
        """The flow of a task; None if the spec does not have the flow or the index (any more)."""
        number = self.graph.by_name.get(key.flow)
        if number is None:
            return None
        node = self.graph.nodes[number]
        return node if key.index < node.size else None

    def task_of(self, key: TaskKey) -> Task | None:
        """A task as it is now; None if the spec does not have it (any more)."""
        node = self.node_of(key)
        return None if node is None else self.draft.task(node.number, key.index)

    def unfinished_tasks(self) -> list[TaskKey]:
        """The tasks that have an unfinished job."""
        nodes = (self.graph.nodes[number] for number in sorted(self.draft.not_final))
        return [
            TaskKey(node.name, index)
            for node in nodes
            for index, task in enumerate(self.draft.tasks(node.number))
            if task.is_unfinished
        ]

    def tasks_under_deletion(self) -> list[TaskKey]:
        """The tasks of which a job is being deleted."""
        jobs = self.snapshot.jobs.items()
        return [key for key, found in jobs if any(observed.job.metadata.is_deleting for observed in found)]

    def may_hide_jobs(self, node: Node) -> bool:
        """Whether the flow may have jobs that no cache shows yet."""
        return bool(self.snapshot.awaited) and self.snapshot.may_hide_jobs(
            node.flow.template_name, self.draft.state(node.number).gvrs
        )

    def may_serve_unseen(self, node: Node, index: int) -> bool:
        """Whether the task applied a service that this controller has not read yet."""
        unseen = self.snapshot.unseen
        return bool(unseen) and TaskKey(node.name, index) in unseen and self.is_service(node)

    def is_service(self, node: Node) -> bool:
        """Whether the jobs of the flow are done once they are ready."""
        return self.snapshot.is_service(node, self.draft.state(node.number).gvr)
