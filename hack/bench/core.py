"""The pure core alone: microseconds of CPU per task, and where they go. Needs no cluster.

A simulated world answers at once: what a plan creates exists, what it writes is acknowledged, and each job succeeds in
an event of its own. Some workflows run at a time, as a controller works on them; those that have ended are kept as the
cache keeps them.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from hack.bench.shapes import CUSTOM, Object, Shape, layers, template
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.apis.meta import Job
from pkg.controllers.engine.garbage import GarbagePolicy
from pkg.controllers.workflow.planner.actions import CreateJob, Plan
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.graph.shared import shared_spec
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.kinds.kind import Kind
from pkg.workloads import rules_for

#: So many workflows run at a time, with any number of tasks: all that 10,000 tasks make. More at a time touch more
#: memory, and a task then costs more, which is another growth than that with the number of tasks.
AT_ONCE: Final = 200
_NOW: Final = 1_800_000_000.0
_STEP_SECONDS: Final = 0.000_2
# A busy controller, however many workflows run at a time: as the observer adds for 500 keys that wait in eight shards.
_LOAD: Final = 0.005 * 500 / 8
SHAPE: Final = Shape("core", "5 layers of 10", 1, layers(5, 10, 3))


class _World:
    """What the workflows share. cpu: seconds spent in plans; passes: how many there were."""

    def __init__(self, profile: cProfile.Profile | None) -> None:
        self.now = _NOW
        self.cpu = 0.0
        self.passes = 0
        self.profile = profile
        raw = msgspec.json.encode(template(CUSTOM, "step"))
        self.templates = {"step": msgspec.json.decode(raw, type=WorkTemplate)}
        self.spec: Object = SHAPE.workflow("")["spec"]

    def plan(self, snapshot: Snapshot) -> Plan:
        """A plan, counted."""
        if self.profile is not None:
            self.profile.enable()
        began = time.thread_time()
        made = plan(snapshot)
        self.cpu += time.thread_time() - began
        if self.profile is not None:
            self.profile.disable()
        self.passes += 1
        return made


class _Run:
    """One workflow in the simulated world."""

    def __init__(self, number: int, world: _World) -> None:
        templates = world.templates
        meta = {
            "name": f"w{number:05d}",
            "namespace": "team",
            "uid": f"6a3ef3c2-0000-4000-8000-{number:012d}",
            "resourceVersion": "1",
            "generation": 1,
        }
        workflow = msgspec.json.decode(msgspec.json.encode({"metadata": meta, "spec": world.spec}), type=Workflow)
        # As compile_in_force does, and the observer's snapshot has it.
        self._shared = shared_spec(workflow.spec)
        graph = self._shared.compiled(templates, workflow.metadata, is_started=False)
        assert isinstance(graph, Graph), graph
        gvr = CUSTOM.gvr
        self._world = world
        self.due: deque[TaskKey] = deque()
        self._may_wait = graph.asks_about_ends_alone()
        self._unread: frozenset[TaskKey] = frozenset()
        self._version = 1
        self._jobs: dict[TaskKey, tuple[ObservedJob, ...]] = {}
        self._snapshot = Snapshot(
            now=_NOW,
            since=_NOW,
            workflow=workflow,
            graph=graph,
            spec_hash=self._shared.spec_hash,
            templates=templates,
            jobs=self._jobs,
            progress=None,
            kinds={gvr: Kind(CUSTOM.kind, rules_for(gvr))},
            synced=frozenset({gvr}),
            load=_LOAD,
        )

    @property
    def workflow(self) -> Workflow:
        return self._snapshot.workflow

    @property
    def is_ended(self) -> bool:
        phase = self.workflow.status.phase
        return phase is not None and phase.is_final

    def step(self) -> None:
        """One reconcile: a job succeeds if one runs, a plan, its creations, the plan after them if any, its status."""
        dirty, self._unread = self._unread, frozenset()
        if self.due:
            key = self.due.popleft()
            self._succeed(key)
            dirty |= {key}
        made = self._plan(dirty)
        if made.creations:
            for action in made.creations:
                self._create(action)
            if made.patch is None and self._may_wait:
                self._unread = frozenset(action.task for action in made.creations)
                return  # as the reconciler leaves them to the next plan
            made = self._plan(frozenset(action.task for action in made.creations), may_create=False)
        if made.patch is not None:
            self._write(made)

    def _plan(self, dirty: frozenset[TaskKey], *, may_create: bool = True) -> Plan:
        self._snapshot = replace(
            self._snapshot, now=self._world.now, dirty=dirty, jobs=dict(self._jobs), may_create=may_create
        )
        made = self._world.plan(self._snapshot)
        self._snapshot = replace(self._snapshot, progress=made.progress)
        return made

    def _create(self, action: CreateJob) -> None:
        body = msgspec.json.decode(action.body)
        body["metadata"] |= {"uid": f"{self._version}", "creationTimestamp": "2027-01-15T08:00:00Z"}
        self._put(action.task, body)
        self.due.append(action.task)

    def _succeed(self, key: TaskKey) -> None:
        found = self._jobs[key][0]
        self._version += 1
        meta = msgspec.structs.replace(found.job.metadata, resource_version=str(self._version))
        job = msgspec.structs.replace(found.job, metadata=meta, status={"phase": "Succeeded"})
        self._jobs[key] = (replace(found, job=job),)

    def _put(self, key: TaskKey, body: dict[str, Any]) -> None:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        job = msgspec.json.decode(msgspec.json.encode(body), type=Job)
        self._jobs[key] = (ObservedJob(CUSTOM.gvr, job, 0),)

    def _write(self, made: Plan) -> None:
        assert made.patch is not None
        document = {"status": _as_json(self.workflow.status)}
        for operation in _as_json(made.patch.operations):
            _apply(document, operation)
        status = msgspec.convert(document["status"], type=type(self.workflow.status))
        workflow = msgspec.structs.replace(self.workflow, status=status)
        progress = made.progress.acknowledged(self._snapshot.now)
        self._snapshot = replace(self._snapshot, workflow=workflow, progress=progress)


def _as_json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def _apply(document: Any, operation: dict[str, Any]) -> None:
    """One operation of a JSON Patch."""
    if operation["op"] == "test":
        return
    *parts, last = operation["path"].strip("/").split("/")
    if parts and parts[0] != "status":
        return
    for part in parts:
        document = document[int(part)] if isinstance(document, list) else document[part]
    if isinstance(document, list):
        at = len(document) if last == "-" else int(last)
        if operation["op"] == "add":
            document.insert(at, operation["value"])
        elif operation["op"] == "remove":
            del document[at]
        else:
            document[at] = operation["value"]
    elif operation["op"] == "remove":
        document.pop(last, None)
    else:
        document[last] = operation["value"]


def run(tasks: int, profile: cProfile.Profile | None = None, *, at_once: int = AT_ONCE) -> tuple[float, float]:
    """Microseconds of CPU per task, and passes per task, of so many tasks in workflows of the shape, of which so many
    run at once.
    """
    world = _World(profile)
    workflows = tasks // SHAPE.tasks
    ended: list[Workflow] = []
    running: deque[_Run] = deque()
    begun = 0
    policy = GarbagePolicy()
    policy.install()  # as the controller does
    while begun < workflows or running:
        while begun < workflows and len(running) < at_once:
            running.append(_Run(begun, world))
            begun += 1
        one = running.popleft()
        world.now += _STEP_SECONDS
        one.step()
        if one.is_ended:
            assert one.workflow.status.phase is WorkflowPhase.SUCCEEDED
            ended.append(one.workflow)
        else:
            running.append(one)
    policy.remove()
    return 1e6 * world.cpu / tasks, world.passes / tasks


def measure(sizes: Sequence[int], *, at_once: int = AT_ONCE, profiled: int = 0) -> dict[str, float]:
    """Prints the microseconds per task for so many tasks each, `at_once` workflows at a time, and a profile of
    `profiled` tasks; returns the figures by the names of their bounds.
    """
    found = {}
    for tasks in sizes:
        cost, passes = run(tasks, at_once=at_once)
        found[f"core {tasks}"] = cost
        print(f"core: {tasks:,} tasks: {cost:.0f} µs of CPU per task, {passes:.2f} passes per task", flush=True)
    if len(sizes) > 1:
        found["core growth"] = found[f"core {max(sizes)}"] / found[f"core {min(sizes)}"]
    if profiled:
        profile = cProfile.Profile()
        run(profiled, profile, at_once=at_once)
        pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(40)
    return found
