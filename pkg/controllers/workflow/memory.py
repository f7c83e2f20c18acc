"""Per-workflow cache between reconciles; safe to lose: the next reconcile then reads everything once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.records import record_of
from pkg.apis.flow.v1alpha1.spec_hash import is_comparable
from pkg.apis.flow.v1alpha1.types import Workflow, WorkflowStatus, WorkTemplate
from pkg.apis.meta import GVR
from pkg.controllers.workflow.left import KnownJobs, Left
from pkg.controllers.workflow.pending import PendingJob
from pkg.controllers.workflow.planner.actions import DeleteJob, Emit
from pkg.controllers.workflow.planner.begun import JobsOfTasks, begin_of, begun_before
from pkg.controllers.workflow.planner.dependency.fan_out import grown
from pkg.controllers.workflow.planner.graph.in_force import NO_SPEC, CompiledSpec
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import Progress, TaskKey
from pkg.controllers.workflow.planner.snapshot import CreateFault, Snapshot

MAX_UNSENT_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Sources:
    """What a compiled spec is used with, as long as neither the cached Workflow nor any template is another one.

    templates: those of the spec in force that exist, by name; revision: of the cache that they are from; gvrs: the
    kinds of the jobs; foreign: those of the objects that tasks apply or delete.
    """

    workflow: Workflow
    spec: CompiledSpec
    revision: int
    templates: Mapping[str, WorkTemplate]
    gvrs: frozenset[GVR]
    foreign: frozenset[GVR]


@dataclass(frozen=True, slots=True)
class Rest:
    """A workflow that has ended, as long as it has this generation.

    kept: UIDs of unfinished jobs that a plan has left in place; is_complete: all other jobs were known, and finished.
    """

    generation: int
    kept: frozenset[str] = frozenset()
    is_complete: bool = False


@dataclass(slots=True)
class Memory:
    """The cache of one workflow. Only the worker of its shard writes it."""

    spec: CompiledSpec = NO_SPEC
    sources: Sources | None = None
    #: A job that was just created changes nothing but the status: see `Graph.asks_about_ends_alone`.
    may_skip_created: bool = False
    #: None: the next reconcile rebuilds it from status and jobs.
    progress: Progress | None = None
    faults: dict[TaskKey, CreateFault] = field(default_factory=dict)
    #: How many creations of the next run may begin at once: see CreationRun.
    first_creations: int = 1
    #: What the next plan may find out without haste; None for nothing.
    left: Left | None = None
    #: The version of the Workflow that was planned last, or that our own write after it has made.
    seen: str = ""
    #: What the API server said about jobs that were created since the last plan.
    server_warnings: dict[TaskKey, tuple[str, ...]] = field(default_factory=dict)
    #: Events of earlier reconciles: their writes failed, or the pods of a failed job are still looked up.
    unsent_events: tuple[Emit, ...] = ()
    #: Deletions over the limit of the last reconcile.
    remaining_deletions: tuple[DeleteJob, ...] = ()
    #: When progress was rebuilt last (seconds since the epoch); 0.0 while it never was in this term.
    rebuilt_at: float = 0.0
    #: The leadership term in which the fields above were filled.
    term: int = 0
    #: The version of the Workflow at the first reconcile of the term, if it had a status or an edited spec then: jobs
    #: may be there that another process has made. Later statuses are our own.
    begun_at: int = 0
    #: Kinds of which every job was known at the last reconcile, and those of which not.
    synced: frozenset[GVR] = frozenset()
    awaited: frozenset[GVR] = frozenset()
    #: How long the last status write took, in seconds.
    write_seconds: float = 0.0
    #: The error of the last status write, empty if it succeeded.
    write_error: str = ""
    #: Counts as the status of a Workflow that has none yet: see `Plan.begun`.
    begun: WorkflowStatus | None = None
    #: The Workflow as the cache has it, and the same with that status.
    shown: tuple[Workflow, Workflow] | None = None
    #: None unless the workflow has ended and was looked at since.
    rest: Rest | None = None

    def leave(self, cached: Workflow | None, snapshot: Snapshot, jobs: KnownJobs, until: float | None) -> None:
        """Keeps what the reconcile leaves to the next plan: see `Left`. cached: the Workflow in the cache now."""
        progress, self.left = self.progress, None
        if cached is not None and cached.metadata.resource_version == self.seen and progress is not None:
            self.left = Left(self.as_begun(cached), jobs, until, snapshot, progress, self.may_skip_created)

    def take_begin(self, cached: Workflow, jobs: JobsOfTasks, now: float) -> bool:
        """Finds in the jobs of a Workflow without status of which spec it has begun. Returns whether that is another
        one than was known: another controller has begun it.
        """
        begin = begin_of(cached, jobs)
        if begin is None or (self.begun is not None and record_of(self.begun).spec_hash == begin.spec_hash):
            return False
        if begin.generation == cached.metadata.generation and is_comparable(begin.spec_hash):
            return False  # of the spec as it is now: it is no edit, whatever the hash pretends
        self.begun, self.shown = begun_before(cached, begin, jobs, now), None
        return True

    def as_begun(self, cached: Workflow) -> Workflow:
        """The Workflow with what counts as its status, the same object each time."""
        if self.begun is None or (self.shown is not None and cached is self.shown[1]):
            return cached
        if cached.status.phase is not None:  # somebody has written it
            self.begun = self.shown = None
            return cached
        if self.shown is None or self.shown[0] is not cached:
            self.shown = (cached, msgspec.structs.replace(cached, status=self.begun))
        return self.shown[1]

    def as_recorded(self, workflow: Workflow) -> Workflow:
        """The Workflow as it is in the cluster."""
        return self.shown[0] if self.shown is not None and workflow is self.shown[1] else workflow

    def store_spec(self, spec: CompiledSpec) -> bool:
        """Keeps a compiled spec. Returns whether every task has to be read again: the graph is another one, which drops
        the progress, unless flows have only got the number of tasks that `for.itemsFrom` gives them; or an edit was
        taken back, so that what was put off is done now: decisions where its start was not known, and the deletions of
        a pass before it whose status could not be written.
        """
        if spec is self.spec:
            return False
        old, new = self.spec.compiled, spec.compiled
        is_other = new != old
        is_taken_back = self.spec.edit is not None and spec.edit is None
        self.spec = spec
        if is_other:
            self.progress = grown(self.progress, old, new)
            self.may_skip_created = isinstance(spec.compiled, Graph) and spec.compiled.asks_about_ends_alone()
        return is_other or is_taken_back

    def take_server_warnings(self) -> dict[TaskKey, tuple[str, ...]]:
        """What the API server said about jobs, for the next plan alone."""
        taken, self.server_warnings = self.server_warnings, {}
        return taken

    def keep_events(self, events: Iterable[Emit]) -> None:
        """Keeps Events until they may be sent."""
        self.unsent_events = (*self.unsent_events, *events)[-MAX_UNSENT_EVENTS:]

    def drop_progress(self) -> None:
        """The next reconcile rebuilds the progress, and with it the deletions that are due."""
        self.progress, self.left, self.remaining_deletions = None, None, ()


class Memories:
    """The memories of all workflows. Any thread may read; the worker of a workflow's shard writes."""

    def __init__(self) -> None:
        self.by_workflow: dict[WorkflowId, Memory] = {}
        self._by_key: dict[str, set[WorkflowId]] = {}

    def of(self, cached: Workflow, term: int) -> Memory:
        """The memory of a workflow, made if there is none; of an earlier term no progress is kept."""
        workflow = WorkflowId.of(cached)
        memory = self.by_workflow.get(workflow)
        if memory is None:
            memory = self.by_workflow[workflow] = Memory(term=term, begun_at=_begun_at(cached))
            self._by_key.setdefault(workflow.key, set()).add(workflow)
        if memory.term != term:
            memory.drop_progress()
            memory.rest = memory.begun = memory.shown = None
            memory.rebuilt_at = 0.0
            memory.first_creations = 1
            memory.term, memory.begun_at = term, _begun_at(cached)
        return memory

    def has_begun(self, workflow: WorkflowId, term: int) -> bool:
        """Whether a Workflow without status has begun in this term."""
        memory = self.by_workflow.get(workflow)
        return memory is not None and memory.term == term and memory.begun is not None

    def workflows(self, key: str) -> tuple[WorkflowId, ...]:
        """The workflows remembered under a `namespace/name`: more than one after a Workflow was recreated."""
        return tuple(self._by_key.get(key, ()))

    def keys(self) -> tuple[str, ...]:
        """`namespace/name` of every workflow that is remembered."""
        return tuple(self._by_key)

    def forget(self, workflow: WorkflowId) -> None:
        """Drops one workflow."""
        self.by_workflow.pop(workflow, None)
        others = self._by_key.get(workflow.key)
        if others is not None:
            others.discard(workflow)
            if not others:
                del self._by_key[workflow.key]

    def pending(self) -> Iterator[PendingJob]:
        """Every job that is pending now, as the last reconcile of its workflow saw it."""
        return pending_jobs(self.by_workflow)


def pending_jobs(memories: Mapping[WorkflowId, Memory]) -> Iterator[PendingJob]:
    """Every job that is pending, by memories that other threads may change meanwhile."""
    for workflow, memory in list(memories.items()):
        progress, graph = memory.progress, memory.spec.compiled
        if progress is None or not isinstance(graph, Graph) or not progress.counts.get(Phase.PENDING):
            continue
        for node, state in zip(graph.nodes, progress.flows, strict=False):
            if not state.count(Phase.PENDING):
                continue
            for index, task in enumerate(state.tasks):
                current = task.current
                if task.phase is Phase.PENDING and current.job_uid and current.created is not None:
                    key = TaskKey(node.name, index)
                    yield PendingJob(workflow, key, current.job_uid, current.created, task.attempt, state.gvr_of(index))


def _begun_at(cached: Workflow) -> int:
    is_new = cached.status.phase is None and cached.metadata.generation == 1
    return 0 if is_new else int(cached.metadata.resource_version)
