"""Which spec a workflow goes by: the one in the cluster, or the one that it started with after an edit.

An edit that changes what the spec means is not in force before a restart adopts it. Until then the workflow goes by the
spec that it started with. A controller that was started later does not know that spec. It makes up one from the flows
that status lists: their names and indexes, without dependencies, retries and timeouts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import cost, raw, records, updates, validation
from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.inline import inline_templates
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.spec_hash import FREE
from pkg.apis.flow.v1alpha1.types import Flow, FlowStatus, For, Workflow, WorkflowSpec, WorkflowStatus, WorkTemplate
from pkg.controllers.workflow.planner.edits import is_edited, is_held_in, policy_in_force
from pkg.controllers.workflow.planner.graph import fan_out
from pkg.controllers.workflow.planner.graph.compile import Compiled, compile_graph, compile_spec
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.graph.shared import SharedSpec, shared_spec

# Of an edit, so many fields are named, and so many characters of its faults are shown.
_MAX_FIELDS: Final = 5
_MAX_FAULTS: Final = 400
_REPAIR: Final = (
    "No job starts, and nothing is decided. Take the edit back to go on. Or end the workflow with spec.shutdown, and"
    " after its end remove spec.shutdown and set spec.restart.at to run it with the edited spec."
)


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of the spec that is not in force.

    spec, compiled: the spec in the cluster, and its graph or faults; message: what was edited and what to do, for a
    workflow that is held for it; is_start_known: the spec in force is the one that the workflow started with, and not
    made up from its status.
    """

    spec: WorkflowSpec
    compiled: Compiled
    message: str
    is_start_known: bool


@dataclass(frozen=True, slots=True)
class CompiledSpec:
    """The compiled spec of one generation, and what it was compiled from.

    template_names: the templates it names; sources: UID and generation of those that exist; spec_hash: of the spec in
    the cluster; spec, compiled: those in force; edit: one that is not in force; hashes: as which status may record the
    spec in force; inline: the templates that stand in the flows of the spec in force; counts: the recorded numbers of
    tasks of `for.itemsFrom` that the graphs have, by flow; counted_in: the status that has them; shared: what workflows
    with the spec in the cluster have in common.
    """

    generation: int = -1
    template_names: frozenset[str] = frozenset()
    sources: tuple[tuple[str, int], ...] = ()
    compiled: Compiled = ()
    spec_hash: str = ""
    spec: WorkflowSpec | None = None
    edit: Edit | None = None
    hashes: frozenset[str] = frozenset()
    inline: Mapping[str, WorkTemplate] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    counted_in: WorkflowStatus | None = None
    shared: SharedSpec | None = field(default=None, compare=False)


NO_SPEC: Final = CompiledSpec()

FindTemplates = Callable[[Iterable[str]], Mapping[str, WorkTemplate]]


def compile_in_force(workflow: Workflow, find: FindTemplates, before: CompiledSpec) -> CompiledSpec:
    """The spec in force, compiled with the templates that exist now and with the numbers of tasks that status records;
    `before` itself if none of them has changed.

    find: the templates of these names that exist, by name.
    """
    found = _compile_in_force(workflow, find, before)
    if found is before and before.counted_in is workflow.status:
        return before
    edit = found.edit
    counts = fan_out.recorded_counts(found.compiled, workflow.status)
    if edit is not None:
        counts |= fan_out.recorded_counts(edit.compiled, workflow.status)
    if found is before and counts == before.counts:
        return replace(before, counted_in=workflow.status)
    compiled = _with_counts(found.compiled, counts)
    if edit is not None:
        edit = replace(edit, compiled=_with_counts(edit.compiled, counts))
    elif compiled == before.compiled:
        compiled = before.compiled  # the object that the progress belongs to
    return replace(found, compiled=compiled, edit=edit, counts=counts, counted_in=workflow.status)


def _with_counts(compiled: Compiled, counts: Mapping[str, int]) -> Compiled:
    return fan_out.with_counts(compiled, counts) if isinstance(compiled, Graph) else compiled


def _compile_in_force(workflow: Workflow, find: FindTemplates, before: CompiledSpec) -> CompiledSpec:
    meta, spec, status = workflow.metadata, workflow.spec, workflow.status
    is_same = before.generation == meta.generation
    shared = None if is_same else shared_spec(spec)
    hashed = before.spec_hash if shared is None else shared.spec_hash
    edited = is_edited(workflow, hashed)
    is_same = is_same and edited == (before.edit is not None)
    names = before.template_names if is_same else _template_names(spec)
    if edited and not is_same:
        names |= before.template_names
    templates = find(names)
    sources = tuple(sorted((t.metadata.uid, t.metadata.generation) for t in templates.values()))
    if is_same and before.sources == sources:
        return before
    is_started = (cost.has_started(status) or _has_begun(status)) and not edited
    shared = shared or shared_spec(spec)
    compiled = shared.compiled(templates, meta, is_started=is_started)
    recorded = frozenset({records.record_of(status).spec_hash})
    if not edited:
        inline = inline_templates(meta, spec)
        return CompiledSpec(
            generation=meta.generation,
            template_names=names,
            sources=sources,
            compiled=compiled,
            spec_hash=hashed,
            spec=spec,
            hashes=recorded | {hashed},
            inline=inline,
            shared=shared,
        )
    start = before.spec if recorded <= before.hashes and isinstance(before.compiled, Graph) else None
    is_known = start is not None and (before.edit is None or before.edit.is_start_known)
    base = spec_of_status(workflow) if start is None else start
    graph = _graph(base, templates, workflow, before.compiled if start is not None else (), is_known=is_known)
    message = _message(workflow, base if is_known else None, compiled)
    free = {name: getattr(spec, name) for name in FREE}
    return CompiledSpec(
        generation=meta.generation,
        template_names=names,
        sources=sources,
        compiled=graph,
        spec_hash=hashed,
        spec=msgspec.structs.replace(base, **free),
        edit=Edit(spec, compiled, message, is_known),
        hashes=recorded,
        inline=inline_templates(meta, base),
        shared=shared,
    )


