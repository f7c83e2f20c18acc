"""The snapshot: all that a pass may read about one workflow, frozen. The time is part of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.faults import Fault as SpecFault
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Action, Completion, Workflow, WorkTemplate
from pkg.apis.meta import GVR, Job
from pkg.controllers.workflow.planner.carried import Carried, carried_hash, read_carried
from pkg.controllers.workflow.planner.graph.in_force import Edit
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.locks.holders import LockView
from pkg.controllers.workflow.planner.progress import JobEnding, ProbeAnswer, ProbeKey, Progress, TaskKey
from pkg.kinds.kind import Kind
from pkg.workloads import KindRow, rules_for
from pkg.workloads.template_rules import TemplateRules


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """A job of this workflow as the cache has it, or last had it, with the attempt that its label names.

    taken_off: how its metadata was changed so that it is a job of the task no more; else empty. action: Apply or Delete
    for an object that is no job of ours: what the task does with it.
    """

    gvr: GVR
    job: Job
    attempt: int
    taken_off: str = ""
    action: Action = Action.CREATE

    @property
    def is_foreign(self) -> bool:
        """Whether it is an object that outlives the workflow, and no job of it."""
        return self.action is not Action.CREATE


@dataclass(frozen=True, slots=True)
class Barred:
    """Why a template makes no job now: a right is missing, or not known. Without reason: it is being asked for."""

    reason: str = ""
    message: str = ""

    @property
    def rank(self) -> int:
        """Of several, the one with the highest rank is shown."""
        return (0 if not self.reason else 1) + (self.reason == Reasons.NOT_ALLOWED)


class Trouble(Enum):
    """How a creation failed."""

    RETRY = "retry"  # it may work later
    REFUSED = "refused"  # the API server will never take it
    NAME_TAKEN = "name-taken"  # another object has the name


# After so many tries, about half a minute, a creation that fails for a passing fault waits for a person.
LASTING_TRIES = 6
# Longest delay between two tries of one creation, in seconds.
MAX_CREATE_DELAY = 60.0


@dataclass(frozen=True, slots=True)
class CreateFault:
    """The last failed creation of an attempt. since, retry_at, said_at: seconds since the epoch; said_at: of `message`,
    which stays while only its numbers change; is_unanswered: the API server did not say that it refuses it, so that the
    job may be there.
    """

    trouble: Trouble
    attempt: int
    name: str
    reason: str
    message: str
    since: float
    tries: int
    retry_at: float
    said_at: float = 0.0
    is_unanswered: bool = False

    @property
    def is_lasting(self) -> bool:
        """Whether it has failed so often that somebody has to look at it."""
        return self.tries >= LASTING_TRIES


@dataclass(frozen=True, slots=True)
class JobWarning:
    """Reason and message of the last Warning event about a job."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PodMessages:
    """The termination messages of one attempt's pods, by role and container; empty: the lead pod, the first container.

    missing: why there is none, by the same.
    """

    attempt: int
    texts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    missing: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(slots=True)
