"""A reconcile between its creations and its other writes."""

from __future__ import annotations

from collections.abc import Mapping

from pkg.apis.flow.v1alpha1.types import Completion, Workflow
from pkg.apis.meta import Job
from pkg.apis.structs import Frozen
from pkg.controllers.workflow.creation_run import Created, CreationRun
from pkg.controllers.workflow.memory import Memory
from pkg.controllers.workflow.planned import Planned
from pkg.controllers.workflow.planner.actions import Plan
from pkg.controllers.workflow.planner.graph.compile import Compiled
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.workloads import JobState


class Unanswered(Frozen, frozen=True):
    """A reconcile that goes on once its creations are answered. snapshot, compiled, term: what `first` comes of;
    is_told: something happened meanwhile of which nobody else keeps note.
    """

    workflow: WorkflowId
    run: CreationRun
    memory: Memory
    snapshot: Snapshot
    first: Plan
    compiled: Compiled
    term: int
    is_told: bool = False

    def is_of(self, memory: Memory, term: int) -> bool:
        """Whether the reconcile can go on: same Workflow object, same spec, same leadership term."""
        return memory is self.memory and memory.spec.compiled is self.compiled and term == self.term

    def is_about(self, workflow: Workflow) -> bool:
        """Whether the plan was made of this copy of the Workflow."""
        return self.snapshot.workflow.metadata.resource_version == workflow.metadata.resource_version

    def are_all_known(self, changed: Mapping[TaskKey, tuple[ObservedJob, ...]] | None) -> bool:
        """Whether these jobs, all that changed since the plan, are those that were created, as they were then."""
        created = self.created()
        return changed is not None and all(
            len(jobs) == 1 and created.get(task) == (jobs[0].attempt, jobs[0].job) for task, jobs in changed.items()
        )

    def planned(self) -> Planned:
        """What is written if the next plan reads the jobs."""
        return Planned(self.first, self.first, self.snapshot, self.first.events)

    def created(self) -> dict[TaskKey, tuple[int, Job]]:
        """The jobs that were created, with their attempts, by task."""
        results = self.run.results()
        return {one.action.task: (one.action.attempt, one.job) for one in results if one.job is not None}

    def may_wait(self) -> bool:
        """Whether the jobs that were created may be left to the next plan: one is due for a status that is not written
        yet, no write is due now, and nothing follows from the jobs.
        """
        first, results = self.first, self.run.results()
        if first.patch is not None or first.needs_status or first.deletions or first.requeue_now:
            return False
        if not first.progress.is_dirty:  # as after a failure that status tells of: nothing else would correct it
            return False
        if not self.memory.may_skip_created or len(results) != len(first.creations):
            return False
        return all(self._is_simple(created) for created in results)

    def _is_simple(self, created: Created) -> bool:
        """Whether a job was created without warnings, and counts as pending."""
        action, job, graph = created.action, created.job, self.compiled
        if job is None or created.warnings or not isinstance(graph, Graph):
            return False
        template = graph[action.task.flow].flow.template_name
        if self.snapshot.completion(template, action.gvr) is Completion.CREATED:
            return False
        return look(self.snapshot, ObservedJob(action.gvr, job, action.attempt)).state is JobState.PENDING