def _has_begun(status: WorkflowStatus) -> bool:
    """Whether the workflow has jobs, although its first status, which lists the flows, is not written yet."""
    is_over = status.phase is None or status.phase.is_final
    return not is_over and bool(records.record_of(status).spec_hash)


def _template_names(spec: WorkflowSpec) -> frozenset[str]:
    return frozenset(spec.template_names)


def _graph(
    spec: WorkflowSpec, templates: Mapping[str, WorkTemplate], workflow: Workflow, before: Compiled, *, is_known: bool
) -> Graph:
    """The graph of the spec in force, in the room that the edited spec leaves for the status."""
    compiled = compile_spec(spec, templates, is_started=True) if is_known else compile_graph(spec)
    if not isinstance(compiled, Graph):  # a template has changed as well
        assert isinstance(before, Graph)
        compiled = before
    room = _room(workflow)
    if compiled == before and isinstance(before, Graph):
        compiled = before
    return compiled if compiled.status_room == room else replace(compiled, status_room=room)


def _room(workflow: Workflow) -> int:
    """Bytes of JSON that the edited spec and the metadata leave for the status."""
    try:
        found = cost.estimate(workflow.spec, metadata=workflow.metadata)
    except raw.RawError:
        return cost.MAX_OBJECT // 2
    return cost.MAX_OBJECT - found.spec - found.metadata


def spec_of_status(workflow: Workflow) -> WorkflowSpec:
    """A spec with the flows that status lists, and with its jobRetainPolicy. The rest is the spec in the cluster.

    A flow that the spec still has keeps its template, by which its jobs are read.
    """
    spec = workflow.spec
    now = {flow.name: flow for flow in spec.flows}
    flows = tuple(_read_only(now.get(flow.name), flow) for flow in workflow.status.flows)
    names = {flow.name for flow in flows}
    critical = tuple(name for name in spec.success_policy.critical_flows if name in names)
    policy = msgspec.structs.replace(spec.success_policy, critical_flows=critical)
    retained = policy_in_force(workflow)
    return msgspec.structs.replace(spec, flows=flows, success_policy=policy, job_retain_policy=retained)


def _read_only(now: Flow | None, flow: FlowStatus) -> Flow:
    """A flow of status, with the template of the flow of that name, if there is one."""
    if now is None:
        return Flow(name=flow.name, for_=_loop(flow))
    return Flow(
        name=flow.name,
        template=now.template,
        template_spec=now.template_spec,
        approval=now.approval,
        for_=_loop(flow),
    )


def _loop(flow: FlowStatus) -> For | None:
    """How many replicas the flow has; None if it has no `for`."""
    if not is_indexed(flow):
        return None
    if flow.reason == Reasons.NO_REPLICAS:
        return For(replicas=0)
    ranges = (flow.indexes_in(phase) for phase in Phase)
    return For(replicas=1 + max(index for text in ranges if text for index in unpack_indexes(text)))


def is_indexed(flow: FlowStatus) -> bool:
    """Whether status shows a flow by its indexes, which says that it has `for`."""
    return any(flow.indexes_in(phase) for phase in Phase)


def _message(workflow: Workflow, start: WorkflowSpec | None, compiled: Compiled) -> str:
    """What was edited and what to do. start: the spec that the workflow started with, if this controller knows it."""
    faults = ""
    if not isinstance(compiled, Graph):
        faults = f", and it can never run as it is now: {validation.summary(compiled)}"
        faults = faults if len(faults) <= _MAX_FAULTS else f"{faults[: _MAX_FAULTS - 3]}..."
    if start is not None:
        found = [f"{path} ({detail})" if detail else path for path, detail in updates.changes(start, workflow.spec)]
        more = f" and {len(found) - _MAX_FIELDS} more" if len(found) > _MAX_FIELDS else ""
        what = f"the spec was edited while the workflow runs: {', '.join(found[:_MAX_FIELDS])}{more}"
        return f"{what}{faults}. {_REPAIR}"
    held = conds.find(workflow.status.conditions, conds.SPEC_CHANGED)
    is_seen = workflow.status.observed_generation == workflow.metadata.generation
    if held is not None and is_held_in(workflow.status) and is_seen:
        return held.message  # of a controller that saw the edit
    return f"the spec was edited while no controller ran{faults}. {_REPAIR}"