class Snapshot:
    """One workflow at one moment. Times: seconds since the epoch.

    Nobody sets its fields. Frozen, it takes twice as long to make, and there are two for each task.
    """

    #: The time of the pass.
    now: float
    #: When this controller began to lead, or rebuilt the progress since. Times that are not recorded count from here.
    since: float
    #: Its spec is the one in force, which differs from the one in the cluster after an edit.
    workflow: Workflow
    #: The compiled spec in force, or its faults; None for a workflow that has ended and needs no graph.
    graph: Graph | tuple[SpecFault, ...] | None
    #: Hash of the spec in the cluster.
    spec_hash: str
    #: WorkTemplates that exist, by name.
    templates: Mapping[str, WorkTemplate]
    #: The jobs of each task, by attempt.
    jobs: Mapping[TaskKey, tuple[ObservedJob, ...]]
    #: What the last pass left; None for the first pass.
    progress: Progress | None
    #: Tasks whose jobs changed since the last pass; None for all tasks.
    dirty: frozenset[TaskKey] | None = None
    #: Jobs that disappeared since the last pass, as they last were.
    gone: Mapping[TaskKey, tuple[ObservedJob, ...]] = field(default_factory=dict)
    #: Kinds by resource; None for one that is not served, and no entry while that is not known.
    kinds: Mapping[GVR, Kind | None] = field(default_factory=dict)
    #: Kinds whose cache has every job of the workflow that status may record.
    synced: frozenset[GVR] = frozenset()
    #: HTTP and TCP probes that pass now.
    passed: frozenset[ProbeKey] = frozenset()
    #: How probes fail that do not pass.
    answers: Mapping[ProbeKey, ProbeAnswer] = field(default_factory=dict)
    #: Addresses of lead pods.
    pod_ips: Mapping[TaskKey, str] = field(default_factory=dict)
    #: Creations that failed.
    faults: Mapping[TaskKey, CreateFault] = field(default_factory=dict)
    #: Status rules of flows whose template has some, by the name of the flow.
    rules: Mapping[str, TemplateRules] = field(default_factory=dict)
    #: The last Warning event about a pending job, by the uid of the job.
    warnings: Mapping[str, JobWarning] = field(default_factory=dict)
    #: How the pods of failed jobs ended, as far as that was looked up.
    endings: Mapping[TaskKey, JobEnding] = field(default_factory=dict)
    #: Termination messages with outputs, as far as they were looked up.
    messages: Mapping[TaskKey, PodMessages] = field(default_factory=dict)
    #: What the API server said about jobs that were created since the last pass.
    server_warnings: Mapping[TaskKey, tuple[str, ...]] = field(default_factory=dict)
    #: False in the second pass of a reconcile, which follows its creations.
    may_create: bool = True
    #: How many jobs the namespace has room for now; None for as many as one pass may create.
    room: int | None = None
    #: Status is to be written although its window is not over.
    is_urgent: bool = False
    #: Status is written only where something has to be recorded before it is acted on, and at the end: in a dry run.
    is_dry_run: bool = False
    #: The status in the cluster is still empty: see `Plan.begun`.
    is_unwritten: bool = False
    #: Seconds by which the load lengthens the window between two writes of status.
    load: float = 0.0
    #: Kinds whose cache may lack jobs of the workflow.
    awaited: frozenset[GVR] = frozenset()
    #: Those of them of which the jobs of this workflow alone are being read: that takes a moment.
    being_read: frozenset[GVR] = frozenset()
    #: What the API server answered where the cache of a kind cannot be filled.
    unlisted: Mapping[GVR, str] = field(default_factory=dict)
    #: Templates of which no job may be created now, by name.
    barred: Mapping[str, Barred] = field(default_factory=dict)
    #: Tasks whose applied or found object has not been read since this controller knows of it.
    unseen: frozenset[TaskKey] = frozenset()
    #: What is known of its locks; None where nobody keeps locks.
    locks: LockView | None = None
    #: An edit of the spec that is not in force.
    edit: Edit | None = None
    #: The workflow waits because its spec was edited while it runs.
    is_held: bool = field(init=False)
    #: All its jobs will be known in a moment. Nothing is judged by time until then: what is cached may have ended.
    is_settling: bool = field(init=False)

    def __post_init__(self) -> None:
        phase = self.workflow.status.phase if self.edit is not None else None
        self.is_held = self.edit is not None and (phase is None or not phase.is_final)
        # Of a kind that discovery has not found yet, or that cannot be listed, nobody knows how long it takes.
        self.is_settling = any(gvr in self.kinds and gvr not in self.unlisted for gvr in self.awaited)

    def may_hide_jobs(self, template_name: str, recorded: Iterable[str]) -> bool:
        """Whether a flow may have jobs that no cache shows yet. recorded: the kinds of its jobs in status."""
        if not self.awaited:
            return False
        template = self.templates.get(template_name)
        return (template is not None and template.spec.gvr.gvr in self.awaited) or (
            any(GVR.parse(gvr) in self.awaited for gvr in recorded)
        )

    def completion(self, template_name: str, gvr: GVR, jobs: Iterable[ObservedJob] = ()) -> Completion:
        """When a job of this template counts as done: by the template while it exists and names the kind of the job,
        else by what the first of these jobs carries, else as usual for the kind. gvr: its kind, or an empty one.
        """
        template = self.templates.get(template_name)
        found: Completion | None = None
        if template is not None and (not gvr.resource or is_of_kind(template, gvr)):
            if template.spec.action is Action.DELETE:
                return Completion.TERMINAL  # such a task is done once the object is gone, of whatever kind
            found = template.spec.completion
            gvr = gvr if gvr.resource or found is not None else template.spec.gvr.gvr
        else:
            jobs = tuple(jobs)
            if any(job.action is Action.DELETE for job in jobs):
                return Completion.TERMINAL
            carried = next((carried for job in jobs if (carried := self.carried(job)) is not None), None)
            found = carried.completion if carried is not None else None
        if found is not None:
            return found
        kind = self.kinds.get(gvr)
        return kind.completion if kind is not None else Completion.TERMINAL

    def is_service(self, node: Node, recorded: str) -> bool:
        """Whether the jobs of a flow are done before they end: once they are ready, or made.

        recorded: its kind in status, or empty.
        """
        gvr = GVR.parse(recorded) if recorded else GVR()
        return self.completion(node.flow.template_name, gvr, self._jobs_of(node)) is not Completion.TERMINAL

    def _jobs_of(self, node: Node) -> Iterator[ObservedJob]:
        for index in range(node.size):
            yield from self.jobs.get(TaskKey(node.name, index), ())

    def carried(self, observed: ObservedJob) -> Carried | None:
        """The rules and the completion that a job carries; None if it carries none that are recorded in status."""
        text = observed.job.metadata.annotations.get(labels.RULES)
        if text is None or self.progress is None or not isinstance(self.graph, Graph):
            return None
        number = self.graph.by_name.get(observed.job.metadata.labels.get(labels.FLOW, ""))
        if number is None or carried_hash(text) not in self.progress.flows[number].rules:
            return None
        return read_carried(text, self.gvr_of(observed))

    def gvr_of(self, observed: ObservedJob) -> GVR:
        """The resource as which a job is read: in the version that its flow names, not as it was listed."""
        if not isinstance(self.graph, Graph):
            return observed.gvr
        number = self.graph.by_name.get(observed.job.metadata.labels.get(labels.FLOW, ""))
        if number is None:
            return observed.gvr
        template = self.templates.get(self.graph.nodes[number].flow.template_name)
        if template is not None:
            written, seen = template.spec.gvr, observed.gvr
            if written.version == seen.version:
                return seen  # it is the same, or another kind
            named = written.gvr
        else:
            named = GVR.parse(self.progress.flows[number].gvr) if self.progress is not None else GVR()
        is_same = (named.group, named.resource) == (observed.gvr.group, observed.gvr.resource)
        return named if is_same else observed.gvr

    def rules_of(self, observed: ObservedJob) -> TemplateRules | None:
        """The status rules by which a job is read: of its template while that exists and names the kind of the job,
        else those that the job carries. None if there are none.
        """
        meta = observed.job.metadata
        if not self.rules and labels.RULES not in meta.annotations:
            return None
        name = meta.labels.get(labels.FLOW, "")
        found = self.rules.get(name)
        if found is not None and found.gvr == self.gvr_of(observed):
            return found
        number = self.graph.by_name.get(name) if isinstance(self.graph, Graph) else None
        if number is None or not isinstance(self.graph, Graph):
            return None
        template = self.templates.get(self.graph.nodes[number].flow.template_name)
        if template is not None and is_of_kind(template, observed.gvr):
            return None
        carried = self.carried(observed)
        return carried.rules if carried is not None else None

    def row_of(self, observed: ObservedJob) -> KindRow:
        """The row of the rules table for the kind of a job."""
        return self.reading_of(observed)[0]

    def reading_of(self, observed: ObservedJob) -> tuple[KindRow, bool]:
        """The row for the kind of a job, and whether the kind has the subresource `status`; assumed while not known."""
        gvr = self.gvr_of(observed)
        kind = self.kinds.get(gvr)
        return (rules_for(gvr), True) if kind is None else (kind.row, kind.has_status)


def is_of_kind(template: WorkTemplate, gvr: GVR) -> bool:
    """Whether a template names that kind, in whatever version."""
    named = template.spec.gvr
    return named.resource == gvr.resource and named.group == gvr.group
