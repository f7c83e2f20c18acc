"""What one workflow looks like at one moment: everything a pass may know, frozen, the clock included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import Completion, Workflow, WorkTemplate
from pkg.apis.flow.v1alpha1.validation import Fault as SpecFault
from pkg.apis.meta import GVR, Job
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import Progress, TaskKey
from pkg.controllers.workflow.planner.rules import TemplateRules
from pkg.workloads import KindRow, rules_for


@dataclass(frozen=True, slots=True)
class Seen:
    """A job of ours as the cache holds it (or, once gone, as it last was), with the attempt its label tells."""

    gvr: GVR
    job: Job
    attempt: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A served kind, as discovery and the rules tell it; `refused` says why no job can be made of it."""

    kind: str
    row: KindRow
    refused: str = ""


class Trouble(Enum):
    """What became of a creation that did not work."""

    RETRY = "retry"  # passes: backoff
    REFUSED = "refused"  # the API server will never take it
    NAME_TAKEN = "name-taken"  # somebody else holds the name


# Between two tries of one creation, in seconds.
MAX_CREATE_DELAY = 60.0


@dataclass(frozen=True, slots=True)
class CreateFault:
    """The last failed creation of a task's attempt; retry_at in seconds since the epoch."""

    trouble: Trouble
    attempt: int
    name: str
    reason: str
    message: str
    since: float
    tries: int
    retry_at: float


@dataclass(frozen=True, slots=True)
class JobWarning:
    """The last Warning event about a job: reason and message, as the Event has them."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ProbeKey:
    """One HTTP or TCP probe of one replica: who asks, where the spec says so, which replica is asked."""

    flow: str
    path: str
    index: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One workflow now.

    now, since: seconds since the epoch; since: when this controller began to look (clocks that nobody recorded count
    from there). jobs: of each task, by attempt; gone: jobs of ours that vanished, as they last were; dirty: tasks whose
    jobs changed since the last pass, None for all of them. kinds: gvr -> kind, or None where it is not served, and no
    entry where that is not known yet; templates: by name; rules: of flows whose template has status rules of its own.
    synced: kinds whose cache is complete. passed: probes that pass now; pod_ips: lead pods' addresses. warnings: the
    last Warning event of jobs that stay pending, by uid. may_create: False for the second look of a pass, after its
    creations; is_urgent: status is to be written whatever its window says; load: seconds that the window of status
    writes is widened by. unlisted: what the server answers where a kind's cache cannot be filled.
    """

    now: float
    since: float
    workflow: Workflow
    graph: Graph | tuple[SpecFault, ...]
    spec_hash: str
    templates: Mapping[str, WorkTemplate]
    jobs: Mapping[TaskKey, tuple[Seen, ...]]
    progress: Progress | None
    dirty: frozenset[TaskKey] | None = None
    gone: Mapping[TaskKey, tuple[Seen, ...]] = field(default_factory=dict)
    kinds: Mapping[GVR, Kind | None] = field(default_factory=dict)
    synced: frozenset[GVR] = frozenset()
    passed: frozenset[ProbeKey] = frozenset()
    pod_ips: Mapping[TaskKey, str] = field(default_factory=dict)
    faults: Mapping[TaskKey, CreateFault] = field(default_factory=dict)
    rules: Mapping[str, TemplateRules] = field(default_factory=dict)
    warnings: Mapping[str, JobWarning] = field(default_factory=dict)
    may_create: bool = True
    is_urgent: bool = False
    load: float = 0.0
    awaited: frozenset[GVR] = frozenset()
    unlisted: Mapping[GVR, str] = field(default_factory=dict)

    def may_hide_jobs(self, template_name: str, recorded: str) -> bool:
        """Whether a flow may have jobs that no cache shows yet (awaited: kinds whose cache is not complete)."""
        if not self.awaited:
            return False
        template = self.templates.get(template_name)
        return (template is not None and template.spec.gvr.gvr in self.awaited) or (
            bool(recorded) and GVR.parse(recorded) in self.awaited
        )

    def completion(self, template_name: str, gvr: GVR) -> Completion:
        """When a job made from this template counts as done; a flow whose kind is not recorded has its template's."""
        template = self.templates.get(template_name)
        if template is not None:
            if template.spec.completion is not None:
                return template.spec.completion
            gvr = gvr if gvr.resource else template.spec.gvr.gvr
        kind = self.kinds.get(gvr)
        return kind.row.completion if kind is not None else Completion.TERMINAL

    def is_service(self, template_name: str, recorded: str) -> bool:
        """Whether a flow's jobs are done once they are ready; recorded: its kind as status has it, empty if not."""
        gvr = GVR.parse(recorded) if recorded else GVR()
        return self.completion(template_name, gvr) is Completion.READY

    def gvr_of(self, seen: Seen) -> GVR:
        """The resource a job is read as: the version that its flow names, whichever of several showed it."""
        if not isinstance(self.graph, Graph):
            return seen.gvr
        number = self.graph.by_name.get(seen.job.metadata.labels.get(labels.FLOW, ""))
        if number is None:
            return seen.gvr
        template = self.templates.get(self.graph.nodes[number].flow.template_name)
        if template is not None:
            named = template.spec.gvr.gvr
        else:
            named = GVR.parse(self.progress.flows[number].gvr) if self.progress is not None else GVR()
        is_same = (named.group, named.resource) == (seen.gvr.group, seen.gvr.resource)
        return named if is_same else seen.gvr

    def rules_of(self, seen: Seen) -> TemplateRules | None:
        """The rules that the template of a job's flow has for its kind; None if it has none of its own."""
        if not self.rules:
            return None
        found = self.rules.get(seen.job.metadata.labels.get(labels.FLOW, ""))
        return found if found is not None and found.gvr == self.gvr_of(seen) else None

    def row_of(self, seen: Seen) -> KindRow:
        """The row of a job's kind, served or not."""
        gvr = self.gvr_of(seen)
        kind = self.kinds.get(gvr)
        return kind.row if kind is not None else rules_for(gvr)
