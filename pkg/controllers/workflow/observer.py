"""Builds the snapshot of one workflow from the caches; makes no API call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.inline import inline_templates
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash as spec_hash_of
from pkg.apis.flow.v1alpha1.types import Action, Workflow, WorkflowSpec, WorkTemplate
from pkg.apis.meta import GVR, Job, WholeJob
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.first_jobs import is_timed
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.locks.keeper import LockKeeper
from pkg.controllers.workflow.memory import Memory, Sources
from pkg.controllers.workflow.objects import Objects
from pkg.controllers.workflow.planner.control.deletions import is_removed_at_end
from pkg.controllers.workflow.planner.edits import policy_in_force
from pkg.controllers.workflow.planner.graph.compile import Compiled
from pkg.controllers.workflow.planner.graph.in_force import CompiledSpec, compile_in_force
from pkg.controllers.workflow.planner.graph.model import Graph, PodIPPredicate
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.locks.holders import LockView
from pkg.controllers.workflow.planner.needed_objects import needed_objects
from pkg.controllers.workflow.planner.progress import JobEnding, TaskKey
from pkg.controllers.workflow.planner.snapshot import JobWarning, ObservedJob, PodMessages, Snapshot
from pkg.controllers.workflow.pod_finder import PodFinder
from pkg.controllers.workflow.prober import Prober
from pkg.controllers.workflow.rights import Rights
from pkg.controllers.workflow.rule_book import RuleBook
from pkg.kinds.kind import Kind
from pkg.kinds.kinds import Kinds

# A large status keeps the API server busy for seconds: this many times as long passes before the next write.
WRITE_SHARE = 3.0
# Seconds by which each key that waits in the queue lengthens the interval between two status writes.
BACKLOG_SECONDS = 0.05
# The same for each creation or deletion that is not answered yet: the API server has enough to do.
IN_FLIGHT_SECONDS = 0.25
# What was in flight counts half after so many seconds: a burst of creations keeps the API server busy for longer.
HALF_LIFE = 2.0


@dataclass(frozen=True, slots=True)
class Caches:
    """What a reconcile reads: informer caches and the indexes made of them.

    status_written(delta): called with what our own write of a status has changed in the cache.
    """

    workflows: Store[Workflow]
    templates: Store[WorkTemplate]
    jobs: InformerSet[Job]
    pod_finder: PodFinder
    ledger: Ledger
    kinds: Kinds
    rule_book: RuleBook = field(default_factory=RuleBook)
    objects: Objects | None = None
    status_written: Callable[[Delta[Workflow]], None] = lambda _delta: None


class Observer:
    """backlog(key): how many ready keys count as load for it; in_flight(): how many creations and deletions are not
    answered yet; warnings(workflow): the last Warnings about pending jobs, by UID; endings(workflow): how the pods of
    its failed jobs ended; messages(workflow): termination messages with outputs; rights: who may create what, None if
    nobody asks; locks: who holds which.
    """

    def __init__(
        self,
        caches: Caches,
        prober: Prober,
        *,
        backlog: Callable[[str], int],
        in_flight: Callable[[], int] = lambda: 0,
        warnings: Callable[[WorkflowId], Mapping[str, JobWarning]],
        endings: Callable[[WorkflowId], Mapping[TaskKey, JobEnding]] = lambda workflow: {},
        messages: Callable[[WorkflowId], Mapping[TaskKey, PodMessages]] = lambda workflow: {},
        rights: Rights | None = None,
        locks: LockKeeper | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._caches = caches
        self._prober = prober
        self._backlog = backlog
        self._in_flight = in_flight
        #: Calls that were in flight, and when (seconds since the epoch). Threads may overwrite each other's value.
        self._recent = (0.0, 0.0)
        self._warnings = warnings
        self._endings = endings
        self._messages = messages
        self._rights = rights
        self._locks = locks
        self._clock = wall_clock
        self._users: dict[GVR, set[str]] = {}
        self._lock = threading.Lock()

    def users_of(self, gvr: GVR) -> tuple[str, ...]:
        """The keys of the workflows that use a kind."""
        with self._lock:
            return tuple(self._users.get(gvr, ()))

    def forget(self, key: str) -> None:
        """Drops a workflow that is gone from the users of every kind, and from those that wait for rights."""
        self.forget_rights(key)
        with self._lock:
            for gvr, users in list(self._users.items()):
                users.discard(key)
                if not users:
                    del self._users[gvr]

    def forget_rights(self, key: str) -> None:
        """A workflow waits for no rights: nothing is made for it, or another process makes it."""
        if self._rights is not None:
            self._rights.forget(key)

    def compile(self, workflow: Workflow, memory: Memory) -> CompiledSpec:
        """The spec in force, compiled with the templates that exist now; that of the memory if nothing has changed.

        The snapshots of this reconcile have the same templates: a template that comes later may name outputs on which
        the graph does not wait yet.
        """
        known, revision = memory.sources, self._caches.templates.revision  # before the templates are read
        is_same = known is not None and known.workflow is workflow and known.spec is memory.spec
        if known is not None and is_same and known.revision == revision:
            return memory.spec
        read: dict[str, WorkTemplate] = {}

        def find(names: Iterable[str]) -> dict[str, WorkTemplate]:
            read.update(self._named(workflow, names))
            return read

        spec = compile_in_force(workflow, find, memory.spec)
        templates = {**read, **spec.inline}
        gvrs, foreign = _gvrs(workflow, templates), _foreign_gvrs(templates)
        self._register(workflow, gvrs | foreign)
        memory.sources = Sources(workflow, spec, revision, templates, frozenset(gvrs), frozenset(foreign))
        return spec

    def ensure_informers(self, memory: Memory) -> None:
        """Starts the informers of the kinds that a workflow uses. memory: with what `compile` has found."""
        spec, sources = memory.spec, _sources(memory)
        for template in spec.inline.values():
            if template.spec.action is not Action.CREATE:
                continue
            rules = self._caches.rule_book.of(template)
            if rules is not None and rules.needs_whole:
                self._caches.jobs.decode_as(rules.gvr, WholeJob)
        if isinstance(spec.compiled, Graph) and spec.compiled.read_in_full:
            for name in spec.compiled.read_in_full & sources.templates.keys():
                self._caches.jobs.decode_as(sources.templates[name].spec.gvr.gvr, WholeJob)
        self._ensure(sources.gvrs, sources.foreign)

    def _register(self, workflow: Workflow, gvrs: Iterable[GVR]) -> None:
        """The workflow uses these kinds."""
        with self._lock:
            for gvr in gvrs:
                self._users.setdefault(gvr, set()).add(workflow.metadata.key)

    def _ensure(self, gvrs: Iterable[GVR], foreign: Iterable[GVR]) -> None:
        for gvr in foreign:
            self._caches.kinds.get(gvr)
        for gvr in gvrs:
            kind = self._caches.kinds.get(gvr)
            if kind is not None and not kind.refused:
                self._caches.jobs.ensure(gvr)

    def are_jobs_known(self, workflow: Workflow) -> bool:
        """Whether the caches show every job of a workflow. Starts the informers that this takes."""
        templates = self.all_templates(workflow)
        gvrs, foreign = _gvrs(workflow, templates), _foreign_gvrs(templates)
        self._register(workflow, gvrs | foreign)
        self._ensure(gvrs, foreign)
        kinds = {gvr: self._caches.kinds.get(gvr) for gvr in gvrs}
        return self._known_kinds(gvrs, kinds, self._caches.jobs.is_synced) == gvrs

    def are_known(self, gvrs: Iterable[GVR]) -> bool:
        """Whether the caches show every object of these kinds with our label. Starts the informers that this takes."""
        wanted = frozenset(gvrs)
        kinds = {gvr: self._caches.kinds.get(gvr) for gvr in wanted}
        for gvr, kind in kinds.items():
            if kind is not None and not kind.refused:
                self._caches.jobs.ensure(gvr)
        return self._known_kinds(wanted, kinds, self._caches.jobs.is_synced) == wanted

    def may_have_deleting_jobs(self, workflow: Workflow) -> bool:
        """Whether jobs of a workflow are being deleted, or the caches do not show yet whether they are. Starts the
        informers that this takes, and registers the workflow as a user of its kinds.
        """
        gvrs = {GVR.parse(text) for text in records.kinds_of(workflow.status)}
        self._register(workflow, gvrs)
        # In this order: a job that the complete cache shows is in the ledger.
        return not self.are_known(gvrs) or self._caches.ledger.is_deleting_jobs(WorkflowId.of(workflow))

    def take_snapshot_after_end(self, workflow: Workflow, since: float) -> Snapshot:
        """What a plan needs of a workflow that has ended and whose jobs have, too. It resets the job changes."""
        this, meta = WorkflowId.of(workflow), workflow.metadata
        self.forget_rights(meta.key)
        is_edited = workflow.status.observed_generation != meta.generation
        policy, phase = policy_in_force(workflow), workflow.status.phase or WorkflowPhase.PENDING
        jobs: Mapping[TaskKey, tuple[ObservedJob, ...]] = {}
        if is_removed_at_end(policy, phase):
            jobs = self._caches.ledger.take_changes(this).jobs
        else:
            self._caches.ledger.reset_changes(this)
        return Snapshot(
            now=self._clock(),
            since=since,
            workflow=workflow,
            graph=None,
            spec_hash=spec_hash_of(workflow.spec) if is_edited else records.record_of(workflow.status).spec_hash,
            templates={},
            jobs=jobs,
            progress=None,
            endings=self._endings(this),
        )

    def take_snapshot(
        self,
        workflow: Workflow,
        memory: Memory,
        since: float,
        *,
        may_create: bool = True,
        room: int | None = None,
        is_urgent: bool = False,
    ) -> Snapshot:
        """The snapshot of this moment. It takes the job changes from the ledger: the next one has only later ones.

        since: when this process began to lead, in seconds since the epoch; room: see Snapshot. A progress that is built
        again later counts times that status does not record from then: a timeout may come late, never early.
        """
        caches, this, graph = self._caches, WorkflowId.of(workflow), memory.spec.compiled
        sources = _sources(memory)
        templates, gvrs, foreign = sources.templates, sources.gvrs, sources.foreign
        unseen = self._objects_of(workflow, memory)
        kinds = {gvr: caches.kinds.get(gvr) for gvr in gvrs | foreign if caches.kinds.is_answered(gvr)}
        spec = memory.spec.spec or workflow.spec
        count = workflow.status.tasks.total
        synced = self._known_kinds(gvrs, kinds, lambda gvr: self._has_jobs(gvr, this, memory.begun_at, count, spec))
        awaited = gvrs - synced
        changes = caches.ledger.take_changes(this)
        # A cache that became complete shows which jobs are missing without an event for them: every task is read.
        is_known = memory.progress is not None and (memory.synced, memory.awaited) == (synced, awaited)
        if memory.spec.edit is not None and memory.spec.spec is not None:
            workflow = msgspec.structs.replace(workflow, spec=memory.spec.spec)
        now = self._clock()
        if memory.progress is None:
            memory.rebuilt_at = now if memory.rebuilt_at else since
        return Snapshot(
            now=now,
            since=memory.rebuilt_at,
            workflow=workflow,
            graph=graph,
            spec_hash=memory.spec.spec_hash,
            templates=templates,
            jobs=changes.jobs,
            gone=changes.gone,
            dirty=changes.dirty if is_known else None,
            progress=memory.progress,
            kinds=kinds,
            synced=synced,
            passed=self._prober.passed(this),
            answers=self._prober.answers(this),
            pod_ips=self.pod_ips(workflow, memory) if isinstance(graph, Graph) and graph.probing else {},
            faults=dict(memory.faults),
            server_warnings=memory.take_server_warnings(),
            rules=caches.rule_book.by_flow(graph, templates) if isinstance(graph, Graph) else {},
            warnings=self._warnings(this),
            endings=self._endings(this),
            messages=self._messages(this) if isinstance(graph, Graph) and graph.reading_messages else {},
            may_create=may_create,
            room=room,
            is_urgent=is_urgent,
            is_unwritten=memory.begun is not None,
            load=self._load(workflow, memory),
            awaited=awaited,
            being_read=frozenset(gvr for gvr in awaited if caches.jobs.is_synced(gvr)),
            unlisted={
                gvr: text
                for gvr in awaited | (foreign - synced)
                if (text := self._trouble(gvr) or (caches.jobs.owners_trouble(gvr) if gvr in awaited else ""))
            },
            unseen=unseen,
            locks=self._view_of_locks(this, graph),
            # The people of the very object that the jobs are rendered from.
            barred=self._rights.barred(workflow, templates) if self._rights is not None else {},
            edit=memory.spec.edit,
        )

    def _view_of_locks(self, workflow: WorkflowId, graph: Compiled) -> LockView | None:
        """What is known of the locks of a workflow; None if it has none and holds none."""
        if self._locks is None:
            return None
        names = graph.lock_names if isinstance(graph, Graph) else ()
        return self._locks.view(workflow, names) if names or self._locks.knows(workflow) else None

    def _load(self, workflow: Workflow, memory: Memory) -> float:
        """Seconds by which the load lengthens the window between two writes of status."""
        now, (before, at) = self._clock(), self._recent
        in_flight: float = max(self._in_flight(), before * 0.5 ** (max(0.0, now - at) / HALF_LIFE))
        self._recent = (in_flight, now)
        queued = BACKLOG_SECONDS * self._backlog(workflow.metadata.key)
        return queued + IN_FLIGHT_SECONDS * in_flight + WRITE_SHARE * memory.write_seconds

    def _trouble(self, gvr: GVR) -> str:
        """Why jobs of a kind, or objects that tasks apply or delete, cannot be listed; empty if they can."""
        found = self._caches.jobs.trouble(gvr)
        return found if found or self._caches.objects is None else self._caches.objects.trouble(gvr)

    def _objects_of(self, workflow: Workflow, memory: Memory) -> frozenset[TaskKey]:
        """Follows the objects that status records and that this controller may not know; returns those not read yet."""
        objects, record = self._caches.objects, workflow.status.record
        if objects is None:
            return frozenset()
        this, graph = WorkflowId.of(workflow), memory.spec.compiled
        if memory.progress is None and record is not None and record.objects and isinstance(graph, Graph):
            for one in needed_objects(workflow, graph):
                objects.adopt(
                    this, one.flow, one.record, one.indexes, is_indexed=one.is_indexed, needs_watch=one.needs_watch
                )
        return objects.unseen(this)

    def pod_ips(self, workflow: Workflow, memory: Memory) -> dict[TaskKey, str]:
        """The addresses of lead pods that jobs of this workflow are rendered with, by the task that is asked for."""
        graph, progress = memory.spec.compiled, memory.progress
        this = WorkflowId.of(workflow)
        if not isinstance(graph, Graph) or progress is None:
            return {}
        asked = {
            part.flow
            for number in graph.probing
            for part in graph.nodes[number].predicates()
            if isinstance(part, PodIPPredicate)
        }
        found = {}
        for number in asked:
            state = progress.flows[number]
            for index, task in enumerate(state.tasks):
                key = TaskKey(graph.nodes[number].name, index)
                if not task.had_job:
                    continue
                address = self._caches.pod_finder.lead_address(this, key, task.attempt, state.gvr_of(index))
                if address:
                    found[key] = address
        return found

    def _has_jobs(self, gvr: GVR, workflow: WorkflowId, since: int, count: int, spec: WorkflowSpec) -> bool:
        """Whether the cache has every job of a workflow as of version `since`, about so many. If not, they are asked
        for. If its jobs alone were read, nobody sees how they end before the list is there, so that time decides
        nothing.
        """
        jobs = self._caches.jobs
        is_synced = jobs.is_synced(gvr)  # first: if it is synced a moment later, the workflow is requeued
        return jobs.ask(gvr, workflow.uid, workflow.key, since, count) and (is_synced or not is_timed(spec))

    def _known_kinds(
        self, gvrs: Iterable[GVR], kinds: Mapping[GVR, Kind | None], has_jobs: Callable[[GVR], bool]
    ) -> frozenset[GVR]:
        """The kinds of which every job is known: the cache has them, or there can be none."""
        jobs = self._caches.jobs
        return frozenset(
            gvr
            for gvr in gvrs
            if has_jobs(gvr)
            or jobs.is_gone(gvr)
            or self._caches.kinds.is_absent(gvr)
            or ((kind := kinds.get(gvr)) is not None and kind.refused)
        )

    def all_templates(self, workflow: Workflow) -> dict[str, WorkTemplate]:
        """The templates of the spec in the cluster, by `Flow.template_name`, as far as they exist."""
        named = self._named(workflow, workflow.spec.template_names)
        return {**named, **inline_templates(workflow.metadata, workflow.spec)}

    def _named(self, workflow: Workflow, names: Iterable[str]) -> dict[str, WorkTemplate]:
        """The WorkTemplates of these names that exist, by name."""
        namespace = workflow.metadata.namespace
        found = {name: self._caches.templates.get(f"{namespace}/{name}") for name in names}
        return {name: template for name, template in found.items() if template is not None}


def _sources(memory: Memory) -> Sources:
    """What `compile` has found last."""
    if memory.sources is None:
        raise RuntimeError("the spec is compiled before its informers start and before a snapshot is taken")
    return memory.sources


def _gvrs(workflow: Workflow, templates: Mapping[str, WorkTemplate]) -> set[GVR]:
    """The kinds of a workflow's jobs: those its templates name, and those recorded in its status."""
    recorded = records.kinds_of(workflow.status)
    named = {one.spec.gvr.gvr for one in templates.values() if one.spec.action is Action.CREATE}
    return named | {GVR.parse(text) for text in recorded}


def _foreign_gvrs(templates: Mapping[str, WorkTemplate]) -> set[GVR]:
    """The kinds of the objects that tasks apply or delete."""
    return {one.spec.gvr.gvr for one in templates.values() if one.spec.action is not Action.CREATE}
