"""Workflows in a line, jobs in a word, and a bench on which passes are made by hand, so that tests read as sentences.

The bench keeps a cluster of one workflow in memory: it carries out what `plan` wants, takes status through its JSON
Patch and back, as the API server would, and tells the ledger what became of the jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import jsonpatch
import msgspec

from pkg.apis.flow.v1alpha1 import conditions, records
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import FlowRecord, FlowStatus, Record, Workflow, WorkflowStatus, WorkTemplate
from pkg.apis.meta import GVR, Condition, Job, ObjectMeta
from pkg.controllers.engine.deltas import Added, Deleted, Modified
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.planner.actions import CreateJob, DeleteJob, Emit, PatchStatus, Plan
from pkg.controllers.workflow.planner.budget import PASS_BUDGET
from pkg.controllers.workflow.planner.dependency.fan_out import grown
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.compile import Compiled, compile_spec
from pkg.controllers.workflow.planner.graph.in_force import NO_SPEC, compile_in_force
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.locks.holders import LockView
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import (
    FlowState,
    JobEnding,
    ProbeAnswer,
    ProbeKey,
    Progress,
    Task,
    TaskKey,
    from_flows,
    tally_of,
)
from pkg.controllers.workflow.planner.snapshot import (
    Barred,
    CreateFault,
    JobWarning,
    ObservedJob,
    PodMessages,
    Snapshot,
)
from pkg.controllers.workflow.rule_book import RuleBook
from pkg.kinds.kind import Kind
from pkg.workloads import rules_for
from tests.manifests import decoded, plain

JOBS: Final = GVR("batch", "v1", "jobs")
WIDGETS: Final = GVR("example.com", "v1", "widgets")
KINDS: Final[Mapping[GVR, Kind | None]] = {
    JOBS: Kind(kind="Job", row=rules_for(JOBS)),
    WIDGETS: Kind(kind="Widget", row=rules_for(WIDGETS)),
}
UID: Final = "6a3ef3c2-0000-4000-8000-000000000001"
WORKFLOW: Final = WorkflowId("team", "w", UID)
NOW: Final = 1_800_000_000.0
POD: Final = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}}

# What a job of either kind says of itself.
RUNNING: Final[dict[str, Any]] = {"active": 1, "ready": 1, "phase": "Running"}
COMPLETE: Final[dict[str, Any]] = {"conditions": [{"type": "Complete", "status": "True"}], "phase": "Succeeded"}
FAILED: Final[dict[str, Any]] = {
    "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "it broke"}],
    "phase": "Failed",
}
HELD: Final[dict[str, Any]] = {"conditions": [{"type": "Suspended", "status": "True"}]}
READY: Final[dict[str, Any]] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def template(name: str, gvr: GVR = JOBS, **spec: Any) -> WorkTemplate:
    """A template of batch Jobs, unless another kind is given; fields of its spec as YAML writes them."""
    raw = {"gvr": {"group": gvr.group, "version": gvr.version, "resource": gvr.resource}, "jobSpec": POD, **spec}
    return decoded({"metadata": {"name": name, "uid": f"t-{name}", "generation": 1}, "spec": raw}, WorkTemplate)


TEMPLATES: Final = {
    "job": template("job"),
    "widget": template("widget", WIDGETS, jobSpec={}),
    "service": template("service", WIDGETS, jobSpec={}, completion="Ready"),
}


def wf(spec: Mapping[str, Any] | None = None, /, **flows: str | dict[str, Any]) -> Workflow:
    """A workflow `w`: each flow by its targets (`b="a"`), or by its fields as YAML writes them; made from `job`.

    `spec` holds the other fields of the spec.
    """
    raw = [
        {"name": name, **_made_from(flow), **(on(flow) if isinstance(flow, str) else flow)}
        for name, flow in flows.items()
    ]
    meta = {"name": "w", "namespace": "team", "uid": UID, "generation": 1, "resourceVersion": "1"}
    return decoded({"metadata": meta, "spec": {"flows": raw, **(spec or {})}}, Workflow)


def _made_from(flow: Any) -> dict[str, str]:
    """The template of a flow; a flow with approval has none."""
    return {} if "approval" in flow else {"template": "job"}


def on(targets: str = "", **fields: Any) -> dict[str, Any]:
    """Fields of a flow that waits for targets; with a `probe`, `orGroups`, `strategy` or `onSkipped` of its own."""
    return {"dependsOn": {"targets": targets.split(), **fields}}


def status_of(flow: str, phase: str) -> dict[str, Any]:
    """A probe of the state of a flow's tasks."""
    return {"taskStatusList": [{"taskName": flow, "phase": phase}]}


