"""Which tasks a restart of a finished workflow runs again, by the planner's own rules for restarts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import validation
from pkg.apis.flow.v1alpha1.indexes import pack_indexes
from pkg.apis.flow.v1alpha1.inline import inline_templates
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Completion, Restart, Workflow, WorkTemplate
from pkg.apis.meta import GVR, Job
from pkg.controllers.workflow.planner.control import restart
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.fan_out import recorded_counts, with_counts
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.job_identity import identify
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.controllers.workflow.planner.status.recovery import recover
from pkg.kinds.kind import Kind
from pkg.views.copies import merged_parameters
from pkg.views.unknown_flows import no_flow
from pkg.workloads import rules_for

#: What the tasks of a flow were before, in the order in which people want to read it.
_ORDER: Final = (Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED, Phase.SUCCEEDED)


class CannotRetry(Exception):
    """The workflow cannot be retried now; the message is a sentence that begins with its name."""


@dataclass(frozen=True, slots=True)
class Again:
    """Tasks of one flow that run again. was: their phase; None for tasks that are new in the spec.

    indexes: as batch/v1 writes them, `0-3,7`; empty for a flow without `for`.
    """

    flow: str
    was: Phase | None
    count: int
    indexes: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """A restart that was not sent yet.

    patch: merges into the Workflow; again: what it runs, in the order of the spec; unused: names of given parameters
    that nothing uses; parameters: those that can be given, with the value that the workflow has before the retry, None
    where only its templates have one.
    """

    patch: Mapping[str, Any]
    again: tuple[Again, ...]
    unused: tuple[str, ...] = ()
    parameters: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(each.count for each in self.again)

    @property
    def succeeded(self) -> tuple[Again, ...]:
        """Those that Succeeded before, and run again all the same."""
        return tuple(each for each in self.again if each.was is Phase.SUCCEEDED)


def check_state(workflow: Workflow) -> None:
    """Raises CannotRetry for a workflow that has not ended, or is being deleted."""
    phase = workflow.status.phase
    name = workflow.metadata.name
    if workflow.metadata.is_deleting:
        raise CannotRetry(f"{name} is being deleted; its jobs go with it")
    if phase is None or not phase.is_final:
        is_ending = workflow.spec.shutdown is not None
        end = "it is being ended" if is_ending else f"or end it with `kubectl workflow stop {name}`"
        raise CannotRetry(
            f"{name} has not ended ({phase or 'Pending'}), and a retry begins after the end; wait for it with"
            f" `kubectl workflow wait {name}`, {end}"
        )


def service_kinds(workflow: Workflow, templates: Mapping[str, WorkTemplate]) -> frozenset[GVR]:
    """Kinds of services, whose jobs decide what runs again: a service that is gone is started anew."""
    found = set()
    templates = {**templates, **inline_templates(workflow.metadata, workflow.spec)}
    for flow in workflow.spec.flows:
        template = templates.get(flow.template_name)
        if template is not None:
            gvr = template.spec.gvr.gvr
            completion = template.spec.completion or rules_for(gvr).completion
            if completion is Completion.READY:
                found.add(gvr)
    return frozenset(found)


def plan_retry(
    workflow: Workflow,
    token: str,
    templates: Mapping[str, WorkTemplate],
    services: Iterable[tuple[GVR, Job]] = (),
    *,
    flows: tuple[str, ...] = (),
    parameters: Mapping[str, str] | None = None,
) -> Retry:
    """A retry of what did not succeed, or of these flows and all that depend on them.

    token: for spec.restart.at; templates: by name, those that exist; services: the jobs of `service_kinds`.
    Raises CannotRetry if nothing would run again, or the restart would be refused.
    """
    check_state(workflow)
    name = workflow.metadata.name
    names = [flow.name for flow in workflow.spec.flows]
    if unknown := [flow for flow in flows if flow not in names]:
        raise CannotRetry(no_flow(name, unknown[0], names))
    changed: dict[str, Any] = {"restart": Restart(at=token, flows=flows), "shutdown": None}
    fields: dict[str, Any] = {"restart": {"at": token, "flows": list(flows) or None}, "shutdown": None}
    if parameters:
        listed = merged_parameters(msgspec.to_builtins([*workflow.spec.parameters]), parameters)
        changed["raw_parameters"] = msgspec.Raw(msgspec.json.encode(listed))
        fields["parameters"] = listed
    edited = msgspec.structs.replace(workflow, spec=msgspec.structs.replace(workflow.spec, **changed))
    templates = {**templates, **inline_templates(edited.metadata, edited.spec)}
    graph = compile_spec(edited.spec, templates, metadata=edited.metadata)
    if not isinstance(graph, Graph):
        raise CannotRetry(f"{name} can never run as its spec is now: {validation.summary(graph)}")
    graph = with_counts(graph, recorded_counts(graph, workflow.status))
    snapshot = _snapshot(edited, graph, templates, services)
    if refused := restart.refusal(snapshot):
        raise CannotRetry(f"{name} cannot be retried: {refused}")
    base = recover(snapshot, graph)
    fresh = restart.reset(snapshot, graph, base)
    again: list[Again] = []
    for node, before, after in zip(graph.nodes, base.flows, fresh.flows, strict=True):
        waiting = [index for index, task in enumerate(after.tasks) if not task.is_final]
        if node.items_from is not None and waiting and after.fan_out is None:
            waiting = list(range(len(before.tasks)))  # it reads its items anew
        for was in (*_ORDER, None):
            found = [index for index in waiting if _phase(before.tasks[index].phase) is was]
            if found:
                again.append(Again(node.name, was, len(found), pack_indexes(found) if node.is_indexed else ""))
    if not again:
        raise CannotRetry(
            f"{name} {workflow.status.phase}, and nothing of it is left to run; name a flow with --flow, or run a copy"
            f" of all of it with `kubectl workflow resubmit {name}`"
        )
    version = {"uid": workflow.metadata.uid, "resourceVersion": workflow.metadata.resource_version}
    return Retry(
        {"metadata": version, "spec": fields},
        tuple(again),
        unused_parameters(edited, templates, parameters or {}),
        _known_parameters(workflow, templates),
    )


def _known_parameters(workflow: Workflow, templates: Mapping[str, WorkTemplate]) -> dict[str, str | None]:
    found = {one.name: one.value for one in workflow.spec.parameters}
    for flow in workflow.spec.flows:
        template = templates.get(flow.template_name)
        for one in template.spec.parameters if template is not None else ():
            found.setdefault(one.name, None)
    return found


def unused_parameters(
    workflow: Workflow, templates: Mapping[str, WorkTemplate], parameters: Collection[str]
) -> tuple[str, ...]:
    """Given parameters that nothing uses, as far as all templates are known."""
    if not parameters:
        return ()
    reading = validation.read(workflow.spec, {name: template.spec for name, template in templates.items()})
    found = {fault.value for fault in validation.unused(reading) if fault.path.startswith("spec.parameters[")}
    return tuple(name for name in parameters if name in found)


def _phase(phase: Phase) -> Phase | None:
    return phase if phase.is_final else None


def _snapshot(
    workflow: Workflow, graph: Graph, templates: Mapping[str, WorkTemplate], services: Iterable[tuple[GVR, Job]]
) -> Snapshot:
    """What the planner reads for a restart. Of jobs, only those of services matter."""
    jobs: dict[TaskKey, tuple[ObservedJob, ...]] = {}
    for gvr, job in services:
        identity = identify(job)
        if identity is not None and identity.workflow.uid == workflow.metadata.uid:
            observed = ObservedJob(gvr, job, identity.attempt)
            jobs[identity.task] = (*jobs.get(identity.task, ()), observed)
    gvrs = {template.spec.gvr.gvr for template in templates.values()}
    kinds = {gvr: Kind(rules_for(gvr).kind, rules_for(gvr)) for gvr in gvrs}
    return Snapshot(
        now=0.0,
        since=0.0,
        workflow=workflow,
        graph=graph,
        spec_hash="",
        templates=templates,
        jobs=jobs,
        progress=None,
        kinds=kinds,
    )
