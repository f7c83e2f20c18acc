"""What a reconcile leaves to the next plan, so that not every event of a job costs one. Pure.

The watch shows a job that was just created, and a status that was just written, to whoever made them. And where flows
wait for the ends of others alone, a job that goes on (it is scheduled, it runs) changes nothing but the status: the
plan that writes it, which is due in a moment, reads the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.apis.meta import Job
from pkg.apis.structs import Frozen
from pkg.controllers.engine.result import Done, Later
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import NEVER, Progress, TaskKey
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.controllers.workflow.planner.status.status_write import write_due
from pkg.workloads import JobState

# By task: the attempt, and the job.
KnownJobs: TypeAlias = Mapping[TaskKey, tuple[int, Job]]
NO_JOBS: Final[KnownJobs] = {}
_GOING: Final = frozenset({JobState.PENDING, JobState.HELD, JobState.RUNNING})


class Left(Frozen, frozen=True):
    """workflow: as it was planned, or as our own write has made it; jobs: those that were created, as they were then;
    until: when the next plan is due (seconds since the epoch), None for after an event; snapshot, progress: of the last
    plan; asks_ends_alone: see `Graph.asks_about_ends_alone`.
    """

    workflow: Workflow
    jobs: KnownJobs
    until: float | None
    snapshot: Snapshot
    progress: Progress
    asks_ends_alone: bool

    def result(self, changed: Mapping[TaskKey, tuple[ObservedJob, ...]], now: float) -> Done | Later | None:
        """The result of a reconcile that plans nothing; None if it has to. changed: the jobs of the tasks that changed
        since the last plan.
        """
        if now < self.progress.written_at:
            return None  # the clock was set back
        until = NEVER if self.until is None else self.until
        for task, jobs in changed.items():
            if len(jobs) != 1:
                return None
            if self.jobs.get(task) == (jobs[0].attempt, jobs[0].job):
                continue
            if not self.asks_ends_alone or not self._goes_on(task, jobs[0]):
                return None
            until = min(until, write_due(self.progress, self.snapshot))
        if until <= now:
            return None
        return Done() if until == NEVER else Later(until - now, "a timer of the plan or status is due then")

    def _goes_on(self, task: TaskKey, observed: ObservedJob) -> bool:
        """Whether the job of the newest attempt of a task has not ended, and nobody deletes it or takes it off."""
        graph = self.snapshot.graph
        number = graph.by_name.get(task.flow) if isinstance(graph, Graph) else None
        if number is None or not isinstance(graph, Graph) or task.index >= graph.nodes[number].size:
            return False
        known, meta = self.progress.flows[number].tasks[task.index], observed.job.metadata
        attempt, uid = known.attempt, known.current.job_uid
        if (made := self.jobs.get(task)) is not None:
            attempt, uid = made[0], made[1].metadata.uid
        if known.has_verdict or (observed.attempt, meta.uid) != (attempt, uid):
            return False
        if meta.is_deleting or observed.taken_off or observed.is_foreign:
            return False
        template = graph.nodes[number].flow.template_name
        completion = self.snapshot.completion(template, observed.gvr, (observed,))
        return look(self.snapshot, observed).under(completion) in _GOING