def http(flow: str, **fields: Any) -> dict[str, Any]:
    """An HTTP probe of a flow's pods."""
    return {"httpGetList": [{"taskName": flow, "port": 8080, "path": "/ok"}], **fields}


def tcp(flow: str, **fields: Any) -> dict[str, Any]:
    """A TCP probe of a flow's pods."""
    return {"tcpSocketList": [{"taskName": flow, "port": 8080}], **fields}


def compiled(workflow: Workflow, templates: Mapping[str, WorkTemplate] = TEMPLATES) -> Graph:
    """The graph of a workflow that is valid."""
    found = compile_spec(workflow.spec, templates)
    assert isinstance(found, Graph), found
    return found


def task(name: str) -> TaskKey:
    """`a`, or `a/2` for its index 2."""
    flow, _, index = name.partition("/")
    return TaskKey(flow, int(index or 0))


def draft(graph: Graph, **flows: str | Task | tuple[Task, ...]) -> Draft:
    """Tasks in these states: a word per replica (`a="Succeeded Failed"`), or tasks; Waiting where nothing is said."""
    made = []
    for node in graph.nodes:
        given = flows.get(node.name, "Waiting")
        if isinstance(given, str):
            given = tuple(Task(phase=Phase(word)) for word in given.split())
        tasks = given if isinstance(given, tuple) else (given,)
        tasks = tasks * (node.size if len(tasks) == 1 else 1)
        assert len(tasks) == node.size, f"{node.name} has {node.size} replicas"
        made.append(FlowState(tasks=tasks, tally=tally_of(tasks)))
    return Draft(graph, from_flows(made))


def snapshot(workflow: Workflow, graph: Compiled | None = None, **changes: Any) -> Snapshot:
    """A workflow without jobs, all kinds known and synced, at NOW; `graph` is compiled unless given."""
    fields: dict[str, Any] = {
        "now": NOW,
        "since": NOW,
        "workflow": workflow,
        "graph": compiled(workflow) if graph is None else graph,
        "spec_hash": spec_hash(workflow.spec),
        "templates": TEMPLATES,
        "jobs": {},
        "progress": None,
        "kinds": KINDS,
        "synced": frozenset(KINDS),
    }
    return Snapshot(**{**fields, **changes})


