"""Reads the caches into a snapshot: the one place where what is known of a workflow is gathered for a pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pkg.apis.flow.v1alpha1 import defaults
from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.apis.meta import GVR, Job
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.kinds import Kinds
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.memory import Memory
from pkg.controllers.workflow.planner.graph.compile import compile_spec, in_force
from pkg.controllers.workflow.planner.graph.model import Graph, PodIPPredicate
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import Kind, Snapshot, Told
from pkg.controllers.workflow.pod_finder import PodFinder
from pkg.controllers.workflow.prober import Prober
from pkg.controllers.workflow.rule_book import RuleBook

# The status of thousands of flows keeps the API server busy for seconds: then that much longer between two writes.
WRITE_SHARE = 3.0


@dataclass(frozen=True, slots=True)
class Caches:
    """Where a pass reads: informers and what is derived of them."""

    workflows: Store[Workflow]
    templates: Store[WorkTemplate]
    jobs: InformerSet[Job]
    pods: PodFinder
    ledger: Ledger
    kinds: Kinds
    rules: RuleBook = field(default_factory=RuleBook)


class Observer:
    """backlog(): keys that wait, for the width of the status window; warnings(uid): the last Warnings of jobs, by the
    job's uid.
    """

    def __init__(
        self,
        caches: Caches,
        prober: Prober,
        *,
        backlog: Callable[[], int],
        warnings: Callable[[str], Mapping[str, Told]],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._caches = caches
        self._prober = prober
        self._backlog = backlog
        self._warnings = warnings
        self._clock = wall_clock
        self._waiting: dict[GVR, set[str]] = {}
        self._lock = threading.Lock()

    def waiting_for(self, gvr: GVR) -> tuple[str, ...]:
        """The workflows that use a kind: to be looked at when it appears, vanishes, or its cache is complete."""
        with self._lock:
            return tuple(self._waiting.get(gvr, ()))

    def forget(self, key: str) -> None:
        """A workflow is gone: it waits for nothing any more."""
        with self._lock:
            for users in self._waiting.values():
                users.discard(key)

    def compile(self, workflow: Workflow, memory: Memory) -> None:
        """The graph of this generation and these templates; what is known of the tasks stays if it is the same."""
        meta, spec = workflow.metadata, workflow.spec
        if memory.generation != meta.generation:
            memory.names = frozenset(flow.template_name for flow in spec.flows)
        found = self._templates(workflow, memory)
        sources = tuple(sorted((t.metadata.uid, t.metadata.generation) for t in found.values()))
        if (memory.generation, memory.sources) == (meta.generation, sources):
            return
        memory.spec_hash = defaults.spec_hash(spec)
        is_changed = workflow.status.spec_hash not in ("", memory.spec_hash)
        compiled = in_force(memory.compiled, compile_spec(spec, found), is_changed=is_changed)
        if compiled != memory.compiled:
            memory.progress, memory.compiled = None, compiled
            self._caches.ledger.mark(meta.uid)
        memory.generation, memory.sources = meta.generation, sources
        if isinstance(compiled, Graph):
            memory.names = frozenset(node.flow.template_name for node in compiled.nodes)

    def _templates(self, workflow: Workflow, memory: Memory) -> dict[str, WorkTemplate]:
        """The templates of a workflow that exist, by name."""
        found = {name: self._template(workflow, name) for name in memory.names}
        return {name: template for name, template in found.items() if template is not None}

    def _template(self, workflow: Workflow, name: str) -> WorkTemplate | None:
        return self._caches.templates.get(f"{workflow.metadata.namespace}/{name}")

    def observe(
        self, workflow: Workflow, memory: Memory, since: float, *, may_create: bool = True, is_urgent: bool = False
    ) -> Snapshot:
        """Reads the caches, once; no network. since: when this process began to lead."""
        caches, uid, key = self._caches, workflow.metadata.uid, workflow.metadata.key
        graph = memory.compiled
        templates = self._templates(workflow, memory)
        gvrs = {template.spec.gvr.gvr for template in templates.values()}
        gvrs |= {GVR.parse(text) for text in {flow.gvr for flow in workflow.status.flows} if text}
        kinds: dict[GVR, Kind | None] = {}
        with self._lock:
            for gvr in gvrs:
                self._waiting.setdefault(gvr, set()).add(key)
        for gvr in gvrs:
            kind = caches.kinds.get(gvr)
            if kind is not None and not kind.refused:
                caches.jobs.ensure(gvr)
            if caches.kinds.is_answered(gvr):
                kinds[gvr] = kind
        synced = frozenset(
            gvr
            for gvr in gvrs
            if caches.jobs.is_synced(gvr)
            or caches.jobs.is_gone(gvr)
            or caches.kinds.is_absent(gvr)
            or ((known := kinds.get(gvr)) is not None and known.refused)
        )
        view = caches.ledger.view(uid)
        # A cache that has become complete tells what is missing without an event of it: everything is looked at.
        is_known = memory.progress is not None and memory.complete == synced
        memory.complete = synced
        return Snapshot(
            now=self._clock(),
            since=since,
            workflow=workflow,
            graph=graph,
            spec_hash=memory.spec_hash,
            templates=templates,
            jobs=view.jobs,
            gone=view.gone,
            dirty=view.dirty if is_known else None,
            progress=memory.progress,
            kinds=kinds,
            synced=synced,
            passed=self._prober.passed(uid),
            pod_ips=self.pod_ips(workflow, memory) if isinstance(graph, Graph) and graph.probing else {},
            faults=dict(memory.faults),
            rules=caches.rules.by_flow(graph, templates) if isinstance(graph, Graph) else {},
            warnings=self._warnings(uid),
            may_create=may_create,
            is_urgent=is_urgent,
            load=0.005 * self._backlog() + WRITE_SHARE * memory.write_seconds,
            awaited=frozenset(gvrs - synced),
            unlisted={gvr: text for gvr in gvrs - synced if (text := caches.jobs.trouble(gvr))},
        )

    def pod_ips(self, workflow: Workflow, memory: Memory) -> dict[TaskKey, str]:
        """Addresses of the lead pods that jobs of this workflow are rendered with."""
        graph, progress = memory.compiled, memory.progress
        namespace, uid = workflow.metadata.namespace, workflow.metadata.uid
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
                address = self._caches.pods.lead_address(namespace, uid, key, task.attempt, state.gvr)
                if address:
                    found[key] = address
        return found
