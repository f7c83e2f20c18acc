"""The event handlers: what each change in a cache adds to which workqueue. Nothing is decided here.

Handlers run in the thread of a watch, so they only look things up and add keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.apis.meta import GVR, Job, WholeJob
from pkg.controllers.cronworkflow.controller import CronController
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.reflector_options import Owners
from pkg.controllers.engine.shards import ShardedQueue
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.planner.carried import needs_whole
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.pod_finder import ChangedPods
from pkg.controllers.workflow.prober import Prober
from pkg.controllers.workflow.relevance import is_template_relevant, is_workflow_relevant, reads_templates
from pkg.controllers.workflow.rule_book import RuleBook
from pkg.controllers.worktemplate.reconciler import GATHER_SECONDS, TEMPLATE_INDEX, templates_of
from pkg.kinds.kinds import Kinds


class Users(Protocol):
    """Knows the workflows, as the reconciler does."""

    def users_of(self, gvr: GVR) -> tuple[str, ...]:
        """The keys of the workflows that need a kind."""
        ...

    def known(self) -> tuple[str, ...]:
        """The keys of all that it remembers anything of."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers look up or pass changes on to."""

    workflows: Store[Workflow]
    templates: Store[WorkTemplate]
    jobs: InformerSet[Job]
    kinds: Kinds
    ledger: Ledger
    rule_book: RuleBook
    prober: Prober
    reconciler: Users
    crons: CronController | None = None