class Bench:
    """One workflow, its jobs and a clock, all moved by hand.

    `made`, `deleted`, `writes`, `events`: what was done, in order; `log`: "create NAME", "status" and "delete NAME" in
    the order of their calls. `refuse` decides about creations: the fault of one, or None to make it. `warn`: what the
    API server warns of when it makes one. `lingers`: jobs that are deleted stay, with a deletionTimestamp.
    `loses_writes`: status writes conflict. `on_written` is called after each status write, as `Report.written` is.
    """

    def __init__(
        self, workflow: Workflow, templates: Mapping[str, WorkTemplate] = TEMPLATES, *, settle: bool = True
    ) -> None:
        self.workflow = workflow
        self.templates = dict(templates)
        self.kinds: dict[GVR, Kind | None] = dict(KINDS)
        self.synced = frozenset(KINDS)
        self.unlisted: dict[GVR, str] = {}
        self.barred: dict[str, Barred] = {}
        self.now = self.since = NOW
        self.ledger = Ledger()
        self.progress: Progress | None = None
        self.passed: frozenset[ProbeKey] = frozenset()
        self.answers: dict[ProbeKey, ProbeAnswer] = {}
        #: How the pods of failed jobs ended, by the name of the task; None: nobody has looked yet.
        self.words: dict[str, str | None] = {}
        self.endings: dict[TaskKey, JobEnding] = {}
        #: Termination messages that were looked up.
        self.messages: dict[TaskKey, PodMessages] = {}
        self.units = PASS_BUDGET
        self.pod_ips: dict[TaskKey, str] = {}
        self.faults: dict[TaskKey, CreateFault] = {}
        #: What is known of its locks; None: nobody keeps locks.
        self.locks: LockView | None = None
        self.server_warnings: dict[TaskKey, tuple[str, ...]] = {}
        self.warnings: dict[str, JobWarning] = {}
        self.rules = RuleBook()
        self.refuse: Callable[[CreateJob], CreateFault | None] = lambda _creation: None
        self.warn: Callable[[CreateJob], tuple[str, ...]] = lambda _creation: ()
        self.on_written: Callable[[Workflow, Workflow, Compiled, Progress, float], None] = lambda *_: None
        self.lingers = False
        self.loses_writes = False
        self.made: list[CreateJob] = []
        self.deleted: list[DeleteJob] = []
        self.writes: list[PatchStatus] = []
        self.events: list[Emit] = []
        self.log: list[str] = []
        self._stores: dict[GVR, Store[Job]] = {}
        self._jobs: dict[tuple[GVR, str], Job] = {}
        self._serial = 0
        self._last_synced: frozenset[GVR] = frozenset()
        self._spec = NO_SPEC
        if settle:
            self.settle()

    # Passes

    def observe(self, **changes: Any) -> Snapshot:
        """What a pass would see now; changes that the ledger has told count as told."""
        self._compile()
        view = self.ledger.take_changes(WorkflowId.of(self.workflow))
        fields: dict[str, Any] = {
            "now": self.now,
            "since": self.since,
            "templates": {**self.templates, **self._spec.inline},
            "jobs": view.jobs,
            "gone": view.gone,
            "dirty": view.dirty if self.progress is not None and self._last_synced == self.synced else None,
            "progress": self.progress,
            "kinds": self.kinds,
            "synced": self.synced,
            "unlisted": dict(self.unlisted),
            "barred": dict(self.barred),
            "passed": self.passed,
            "endings": dict(self.endings),
            "messages": dict(self.messages),
            "answers": dict(self.answers),
            "pod_ips": self.pod_ips,
            "faults": dict(self.faults),
            "locks": self.locks,
            "server_warnings": self.server_warnings,
            "warnings": self.warnings,
            "rules": self.rules.by_flow(self._graph, self.templates) if isinstance(self._graph, Graph) else {},
        }
        self._last_synced, self.server_warnings = self.synced, {}
        fields["spec_hash"], fields["edit"] = self._spec.spec_hash, self._spec.edit
        workflow = msgspec.structs.replace(self.workflow, spec=self._spec.spec)
        return snapshot(workflow, self._graph, **{**fields, **changes})

    def _compile(self) -> None:
        before = self._spec.compiled
        # The templates of a test may change without a new generation.
        self._spec = compile_in_force(self.workflow, self._find, replace(self._spec, sources=(("", -1),)))
        if self._spec.compiled != before:
            self.progress = grown(self.progress, before, self._spec.compiled)
            self.ledger.mark_dirty(WorkflowId.of(self.workflow))

    def _find(self, names: Iterable[str]) -> dict[str, WorkTemplate]:
        return {name: self.templates[name] for name in names if name in self.templates}

    @property
    def _graph(self) -> Compiled:
        return self._spec.compiled

    def step(self, *, is_urgent: bool = False) -> Plan:
        """One pass: plan, creations, a second look, status, deletions."""
        first = plan(self.observe(is_urgent=is_urgent), self.units)
        self.progress = first.progress
        final = first
        if first.creations:
            for creation in first.creations:
                self._create(creation)
            urgent = is_urgent or first.needs_status or bool(first.deletions)
            final = plan(self.observe(may_create=False, is_urgent=urgent), self.units)
            self.progress = final.progress
            final = final.after_deletions(first.deletions)
        self.events += [*first.events, *(final.events if final is not first else ())]
        done = msgspec.structs.replace(
            final,
            creations=first.creations,
            requeue_now=first.requeue_now or final.requeue_now,
            over_limit=first.over_limit,
        )
        self._look_up(final)
        if final.patch is not None:
            before = self.workflow
            if self.loses_writes:
                self.log.append("conflict")
                self.ledger.mark_dirty(WorkflowId.of(self.workflow))
                return done
            self._write(final.patch)
            self.on_written(before, self.workflow, self._graph, final.progress, self.now)
            self.progress = final.progress.acknowledged(self.now)
        for deletion in final.deletions:
            self._delete(deletion)
        return done

    def _look_up(self, made: Plan) -> None:
        """Answers what the plan wants to know of failed jobs."""
        for asked in made.lookups:
            known = self.endings.get(asked.task)
            if known is None or known.attempt < asked.attempt or known.words is None:
                name = f"{asked.task.flow}/{asked.task.index}"
                self.endings[asked.task] = JobEnding(asked.attempt, self.words.get(name, ""))
                self.ledger.mark_task_dirty(WorkflowId.of(self.workflow), asked.task)

    def settle(self) -> Plan:
        """Passes until there is nothing more to do now, and status tells all."""
        for _ in range(300):
            made = self.step()
            if made.requeue_now or made.over_limit or made.creations or made.deletions:
                continue
            if any(self.endings[asked.task].words is not None for asked in made.lookups):
                continue  # the answers requeue the workflow
            if self.progress is not None and self.progress.is_dirty:
                made = self.step(is_urgent=True)
                if made.requeue_now or made.over_limit or made.creations or made.deletions:
                    continue
            return made
        raise AssertionError("the workflow finds no rest")

    def wait(self, seconds: float) -> Plan:
        """Time passes; then the workflow is looked at."""
        self.now += seconds
        return self.settle()

    def crash(self) -> None:
        """The controller is gone and another one starts: what is not in the cluster is forgotten."""
        self.progress = None
        self.faults = {}
        self.passed, self.answers, self.endings, self.messages = frozenset(), {}, {}, {}
        self._spec = NO_SPEC
        self.since = self.now
        self.ledger = Ledger()
        self._stores = {}
        for (gvr, _), job in self._jobs.items():
            self._tell(gvr, Added(job))

    def restarted(self) -> Bench:
        """After a crash, looked at once."""
        self.crash()
        self.settle()
        return self

    def set_spec(self, **fields: Any) -> Plan:
        """The user changes the spec; fields as YAML writes them, None takes one away."""
        self.edit_spec(**fields)
        return self.settle()

    def edit_spec(self, **fields: Any) -> None:
        """As `set_spec`; nobody looks yet."""
        raw = plain(self.workflow.spec)
        raw.update(fields)
        raw = {name: value for name, value in raw.items() if value is not None}
        meta = msgspec.structs.replace(self.workflow.metadata, generation=self.workflow.metadata.generation + 1)
        spec = decoded(raw, type(self.workflow.spec))
        self.workflow = msgspec.structs.replace(self.workflow, metadata=meta, spec=spec)
        self._bump()

    # What the cluster says

    def say(self, status: dict[str, Any], *tasks: str) -> None:
        """The newest jobs of these tasks say so; nobody looks yet."""
        for name in tasks:
            observed = self.observed(name)
            self._put(observed.gvr, msgspec.structs.replace(observed.job, status=status))

    def say_of(self, name: str, status: dict[str, Any]) -> None:
        """The job of that name says so; nobody looks yet."""
        ((gvr, job),) = [(gvr, job) for (gvr, known), job in self._jobs.items() if known == name]
        self._put(gvr, msgspec.structs.replace(job, status=status))

    def forge(self, gvr: GVR, job: Job) -> None:
        """Somebody else creates this job; nobody looks yet."""
        self._put(gvr, job)

    def label(self, name: str, **labels: str) -> None:
        """The newest job of a task has these labels too."""
        observed = self.observed(name)
        meta = observed.job.metadata
        meta = msgspec.structs.replace(meta, labels={**meta.labels, **labels})
        self._put(observed.gvr, msgspec.structs.replace(observed.job, metadata=meta))

    def change_metadata(self, name: str, change: Callable[[ObjectMeta], ObjectMeta]) -> None:
        """Somebody changes the metadata of the newest job of a task; nobody looks yet."""
        observed = self.observed(name)
        self._put(observed.gvr, msgspec.structs.replace(observed.job, metadata=change(observed.job.metadata)))

    def set_status(self, **fields: Any) -> None:
        """The status has these fields, as another controller left them; nobody looks yet."""
        status = msgspec.structs.replace(self.workflow.status, **fields)
        self.workflow = msgspec.structs.replace(self.workflow, status=status)
        self._bump()

    def lose_status(self) -> None:
        """The status is as if nobody had ever written one."""
        self.workflow = msgspec.structs.replace(self.workflow, status=WorkflowStatus())
        self._bump()

    def runs(self, *tasks: str) -> Plan:
        self.say(RUNNING, *tasks)
        return self.settle()

    def succeeds(self, *tasks: str) -> Plan:
        self.say(COMPLETE, *tasks)
        return self.settle()

    def fails(self, *tasks: str) -> Plan:
        self.say(FAILED, *tasks)
        return self.settle()

    def is_held(self, *tasks: str) -> Plan:
        self.say(HELD, *tasks)
        return self.settle()

    def is_ready(self, *tasks: str) -> Plan:
        self.say(READY, *tasks)
        return self.settle()

    def remove(self, observed: ObservedJob) -> None:
        """A job is gone, whoever deleted it; nobody looks yet."""
        self._remove(observed.gvr, observed.job)

    def hide(self, observed: ObservedJob) -> None:
        """The cache of the next controller does not show a job yet, or the job went while none ran."""
        del self._jobs[observed.gvr, observed.job.metadata.name]
        self.crash()

    def show(self, observed: ObservedJob) -> None:
        """The cache shows a hidden job; nobody looks yet."""
        self._put(observed.gvr, observed.job)

    def vanishes(self, *tasks: str) -> Plan:
        """Somebody deleted the jobs, and they are gone."""
        for name in tasks:
            self.remove(self.observed(name))
        return self.settle()

    def vanish_unseen(self, *tasks: str) -> Plan:
        """The jobs went while no controller ran; another one starts."""
        for name in tasks:
            self.remove(self.observed(name))
        self.crash()
        return self.settle()

    def ledger_tells_all(self) -> None:
        """The next pass looks at every task."""
        self.ledger.mark_dirty(WorkflowId.of(self.workflow))

    def say_deleting(self, *tasks: str) -> None:
        """Somebody deletes the jobs, and something holds them back; nobody looks yet."""
        for name in tasks:
            observed = self.observed(name)
            self._put(observed.gvr, self._deleting(observed.job))

    def is_going(self, *tasks: str) -> Plan:
        """Somebody deletes the jobs, and they linger."""
        self.say_deleting(*tasks)
        return self.settle()

    def passes(self, flow: str, path: str = "dependsOn.probe.httpGetList[0]", index: int = 0) -> Plan:
        """The probe that `flow` asks has passed."""
        self.passed |= {ProbeKey(flow, path, index)}
        return self.settle()

    # What there is

    def observed(self, name: str) -> ObservedJob:
        """The job of the newest attempt of a task."""
        taken = self.ledger.take_changes(WorkflowId.of(self.workflow)) if self.progress is None else None
        jobs = taken.jobs if taken is not None else dict(self._by_task())
        found = jobs.get(task(name))
        assert found, f"{name} has no job"
        return max(found, key=lambda observed: observed.attempt)

    def _by_task(self) -> dict[TaskKey, tuple[ObservedJob, ...]]:
        found: dict[TaskKey, tuple[ObservedJob, ...]] = {}
        for key, observed in self.ledger.jobs(WorkflowId.of(self.workflow)):
            found[key] = (*found.get(key, ()), observed)
        return found

    @property
    def living(self) -> set[str]:
        """Names of the jobs that are there and are not being deleted."""
        return {name for (_, name), job in self._jobs.items() if not job.metadata.is_deleting}

    @property
    def names(self) -> list[str]:
        """Names of the jobs made, in order."""
        return [creation.name for creation in self.made]

    @property
    def status(self) -> WorkflowStatus:
        return self.workflow.status

    @property
    def record(self) -> Record:
        """What status records for the next controller."""
        return records.record_of(self.status)

    def memory(self, name: str) -> FlowRecord:
        """What status records of a flow."""
        return records.by_flow(self.status)[name].record

    @property
    def phase(self) -> str:
        return str(self.status.phase)

    def flow(self, name: str) -> FlowStatus:
        """What status says of a flow."""
        return next(flow for flow in self.status.flows if flow.name == name)

    def phases(self) -> dict[str, str]:
        """What status says of every flow, in a word."""
        return {flow.name: str(flow.phase) for flow in self.status.flows}

    def tasks(self, name: str) -> list[str]:
        """The states of all replicas of a flow."""
        return [str(one.phase) for one in self._state(name).tasks]

    def task(self, name: str) -> Task:
        key = task(name)
        return self._state(key.flow).tasks[key.index]

    def _state(self, name: str) -> FlowState:
        assert self.progress is not None
        number = [flow.name for flow in self.workflow.spec.flows].index(name)
        return self.progress.flows[number]

    def condition(self, type_: str) -> Condition | None:
        return conditions.find(self.status.conditions, type_)

    @property
    def told(self) -> list[str]:
        """Reasons of the Events, in order."""
        return [event.reason for event in self.events]

    # The cluster itself

    def _tell(self, gvr: GVR, event: Added[Job] | Modified[Job] | Deleted[Job]) -> None:
        delta = self._stores.setdefault(gvr, Store()).apply(event)
        self.ledger.apply(gvr, [delta] if delta is not None else [])

    def _bump(self) -> str:
        self._serial += 1
        meta = msgspec.structs.replace(self.workflow.metadata, resource_version=str(self._serial + 1))
        self.workflow = msgspec.structs.replace(self.workflow, metadata=meta)
        return str(self._serial + 1)

    def _create(self, creation: CreateJob) -> None:
        fault = self.refuse(creation)
        if fault is not None:
            self.faults[creation.task] = fault
            return
        assert (creation.gvr, creation.name) not in self._jobs, f"{creation.name} is made twice"
        self.faults.pop(creation.task, None)
        self.made.append(creation)
        if warnings := self.warn(creation):
            self.server_warnings[creation.task] = warnings
        self.log.append(f"create {creation.name}")
        raw = msgspec.json.decode(creation.body)
        raw.pop("spec", None)
        job = msgspec.convert(raw, Job)
        stamp = datetime.fromtimestamp(int(self.now), UTC)
        self._serial += 1
        meta = msgspec.structs.replace(job.metadata, uid=f"job-{self._serial}", creation_timestamp=stamp)
        self._put(creation.gvr, msgspec.structs.replace(job, metadata=meta))

    def _put(self, gvr: GVR, job: Job) -> None:
        self._serial += 1
        meta = msgspec.structs.replace(job.metadata, resource_version=str(self._serial))
        job = msgspec.structs.replace(job, metadata=meta)
        is_new = (gvr, meta.name) not in self._jobs
        self._jobs[gvr, meta.name] = job
        self._tell(gvr, Added(job) if is_new else Modified(job))

    def _deleting(self, job: Job) -> Job:
        stamp = datetime.fromtimestamp(int(self.now), UTC)
        return msgspec.structs.replace(job, metadata=msgspec.structs.replace(job.metadata, deletion_timestamp=stamp))

    def _remove(self, gvr: GVR, job: Job) -> None:
        self._serial += 1
        del self._jobs[gvr, job.metadata.name]
        meta = msgspec.structs.replace(job.metadata, resource_version=str(self._serial))
        self._tell(gvr, Deleted(msgspec.structs.replace(job, metadata=meta)))

    def _delete(self, deletion: DeleteJob) -> None:
        job = self._jobs.get((deletion.gvr, deletion.name))
        assert job is not None, f"{deletion.name} is not there"
        assert job.metadata.uid == deletion.uid, f"{deletion.name} is another by now"
        self.deleted.append(deletion)
        self.log.append(f"delete {deletion.name}")
        if self.lingers:
            self._put(deletion.gvr, self._deleting(job))
        else:
            self._remove(deletion.gvr, job)

    def _write(self, patch: PatchStatus) -> None:
        """As the API server takes it: JSON Patch over the whole object, and what comes out is decoded again."""
        document = msgspec.json.decode(msgspec.json.encode(self.workflow))
        if self.workflow.status.phase is None:
            document.pop("status", None)
        operations = msgspec.json.decode(msgspec.json.encode(patch.operations))
        guard = operations[0]
        assert guard == {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": self.workflow.metadata.resource_version,
        }
        document = jsonpatch.apply_patch(document, operations)
        self.workflow = decoded(document, Workflow)
        self._bump()
        self.writes.append(patch)
        self.log.append("status")


