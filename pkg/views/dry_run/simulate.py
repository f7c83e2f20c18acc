"""Drives the planner through a whole workflow: plan, carry out, let time pass until the next thing happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import jsonpatch
import msgspec

from pkg.apis.flow.v1alpha1.inline import inline_templates
from pkg.apis.flow.v1alpha1.locks import LockKind
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import (
    ApprovalDecision,
    Flow,
    GivenApproval,
    OutputSource,
    Workflow,
    WorkflowStatus,
    WorkTemplate,
)
from pkg.controllers.workflow.planner.actions import PatchStatus, Plan
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.fan_out import recorded_counts, with_counts
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import ProbeKey, Progress, Task, TaskKey
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.kinds.kind import Kind
from pkg.views.dry_run.assumptions import AssumptionError, Assumptions
from pkg.views.dry_run.cluster import OUTPUTS, Attempt, SimulatedCluster, is_service, simulated_rules, stand_in
from pkg.views.dry_run.locks import SimulatedLocks
from pkg.workloads import rules_for

#: A time with a round number of seconds, so that simulated times are exact.
_START: Final = 1_800_000_000.0
_UID: Final = "00000000-0000-4000-8000-000000000000"
#: More work than any pass of the largest workflow has.
_NO_LIMIT: Final = 1 << 40


class CannotRun(ValueError):
    """The workflow is invalid; the message has every fault, a line each."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A dry run that has ended, or that waits for something that never comes.

    attempts: in the order in which they started; tasks: as they are at the end, by flow and index; notes: what was
    assumed besides, a sentence each.
    """

    graph: Graph
    attempts: tuple[Attempt, ...]
    tasks: Mapping[TaskKey, Task]
    status: WorkflowStatus
    elapsed: float
    notes: tuple[str, ...] = ()
    #: The workflow limits how many jobs run at once.
    is_limited: bool = False


def simulate(
    workflow: Workflow,
    templates: Mapping[str, WorkTemplate],
    assumptions: Assumptions,
    config_maps: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Simulated:
    """The dry run of a workflow from its start, beside no other. Raises CannotRun and AssumptionError.

    templates: those that are known, by name; config_maps: the data of those that are known, for semaphores.
    """
    return _Run(workflow, templates, assumptions, config_maps).run()


class _Run:
    def __init__(
        self,
        workflow: Workflow,
        templates: Mapping[str, WorkTemplate],
        assumptions: Assumptions,
        config_maps: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._notes: list[str] = []
        self._assumptions = assumptions
        self._outputs: dict[str, tuple[str, ...]] = {}
        self._workflow = self._prepared(workflow)
        self._templates = self._with_stand_ins(templates)
        graph = compile_spec(self._workflow.spec, self._templates, metadata=workflow.metadata)
        if not isinstance(graph, Graph):
            raise CannotRun("\n".join(map(str, graph)))
        self._graph = graph
        gvrs = {template.spec.gvr.gvr for template in self._templates.values()}
        rows = {gvr: rules_for(gvr) for gvr in gvrs}
        services = frozenset(
            node.name
            for node in graph.nodes
            if not node.is_approval
            and is_service(found := self._templates[node.flow.template_name], rows[found.spec.gvr.gvr].completion)
        )
        rules = {gvr: simulated_rules(gvr) for gvr in gvrs}
        indexed = frozenset(node.name for node in graph.nodes if node.is_indexed)
        self._cluster = SimulatedCluster(
            self._workflow, assumptions, _START, services=services, indexed=indexed, outputs=self._outputs
        )
        self._progress: Progress | None = None
        #: The whole status as JSON, for workflows whose numbers of tasks it records.
        self._recorded: dict[str, Any] = {"status": {}}
        #: When people decide about tasks that asked; infinity once they have.
        self._asked: dict[TaskKey, float] = {}
        if graph.approvals:
            names = ", ".join(graph.nodes[number].name for number in graph.approvals[:5])
            self._notes.append(f"approved when it asks: {names}; --duration FLOW=1h delays it, --fail FLOW rejects")
        self._locks = self._locks_of(graph, config_maps)
        self._passed: frozenset[ProbeKey] = frozenset()
        self._fixed = Snapshot(
            now=_START,
            since=_START,
            workflow=self._workflow,
            graph=graph,
            spec_hash=spec_hash(self._workflow.spec),
            templates=self._templates,
            jobs=self._cluster.jobs,
            progress=None,
            kinds={gvr: Kind(gvr.resource, row) for gvr, row in rows.items()},
            synced=frozenset(gvrs),
            is_dry_run=True,
            rules={
                node.name: rules[self._templates[node.flow.template_name].spec.gvr.gvr]
                for node in graph.nodes
                if not node.is_approval
            },
        )

    def _locks_of(self, graph: Graph, config_maps: Mapping[str, Mapping[str, str]]) -> SimulatedLocks | None:
        """The locks that the workflow takes; None if there are none."""
        given = self._assumptions.places
        semaphores = [lock for lock in graph.lock_names if lock.kind is LockKind.SEMAPHORE]
        for name in given.keys() - {lock.name for lock in semaphores}:
            raise AssumptionError(f"no flow takes a semaphore {name}")
        places = {name: dict(data) for name, data in config_maps.items()}
        for lock in semaphores:
            data = places.setdefault(lock.config_map, {})
            if lock.name in given:
                data[lock.key] = str(given[lock.name])
            elif lock.key not in data:
                data[lock.key] = "1"
                self._notes.append(f"{lock} is taken to have one place; --semaphore {lock.name}=N gives another number")
        if not graph.lock_names:
            return None
        self._notes.append("no other workflow is taken to hold the locks")
        meta = self._workflow.metadata
        return SimulatedLocks(f"{meta.namespace}/{meta.name}", meta.uid, graph.lock_names, places)

    def _prepared(self, workflow: Workflow) -> Workflow:
        """The workflow as one that nobody has started yet, suspended or shut down."""
        spec = workflow.spec
        if spec.suspend:
            self._notes.append("spec.suspend is true: nothing would start before it is false, which is assumed")
        if spec.shutdown is not None:
            self._notes.append("spec.shutdown is set: it is left out")
        flows = tuple(self._with_outputs(flow) for flow in spec.flows)
        spec = msgspec.structs.replace(spec, flows=flows, suspend=False, shutdown=None, restart=None, approvals=())
        meta = msgspec.structs.replace(
            workflow.metadata,
            name=workflow.metadata.name or f"{workflow.metadata.generate_name}x",
            namespace=workflow.metadata.namespace or "default",
            uid=_UID,
            generation=1,
            resource_version="1",
        )
        return Workflow(meta, spec)

    def _with_outputs(self, flow: Flow) -> Flow:
        """The flow with outputs that simulated jobs have."""
        if not flow.outputs:
            return flow
        given = self._assumptions.outputs
        values = []
        for output in flow.outputs:
            value = given.get((flow.name, output.name), output.default)
            if value is None:
                name = f"{flow.name}.{output.name}"
                self._notes.append(f"the output {name} is empty; --output-value {name}=VALUE gives one")
            values.append(value or "")
        self._outputs[flow.name] = tuple(values)
        outputs = tuple(
            msgspec.structs.replace(output, from_=OutputSource(path=f"status.{OUTPUTS}[{at}]"))
            for at, output in enumerate(flow.outputs)
        )
        return msgspec.structs.replace(flow, raw_outputs=msgspec.Raw(msgspec.json.encode(outputs)))

    def _with_stand_ins(self, templates: Mapping[str, WorkTemplate]) -> dict[str, WorkTemplate]:
        spec = self._workflow.spec
        missing = sorted(spec.template_names.keys() - templates.keys())
        if missing:
            shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            self._notes.append(f"these WorkTemplates are not in the files, and are taken for Jobs: {shown}")
        found = {name: templates.get(name) or stand_in(name) for name in spec.template_names}
        return {**found, **inline_templates(self._workflow.metadata, spec)}

    def run(self) -> Simulated:
        cluster = self._cluster
        is_first = True
        while True:
            made, later = self._pass(look_at_all=is_first)
            is_first = self._progress is None
            phase = self._workflow.status.phase
            if phase is not None and phase.is_final:
                break
            if self._progress is None or made.requeue_now or made.over_limit or made.creations:
                continue
            if cluster.dirty or cluster.gone:
                continue
            wakes_at = min(
                cluster.next_at(),
                self._next_decision(),
                later,
                float("inf") if made.requeue_at is None else made.requeue_at,
            )
            if wakes_at == float("inf"):
                self._notes.append("nothing more happens: the workflow waits for ever")
                self._pass(look_at_all=False, is_last=True)
                break
            cluster.advance(wakes_at)
            self._decide()
        return self._result()

    def _next_decision(self) -> float:
        """When a person decides next about a task that asks."""
        assert self._progress is not None
        for number in self._graph.approvals:
            node = self._graph.nodes[number]
            for index, task in enumerate(self._progress.flows[number].tasks):
                key = TaskKey(node.name, index)
                if task.phase is Phase.WAITING and task.released is not None:
                    self._asked.setdefault(key, task.released + self._assumptions.decided_after(key))
        return min(self._asked.values(), default=float("inf"))

    def _decide(self) -> None:
        """People have decided about the tasks whose time has come."""
        due = [key for key, when in self._asked.items() if when <= self._cluster.now]
        if not due:
            return
        given = [
            GivenApproval(
                flow=key.flow,
                decision=ApprovalDecision.REJECT if self._assumptions.fails(key, 0) else ApprovalDecision.APPROVE,
                index=key.index,
            )
            for key in due
        ]
        for key in due:
            self._asked[key] = float("inf")
        spec = self._workflow.spec
        spec = msgspec.structs.replace(spec, approvals=(*spec.approvals, *given))
        self._workflow = msgspec.structs.replace(self._workflow, spec=spec)

    def _pass(self, *, look_at_all: bool, is_last: bool = False) -> tuple[Plan, float]:
        """One pass, carried out. Returns its plan, and when a probe that it asked for will pass.

        is_last: status is written, although the workflow has not ended.
        """
        cluster = self._cluster
        dirty, gone = cluster.take_changes()
        snapshot = replace(
            self._fixed,
            now=cluster.now,
            workflow=self._workflow,
            progress=self._progress,
            dirty=None if look_at_all else dirty,
            gone=gone,
            passed=self._passed,
            is_urgent=is_last,
            pod_ips=cluster.addresses() if self._graph.probing else {},
            locks=None if self._locks is None else self._locks.view(),
        )
        made = plan(snapshot, _NO_LIMIT)
        self._progress = made.progress
        for creation in made.creations:
            cluster.create(creation)
        if made.patch is not None:
            self._write(made, made.patch)
        for deletion in made.deletions:
            cluster.delete(deletion, self._reason_of(deletion.task, made.progress))
        if self._locks is not None and made.locks is not None and self._locks.update(made.locks, cluster.now):
            made = msgspec.structs.replace(made, requeue_now=True)
        passed, later = cluster.passed(made.probes)
        if passed != self._passed:
            self._passed = passed
            made = msgspec.structs.replace(made, requeue_now=True)
        return made, later

    def _reason_of(self, key: TaskKey, progress: Progress) -> str:
        """Why a task gave up the job that is deleted."""
        task = progress.flows[self._graph.by_name[key.flow]].tasks[key.index]
        return task.reason or task.phase.value

    def _write(self, made: Plan, patch: PatchStatus) -> None:
        self._progress = made.progress.acknowledged(self._cluster.now)
        status = self._with_numbers(patch) if self._graph.fan_outs else _written(self._workflow.status, patch)
        self._workflow = msgspec.structs.replace(self._workflow, status=status)

    def _with_numbers(self, patch: PatchStatus) -> WorkflowStatus:
        """The status after a write. Numbers that are new in it give another graph, for which all is read anew."""
        steps = msgspec.json.encode([step for step in patch.operations if step["path"].startswith("/status")])
        jsonpatch.apply_patch(self._recorded, msgspec.json.decode(steps), in_place=True)
        status = msgspec.convert(self._recorded["status"], WorkflowStatus)
        graph = with_counts(self._graph, recorded_counts(self._graph, status))
        is_over = status.phase is not None and status.phase.is_final
        if graph is not self._graph and not is_over:
            self._graph, self._progress = graph, None
            self._fixed = replace(self._fixed, graph=graph)
        return status

    def _result(self) -> Simulated:
        assert self._progress is not None
        for attempt in self._cluster.attempts:
            if attempt.end is None:
                attempt.end, attempt.result = self._cluster.elapsed, "unfinished"
        tasks = {
            TaskKey(node.name, index): task
            for node in self._graph.nodes
            for index, task in enumerate(self._progress.flows[node.number].tasks)
        }
        return Simulated(
            self._graph,
            tuple(self._cluster.attempts),
            tasks,
            self._workflow.status,
            self._cluster.elapsed,
            tuple(self._notes),
            self._workflow.spec.parallelism is not None,
        )


def _written(status: WorkflowStatus, patch: PatchStatus) -> WorkflowStatus:
    """The status after a write, without its long lists, which the planner does not read while it goes on."""
    fields = {field.encode_name: field.name for field in msgspec.structs.fields(WorkflowStatus)}
    changes: dict[str, Any] = {}
    for operation in patch.operations:
        _, root, *path = operation["path"].split("/")
        if root != "status":
            continue
        if not path:
            status = operation["value"]
        elif len(path) == 1:
            default = getattr(WorkflowStatus(), fields[path[0]])
            changes[fields[path[0]]] = operation.get("value", default)
    status = msgspec.structs.replace(status, **changes)
    return msgspec.structs.replace(status, flows=())
