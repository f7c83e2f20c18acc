"""Tells whether a workflow that has ended needs its graph once more; most never do, so that it is not compiled.

The graph says what becomes of jobs that are not finished: a service that goes on, or a job whose creation outlived the
end. Once a plan has left such a job in place, only another spec or another job brings the question up again.
"""

from __future__ import annotations

from collections.abc import Iterable

from pkg.apis.flow.v1alpha1 import labels, records
from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.controllers.workflow.memory import Memory, Rest
from pkg.controllers.workflow.observer import Caches, Observer
from pkg.controllers.workflow.planner.carried import carried_hash, read_carried
from pkg.controllers.workflow.planner.graph.in_force import NO_SPEC
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.snapshot import ObservedJob, is_of_kind
from pkg.controllers.workflow.relevance import reads_templates
from pkg.workloads import read, rules_for
from pkg.workloads.template_rules import TemplateRules


class AfterEnd:
    """Works on the memory of a workflow, in the thread of its worker."""

    def __init__(self, caches: Caches, observer: Observer) -> None:
        self._caches = caches
        self._observer = observer

    def needs_graph(self, workflow: Workflow, memory: Memory) -> bool:
        """Whether the workflow runs, is to be restarted, or has an unfinished job that no plan has left in place.

        It costs nothing for a workflow of which nothing has changed since the last answer was no.
        """
        if reads_templates(workflow):
            memory.rest = None
            return True
        this, generation = WorkflowId.of(workflow), workflow.metadata.generation
        rest = memory.rest if memory.rest is not None and memory.rest.generation == generation else None
        changed = self._caches.ledger.dirty(this)
        if rest is not None and rest.is_complete and changed is not None:
            if not changed:
                return False
            jobs: Iterable[ObservedJob] = self._caches.ledger.jobs_of(this, changed)
        else:
            jobs = (observed for _, observed in self._caches.ledger.jobs(this))
        # Where every task is to be read again, the rules that the jobs are read by may have changed.
        kept = rest.kept if rest is not None and changed is not None else frozenset()
        if self._unfinished(workflow, jobs) - kept:
            memory.rest = None if rest is None else Rest(generation, kept)
            return True
        is_complete = (rest is not None and rest.is_complete) or self._observer.are_jobs_known(workflow)
        memory.rest = Rest(generation, kept, is_complete)
        memory.spec, memory.progress, memory.faults = NO_SPEC, None, {}
        return False

    def keep(self, workflow: Workflow, memory: Memory) -> None:
        """A plan with the graph has left all jobs in place that are unfinished now."""
        jobs = (observed for _, observed in self._caches.ledger.jobs(WorkflowId.of(workflow)))
        memory.rest = Rest(workflow.metadata.generation, frozenset(self._unfinished(workflow, jobs)))

    def _unfinished(self, workflow: Workflow, jobs: Iterable[ObservedJob]) -> set[str]:
        """The UIDs of those jobs that are neither finished nor under deletion."""
        present = [one for one in jobs if not one.job.metadata.is_deleting and not one.is_foreign]
        if not present:
            return set()
        found = self._observer.all_templates(workflow)
        names = {flow.name: found.get(flow.template_name) for flow in workflow.spec.flows}
        return {observed.job.metadata.uid for observed in present if not self._is_finished(workflow, observed, names)}

    def _is_finished(
        self, workflow: Workflow, observed: ObservedJob, templates: dict[str, WorkTemplate | None]
    ) -> bool:
        meta = observed.job.metadata
        flow = meta.labels.get(labels.FLOW, "")
        template = templates.get(flow)
        rules: TemplateRules | None = None
        if template is not None and is_of_kind(template, observed.gvr):
            rules = self._caches.rule_book.of(template)
        elif (text := meta.annotations.get(labels.RULES)) is not None:
            recorded = records.by_flow(workflow.status).get(flow, records.NOTHING).rules
            rules = read_carried(text, observed.gvr).rules if carried_hash(text) in recorded else None
        if rules is not None and rules.gvr == observed.gvr:
            return not rules.fault and read(rules.row, observed.job).is_final
        kind = self._caches.kinds.get(observed.gvr)
        return read(kind.row if kind is not None else rules_for(observed.gvr), observed.job).is_final