def mixed() -> Bench:
    """A workflow with a task in nearly every state."""
    bench = Bench(
        wf(
            {"successPolicy": {"remaining": "Continue"}, "queueName": "q"},
            a={"for": {"replicas": 6}, "retry": {"maxRetries": 1, "interval": "1m"}},
            b="",
            c="b",
            d="",
            e="d",
        )
    )
    bench.say({"active": 1, "ready": 1}, "a/0")
    bench.succeeds("a/1", "a/2")
    bench.fails("a/3")
    bench.is_held("a/4")
    bench.fails("b")
    return bench


def as_older(status: WorkflowStatus) -> WorkflowStatus:
    """The status as a controller before `status.record` wrote it."""
    record, memories = records.record_of(status), records.by_flow(status)
    replace = msgspec.structs.replace
    flows = []
    for flow in status.flows:
        gvr, kept = memories[flow.name].gvr, memories[flow.name].record
        is_of = {"renamed": kept.renamed, "first_attempt": kept.first_attempt, "kept": kept.kept, "passed": kept.passed}
        flows.append(msgspec.structs.replace(flow, gvr=gvr, **is_of))
    return replace(
        status,
        flows=tuple(flows),
        record=None,
        restarted_at=record.restarted_at,
        restarted_flows=record.restarted_flows,
        suspended_at=record.suspended_at,
        suspended_seconds=float(record.suspended_seconds) if record.suspended_seconds else 0,
        spec_hash=record.spec_hash,
    )