class Handlers:
    """queue: of workflows; usage_queue: of templates, for their usedBy.

    `connect` must come before anything that calls a handler is started: informers call handlers, and the handlers use
    what is built on the informers.
    """

    def __init__(self, queue: ShardedQueue, usage_queue: ShardedQueue) -> None:
        self._queue = queue
        self._usage_queue = usage_queue
        self._parts: Parts

    def connect(self, parts: Parts) -> None:
        """Use these parts from now on."""
        self._parts = parts

    def workflows_changed(self, _gvr: GVR, deltas: Sequence[Delta[Workflow]]) -> None:
        """A Workflow's change adds its own key; templates that it begins or stops to use get a new usedBy."""
        if self._parts.crons is not None:
            self._parts.crons.workflows_changed(deltas)
        for delta in deltas:
            if is_workflow_relevant(delta.old, delta.new):
                self._queue.add(delta.key, noted=True)  # the reconciler knows which version it has seen
            if delta.old is not None and delta.new is not None and _uses_the_same(delta.old, delta.new):
                continue
            if delta.old is not None and delta.new is None:
                self._forget_rules(delta.old)
            for template in _used(delta.old) ^ _used(delta.new):
                self._usage_queue.add_after(template, GATHER_SECONDS)

    def _forget_rules(self, gone: Workflow) -> None:
        """Drops the compiled rules of the templates that stood in a workflow that is gone."""
        for flow in gone.spec.flows:
            if flow.template_spec is not None:
                self._parts.rule_book.forget(f"{gone.metadata.namespace}/{flow.template_name}")

    def templates_changed(self, _gvr: GVR, deltas: Sequence[Delta[WorkTemplate]]) -> None:
        """A template's change requeues the workflows that name it and may still need it."""
        parts = self._parts
        for delta in deltas:
            self._usage_queue.add_after(delta.key, GATHER_SECONDS)
            if not is_template_relevant(delta.old, delta.new):
                continue
            new, old = delta.new, delta.old
            if new is not None:
                rules = parts.rule_book.of(new)
                if rules is not None and rules.needs_whole:
                    parts.jobs.decode_as(rules.gvr, WholeJob)
                parts.kinds.get(new.spec.gvr.gvr)  # its informer starts before a workflow needs it
            else:
                parts.rule_book.forget(delta.key)
            has_new_rules = old is None or new is None or _rules_of(old) != _rules_of(new)
            for workflow in parts.workflows.by_index(TEMPLATE_INDEX, delta.key):
                if has_new_rules:
                    parts.ledger.mark_dirty(WorkflowId.of(workflow))
                if reads_templates(workflow):
                    self._queue.add(workflow.metadata.key)

    def jobs_changed(self, gvr: GVR, deltas: Sequence[Delta[Job]]) -> None:
        """A job's change requeues the workflows that it belongs to, before and after the change."""
        if any(_needs_whole(delta.new) for delta in deltas):
            self._parts.jobs.decode_as(gvr, WholeJob)
        keys = self._parts.ledger.apply(gvr, deltas)
        for key in keys:
            self._queue.add(key, noted=True)  # the ledger keeps what changed until the workflow is planned
        if self._parts.crons is not None:
            self._parts.crons.jobs_changed(keys)

    def pods_changed(self, changes: ChangedPods) -> None:
        """A pod's change restarts the probes of its task, and requeues the workflow."""
        self._parts.prober.pods_changed(changes)
        self._add_all(workflow.key for workflow in changes)

    def job_warned(self, workflow: WorkflowId, task: TaskKey) -> None:
        """A Warning event says why a job is pending, or the pods of a failed job were looked up."""
        self._parts.ledger.mark_task_dirty(workflow, task)
        self._queue.add(workflow.key)

    def kind_changed(self, gvr: GVR) -> None:
        """A kind is usable, has changed, or is not served any more."""
        kind = self._parts.kinds.get(gvr)
        if kind is not None and not kind.refused:
            self.kind_coming(gvr)
        for key in self._parts.reconciler.users_of(gvr):
            for workflow in self._parts.ledger.workflows(key):
                self._parts.ledger.mark_dirty(workflow)  # how its jobs are read may have changed
        self.requeue_users(gvr)

    def kind_coming(self, gvr: GVR) -> None:
        """A kind will be usable in a moment: its informer starts and lists at once."""
        self._parts.jobs.ensure(gvr)
        self._parts.jobs.retry_now(gvr)

    def kind_gone(self, gvr: GVR) -> None:
        """The informer of a kind is certain that the kind is not served any more."""
        self._parts.kinds.lose(gvr)
        self.requeue_users(gvr)

    def requeue_users(self, gvr: GVR) -> None:
        """Requeue the workflows that use a kind, and the CronWorkflows that wait for their jobs."""
        users = self._parts.reconciler.users_of(gvr)
        self._add_all(users)
        if self._parts.crons is not None:
            self._parts.crons.jobs_changed(users)

    def jobs_known(self, _gvr: GVR, workflows: Owners) -> None:
        """The jobs of these workflows have been read by themselves: they go on."""
        self._add_all(workflows.keys.values())

    def requeue_all(self, listed: Iterable[str]) -> int:
        """This process leads: requeue every workflow that is cached, `listed` in the cluster, or remembered, and every
        template; returns how many workflows.
        """
        parts = self._parts
        keys = {*parts.workflows.keys(), *listed, *parts.ledger.keys(), *parts.reconciler.known()}
        self._add_all(keys)
        for template in parts.templates.values():
            self._usage_queue.add_after(template.metadata.key, GATHER_SECONDS)
        return len(keys)

    def requeue_known(self) -> None:
        """This process no longer leads: requeue every workflow that is remembered, so that it is forgotten."""
        self._add_all(self._parts.reconciler.known())

    def _add_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._queue.add(key)


def _uses_the_same(old: Workflow, new: Workflow) -> bool:
    """Whether two copies use the same templates for sure: of one spec, and both are being deleted, or none."""
    one, other = old.metadata, new.metadata
    is_same_spec = one.uid == other.uid and one.generation == other.generation
    return is_same_spec and one.is_deleting == other.is_deleting


def _used(workflow: Workflow | None) -> set[str]:
    """The keys of the templates that count a Workflow in usedBy."""
    return set() if workflow is None or workflow.metadata.is_deleting else templates_of(workflow)


def _rules_of(template: WorkTemplate) -> tuple[object, ...]:
    """What a template says about how the jobs that exist are read."""
    spec = template.spec
    return spec.gvr, spec.completion, bytes(spec.raw_status_rules)


def _needs_whole(job: Job | None) -> bool:
    """Whether a job carries rules that read its spec, of which only a part is cached."""
    text = job.metadata.annotations.get(labels.RULES) if job is not None and type(job) is not WholeJob else None
    return text is not None and needs_whole(text)
