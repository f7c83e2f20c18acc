"""A workflow whose owner restarts, stops, suspends, changes, deletes and creates it again.

This extends `simulation`: more happens to the Workflow itself and around it (pods with addresses, templates that are
deleted and created, an API server that refuses), and the reference follows restarts and changes of the spec. Scenarios
have their own bytes, so those of `scenarios` keep their meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1 import raw, records, validation
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.spec_hash import FREE, spec_hash
from pkg.apis.flow.v1alpha1.types import (
    WORKFLOWS,
    WORKTEMPLATES,
    For,
    Restart,
    RetainPolicy,
    Retry,
    Shutdown,
    Workflow,
    WorkflowSpec,
    WorkflowStatus,
    WorkTemplate,
)
from pkg.apis.meta import GVR, ForeignObject, Job, ObjectMeta, seconds
from pkg.controllers.engine.deltas import Added, Deleted, Modified
from pkg.controllers.workflow.planner.actions import Plan
from pkg.controllers.workflow.planner.begun import begin_of
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import Progress
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.kube.errors import Conflict, Denied, NotFound
from tests.manifests import decoded
from tests.property.controller import Controller, Pods
from tests.property.objects import APPLYING, DELETING, SERVING
from tests.property.reference import At, Claim, JobSeen, Observation, Reference
from tests.property.scenarios import FLOW_BYTES, HEAD_BYTES, Scenario, Story, Tape, story_of
from tests.property.simulation import Simulation, _seen
from tests.property.world import JOBS, KEY, NAME, NAMESPACE, UID, WIDGETS, Fate, Life, World

Attempt = tuple[str, str, int, int]  # uid, flow, index, attempt
STEPS: Final = 1500


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What is run: the workflow (as in `scenarios`); peers: whose pod addresses each flow needs; the schedule; and
    ends: what its owner does once all is quiet.
    """

    head: bytes
    flows: tuple[bytes, ...]
    peers: bytes
    schedule: bytes
    ends: bytes

    def __repr__(self) -> str:
        head, peers, ends, *flows = (
            part.rstrip(bytes(1)).hex() for part in (self.head, self.peers, self.ends, *self.flows)
        )
        # Each zero at the end of the schedule is a step.
        shown = ", ".join(f'"{part}"' for part in (head, peers, self.schedule.hex(), ends, *flows))
        return f"of_hex({shown})"


def of_hex(head: str, peers: str, schedule: str, ends: str, *flows: str) -> Lifecycle:
    """A scenario in the form in which `repr` writes it, to keep one that once failed."""
    return Lifecycle(
        head=bytes.fromhex(head),
        flows=tuple(map(bytes.fromhex, flows)),
        peers=bytes.fromhex(peers),
        schedule=bytes.fromhex(schedule),
        ends=bytes.fromhex(ends),
    )


@st.composite
def lifecycles(draw: st.DrawFn, *, max_flows: int = 7, max_steps: int = 90) -> Lifecycle:
    count = draw(st.integers(1, max_flows))
    return Lifecycle(
        head=draw(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES)),
        flows=tuple(draw(st.binary(min_size=FLOW_BYTES, max_size=FLOW_BYTES)) for _ in range(count)),
        peers=draw(st.binary(max_size=count)),
        schedule=draw(st.binary(max_size=max_steps)),
        ends=draw(st.binary(max_size=6)),
    )


# Steps that edit the spec, take an edit back, restart, or run on to the end.
_EDITING: Final = tuple(base + step for base in (112, 128, 208) for step in (15, 15, 15, 7, 2, 3, 0, 1))


@st.composite
def edited_lifecycles(draw: st.DrawFn, *, max_flows: int = 6, max_steps: int = 60) -> Lifecycle:
    """Scenarios in which the spec is edited often, at any time."""
    edit = st.tuples(st.sampled_from(_EDITING), st.binary(min_size=3, max_size=3))
    other = st.binary(min_size=1, max_size=1)
    count = draw(st.integers(0, max_steps))
    step = st.one_of(other, other, edit.map(lambda step: bytes(step[:1]) + step[1]))
    steps = draw(st.lists(step, min_size=count, max_size=count))
    return replace(draw(lifecycles(max_flows=max_flows, max_steps=0)), schedule=b"".join(steps))


def life_of(scenario: Lifecycle) -> tuple[Story, Mapping[str, frozenset[str]]]:
    """The story, and which flows' pod addresses each flow's job needs."""
    story = story_of(Scenario(scenario.head, scenario.flows, b""), with_outputs=False, with_objects=True)
    tape, peers = Tape(scenario.peers), {}
    flows = []
    for number, flow in enumerate(story.spec.flows):
        choice = tape.next()
        if choice % 4 == 3 and number and not flow.finally_:
            asked = f"f{choice // 4 % number}"
            if not {flow.name, asked} & story.acting and not story.spec.flows[choice // 4 % number].finally_:
                peers[flow.name] = frozenset({asked})
                patch = {"metadata": {"annotations": {"peer": f"{{{{flows.{asked}.podIP}}}}"}}}
                flow = msgspec.structs.replace(flow, raw_patch=msgspec.Raw(msgspec.json.encode(patch)))
        flows.append(flow)
    story.spec = msgspec.structs.replace(story.spec, flows=tuple(flows))
    return story, peers


# The world


@dataclass(slots=True)
class LivelyWorld(World):
    """Also has workflows that are deleted and created again, pods with addresses, and temporary refusals.

    pods: the events of pods (which attempt, whether it runs).
    """

    may_delete: Callable[[Life], None] = lambda _life: None
    uid: str = UID
    forbidden_until: float = 0.0
    is_lenient: bool = False
    pods: list[tuple[Attempt, bool]] = field(default_factory=list)
    tried: dict[tuple[str, int, int], int] = field(default_factory=dict)

    @property
    def is_there(self) -> bool:
        return (WORKFLOWS, NAME) in self.objects

    def delete_workflow(self, *, foreground: bool) -> None:
        """In the foreground it stays until its jobs are gone. There is no garbage collector here."""
        self.note(f"the workflow is deleted in the {'foreground' if foreground else 'background'}")
        stamp = datetime.fromtimestamp(int(self.now), UTC)
        metadata = msgspec.structs.replace(self.workflow.metadata, deletion_timestamp=stamp)
        if foreground:
            if not self.workflow.metadata.is_deleting:
                self.update(WORKFLOWS, NAME, metadata=metadata)
            self._finish_deletion()
        else:
            self._drop_workflow()

    def make_again(self, spec: WorkflowSpec) -> None:
        """Creates another workflow of the same name, with a new UID."""
        serial = self.uid[:1]
        self.uid = f"{chr(ord(serial) + 1)}{UID[1:]}"
        for life in self.lives:
            if "@" not in life.flow:
                life.flow = f"{life.flow}@{serial}"
        self.tried.clear()
        self.things.touches.clear()
        self.add(WORKFLOWS, Workflow(ObjectMeta(name=NAME, uid=self.uid, generation=1), spec))

    def _drop_workflow(self) -> None:
        obj = self.objects.pop((WORKFLOWS, NAME))
        meta = msgspec.structs.replace(obj.metadata, resource_version=self.next_version())
        self.log[WORKFLOWS].append(Deleted(msgspec.structs.replace(obj, metadata=meta)))
        self.note("the workflow is gone")

    def _finish_deletion(self) -> None:
        has_jobs = any("@" not in life.flow for life in self.jobs())
        if self.is_there and self.workflow.metadata.is_deleting and not has_jobs:
            self._drop_workflow()

    def _remove(self, life: Life) -> None:
        was_gone = life.gone
        World._remove(self, life)
        if not was_gone:
            self._tell_pod(life, is_up=False)
            self._finish_deletion()

    def update(self, gvr: GVR, name: str, *, generation: bool = False, **changes: Any) -> Any:
        obj = World.update(self, gvr, name, generation=generation, **changes)
        if gvr in (JOBS, WIDGETS):
            life = next(life for life in self.jobs() if (life.gvr, life.name) == (gvr, name))
            self._tell_pod(life, is_up=obj.status.get("sim") in ("Running", "Ready") and life.deleted is None)
        return obj

    def _tell_pod(self, life: Life, *, is_up: bool) -> None:
        at = (self.uid, life.flow, life.index, life.attempt)
        if "@" not in life.flow and dict(self.pods).get(at, False) != is_up:
            self.pods.append((at, is_up))

    # The API

    def _create(self, gvr: GVR, namespace: str, body: bytes) -> Job:
        metadata = msgspec.json.decode(body)["metadata"]
        owner = metadata["ownerReferences"][0]["uid"]
        self.may_create(owner)
        if self.now < self.forbidden_until:
            raise Denied("exceeded quota: team", status=403)
        tags = metadata["labels"]
        at = (tags[_FLOW], int(tags.get(_INDEX, "0")), int(tags[_ATTEMPT]))
        self.tried[at] = self.calls
        made = World._create(self, gvr, namespace, body)
        if owner != self.uid:  # of a workflow that is gone: the controller's cache was behind
            self.lives[-1].flow += "@late"
        return made

    def _apply(self, gvr: GVR, name: str, body: bytes) -> ForeignObject:
        if self.now < self.forbidden_until:
            raise Denied("exceeded quota: team", status=403)
        self.tried[self.things.acting] = self.calls
        return World._apply(self, gvr, name, body)

    def _patch(self, operations: list[dict[str, Any]]) -> Workflow:
        if not self.is_there:
            raise NotFound(f"{NAME} not found", status=404)
        return World._patch(self, operations)

    def delete(
        self,
        gvr: GVR,
        namespace: str,
        name: str,
        *,
        uid: str | None,
        propagation: str = "Background",
        resource_version: str | None = None,
    ) -> None:
        if gvr != WORKFLOWS:
            World.delete(
                self, gvr, namespace, name, uid=uid, propagation=propagation, resource_version=resource_version
            )
            return

        def act() -> None:
            if not self.is_there:
                raise NotFound(f"{name} not found", status=404)
            if uid != self.uid:
                raise Conflict(f"the UID in the precondition ({uid}) does not match", status=409)
            if resource_version != self.workflow.metadata.resource_version:
                raise Conflict(
                    f"the ResourceVersion in the precondition ({resource_version}) does not match", status=409
                )
            assert propagation == "Foreground"
            spec, status = self.workflow.spec, self.workflow.status
            assert spec.ttl_seconds_after_finished is not None, "the workflow is deleted without a ttl"
            assert status.completion_time, "the workflow is deleted before its end"
            due = seconds(status.completion_time) + spec.ttl_seconds_after_finished
            assert self.now >= due - 1e-3, f"the workflow is deleted {due - self.now:.3f} s before its ttl"
            self.delete_workflow(foreground=True)

        self.call(act)

    def delete_job(self, life: Life, by: str) -> None:
        if by == "controller" and life.deleted is None:
            self.may_delete(life)
        World.delete_job(self, life, by)


_FLOW, _INDEX, _ATTEMPT = (f"flow.workflow.sh/{name}" for name in ("flow", "index", "attempt"))


# The controller


class KnownPods(Pods):
    """The addresses in the cache of pods. The simulation decides when it gets which event."""

    def __init__(self) -> None:
        self.up: set[Attempt] = set()

    def lead_address(self, *args: Any) -> str:
        workflow, task, attempt, _ = args
        return "127.64.0.1" if (workflow.uid, task.flow, task.index, attempt) in self.up else ""


class LivelyController(Controller):
    """Also has informers of every kind that a template names, from the start, and a cache of pods."""

    world: LivelyWorld
    pods: KnownPods

    def __init__(self, world: LivelyWorld, patience: Callable[[str, str, int], float | None], lag: int = 0) -> None:
        super().__init__(world, patience, lag)
        self.informers.ensure(JOBS)
        self.informers.ensure(WIDGETS)
        self.pods_told = 0
        self.templates.replace([obj for (gvr, _), obj in world.objects.items() if gvr == WORKTEMPLATES], world.version)

    def _make_pods(self) -> KnownPods:
        return KnownPods()

    def deliver_all(self) -> None:
        super().deliver_all()
        self.deliver_pods(len(self.world.pods))

    def deliver_pods(self, count: int) -> None:
        for at, is_up in self.world.pods[self.pods_told : self.pods_told + count]:
            (self.pods.up.add if is_up else self.pods.up.discard)(at)
            self.pods_told += 1
            self.is_queued = True

    def take_template(self, template: WorkTemplate | None, name: str) -> None:
        """The event of a template; None if it was deleted."""
        if template is not None:
            self.templates.apply(Modified(template) if self.templates.get(template.metadata.key) else Added(template))
        elif (old := self.templates.get(f"{NAMESPACE}/{name}")) is not None:
            meta = msgspec.structs.replace(old.metadata, resource_version=str(self.world.version))
            self.templates.apply(Deleted(msgspec.structs.replace(old, metadata=meta)))
        self.is_queued = True


# The run


class LifecycleSimulation(Simulation):
    """One example, from the first pass to the last; every broken invariant is an AssertionError that says which."""

    judges_outputs = False

    world: LivelyWorld
    controller: LivelyController

    def __init__(self, scenario: Lifecycle) -> None:
        story, self.peers = life_of(scenario)
        self.ends = Tape(scenario.ends)
        super().__init__(story, scenario.schedule)
        self.tokens = 0
        self.used: set[str] = set()
        self.asked: tuple[WorkflowSpec, Mapping[At, tuple[JobSeen, ...]], frozenset[str], float] | None = None
        self.in_force: tuple[str, ...] = ()  # the flows that the last restart named
        self.born: dict[At, int] = {}
        self.added = 0
        self.known = {spec_hash(story.spec): story.spec}  # every spec that there was, by its hash
        self.spec = story.spec  # as it was at the start

    def _make_world(self) -> LivelyWorld:
        return LivelyWorld(self._fate_of, may_create=self._may_create, may_delete=self._may_delete)

    def _make_reference(self) -> Reference:
        return Reference(self.story.spec, self.story.services, self.peers)

    def _make_controller(self, lag: int) -> LivelyController:
        return LivelyController(self.world, self.story.patience, lag)

    def _fate_of(self, flow: str, index: int, attempt: int) -> Fate:
        name = flow.partition("@")[0]
        fate = self.story.fate_of(name, index, attempt) if name in self._names() else Fate()
        return replace(fate, refused="", taken=False) if self.world.is_lenient else fate

    def _names(self) -> set[str]:
        return {flow.name for flow in self.story.spec.flows}

    def _act(self, choice: int) -> None:
        tape = self.tape
        if choice < 112:
            super()._act(choice)
            return
        match choice % 16:
            case 0 | 1:
                self._run_on()
            case 2 | 3:
                self._ask_restart(())
            case 4 | 5:
                names = sorted(flow.name for flow in self._spec().flows) if self.world.is_there else ["f0"]
                self._ask_restart(tuple(sorted({names[tape.below(len(names))] for _ in range(1 + tape.below(2))})))
            case 6:
                self._change_mutable(tape)
            case 7 if tape.one_in(2):
                self._change_spec(tape)
            case 8:
                self._change_template(tape)
            case 9:
                self.world.forbidden_until = self.world.now + tape.pick(0.3, 3.0, 40.0)
                self._note("quota is used up for a while")
            case 10:
                self.world.is_lenient = not self.world.is_lenient
                self._note(f"the API server is lenient: {self.world.is_lenient}")
            case 11:
                self.controller.deliver_pods(1 + tape.below(2))
                self._note("news of pods")
            case 12 if tape.one_in(2) and self.world.is_there:
                self.world.delete_workflow(foreground=tape.one_in(2))
            case 13 if not self.world.is_there:
                self._make_again()
            case 14:
                self._unset(tape)
            case 15:
                self._edit(tape)
            case _:
                self._settle()

    def _spec(self) -> WorkflowSpec:
        return self.world.workflow.spec

    def _is_ended(self) -> bool:
        """Whether the workflow is over, or gone."""
        return not self.world.is_there or super()._is_ended()

    def _is_over(self) -> bool:
        return self.phase is not None and self.phase.is_final

    # What the owner does

    def _run_on(self) -> None:
        """Nothing goes wrong until the workflow is over."""
        self._note("all goes well for a long while")
        for _ in range(300):
            if self._is_ended() or (self._spec().suspend and not self.controller.is_due()):
                break
            self._settle()

    def _ask_restart(self, names: tuple[str, ...]) -> None:
        if not self.world.is_there or self.world.workflow.metadata.is_deleting:
            return
        self.tokens += 1
        self.world.set_spec(restart=Restart(f"t{self.tokens}", names))
        self.statistics["asked"] += 1
        self._note(f"restart t{self.tokens} of {names or 'all that failed'}")

    def _unset(self, tape: Tape) -> None:
        """Removes the restart, or changes its flows but not its token."""
        if not self.world.is_there or self._spec().restart is None:
            return
        restart = self._spec().restart
        assert restart is not None
        how = tape.pick(None, msgspec.structs.replace(restart, flows=()))
        self.world.set_spec(restart=how)
        self._note(f"restart is now {how}")

    def _change_mutable(self, tape: Tape) -> None:
        if not self.world.is_there:
            return
        change: dict[str, Any] = tape.pick(
            {"parallelism": 1},
            {"parallelism": None},
            {"timeout": "15s"},
            {"timeout": None},
            {"ttl_seconds_after_finished": 30},
            {"ttl_seconds_after_finished": None},
        )
        self.world.set_spec(**change)
        self._note(f"changed {change}")

    def _change_spec(self, tape: Tape) -> None:
        """Changes what must not change after the start, or changes it back."""
        if not self.world.is_there:
            return
        spec = self._spec()
        flows = spec.flows
        changes: dict[str, Any]
        match tape.below(6):
            case 0:
                one = msgspec.structs.replace(flows[0], retry=Retry(max_retries=3, interval="1s"))
                changes = {"flows": (one, *flows[1:])}
            case 1:
                self.added += 1
                fresh = msgspec.structs.replace(self.story.spec.flows[0], name=f"new{self.added}", template="job")
                absent = {"raw_depends_on": raw.ABSENT, "raw_patch": raw.ABSENT}
                fresh = msgspec.structs.replace(fresh, for_=None, finally_=False, **absent)
                changes = {"flows": (*flows, fresh)}
            case 2:
                changes = {"flows": flows[:-1]}
            case 3:
                changes = {"flows": tuple(map(_wider, flows))}
            case 4:
                other = RetainPolicy.RETAIN if spec.job_retain_policy is RetainPolicy.DELETE else RetainPolicy.DELETE
                changes = {"job_retain_policy": other}
            case _:
                changes = {"flows": self.spec.flows, "job_retain_policy": self.spec.job_retain_policy}
        self._set(changes)

    def _set(self, changes: dict[str, Any]) -> None:
        """Edits the spec, if it is valid then."""
        new = msgspec.structs.replace(self._spec(), **changes)
        if new.flows and validation.validate_workflow(msgspec.structs.replace(new, restart=None)) == ():
            self.world.set_spec(**changes)
            self.known[spec_hash(new)] = new
            self.statistics["edited"] += 1
            self._note("the spec changes: " + ", ".join(f"{flow.name}x{flow.replicas}" for flow in new.flows))

    def _edit(self, tape: Tape) -> None:
        """Edits one flow, makes the spec one that can never run, or takes an edit back; perhaps with a restart."""
        if not self.world.is_there:
            return
        flows = self._spec().flows
        at = tape.below(len(flows))
        flow = flows[at]
        match tape.below(8):
            case 0 | 1:
                self._take_back()
            case 2 if flow.name not in self.peers:
                patch = msgspec.Raw(msgspec.json.encode({"metadata": {"annotations": {"edit": str(tape.below(3))}}}))
                flow = msgspec.structs.replace(flow, raw_patch=patch)
            case 3:
                flow = msgspec.structs.replace(flow, raw_depends_on=raw.ABSENT)
            case 4:
                flow = msgspec.structs.replace(flow, for_=None if flow.for_ is not None else For(replicas=2))
            case 5 if flow.for_ is not None and not flow.items_from:
                flow = msgspec.structs.replace(flow, for_=msgspec.structs.replace(flow.for_, replicas=tape.below(3)))
            case 6 if flow.name not in self.peers:
                self.added += 1
                # The story knows no service of that name.
                template = "job" if flow.template in ("service", *SERVING) else flow.template
                flow = msgspec.structs.replace(flow, name=f"new{self.added}", template=template)
            case 7 if self.phase is not None:  # else it would be Invalid from the start
                nobody = msgspec.Raw(b'{"targets":["nobody"]}')
                edited = msgspec.structs.replace(flow, raw_depends_on=nobody)
                self.world.set_spec(flows=(*flows[:at], edited, *flows[at + 1 :]))
                self.statistics["edited into nonsense"] += 1
                self._note(f"{flow.name} waits for nobody")
                return
        if tape.one_in(2):
            self._ask_restart(())
        if flow is not flows[at]:
            self._set({"flows": (*flows[:at], flow, *flows[at + 1 :])})

    def _take_back(self) -> None:
        """The spec means again what it meant when the workflow started, or was last restarted."""
        start = self._start(records.record_of(self.world.workflow.status).spec_hash, self._spec())
        if spec_hash(start) != spec_hash(self._spec()):
            self.world.set_spec(**{name: getattr(start, name) for name in start.__struct_fields__ if name not in FREE})
            self.statistics["taken back"] += 1
            self._note("the edit is taken back")

    def _start(self, recorded: str, spec: WorkflowSpec) -> WorkflowSpec:
        """The spec in force where status records this hash, and `spec` is in the cluster."""
        start = self.known.get(recorded, spec)
        return msgspec.structs.replace(start, **{name: getattr(spec, name) for name in FREE})

    def _change_template(self, tape: Tape) -> None:
        name = tape.pick("job", "widget")
        there = self.world.objects.get((WORKTEMPLATES, name))
        if tape.one_in(2) and there is not None:
            del self.world.objects[WORKTEMPLATES, name]
            self.world.version += 1
            self.controller.take_template(None, name)
            self._note(f"template {name} is deleted")
        else:
            self._restore(name, edit=str(self.world.version))

    def _restore(self, name: str, edit: str) -> None:
        raw = next(raw for raw in self.story.templates if raw["metadata"]["name"] == name)
        spec = {**raw["spec"], "metadata": {"annotations": {"edit": edit}}}
        metadata = {"name": name, "uid": f"template-{name}", "generation": self.world.version}
        template = self.world.add(WORKTEMPLATES, decoded({"metadata": metadata, "spec": spec}, WorkTemplate))
        self.controller.take_template(template, name)
        self._note(f"template {name} is edited")

    def _make_again(self) -> None:
        spec = msgspec.structs.replace(
            self.spec, restart=None, suspend=False, shutdown=None, ttl_seconds_after_finished=None
        )
        self.world.make_again(spec)
        self.reference = self._make_reference()
        self.phase, self.asked, self.in_force = None, None, ()
        self.finals.clear()
        self.recorded.clear()
        self.shown.clear()
        self.released_at.clear()
        self.born.clear()
        self.used.clear()
        self.statistics["made again"] += 1
        self._note("made again under the same name")

    # Every pass

    def _take_back_unseen(self, begin: str) -> None:
        """Takes an edit back that a new process has found in a workflow without status, which began with the spec of
        this hash. It knows the flows alone that have jobs, which the reference cannot follow. test_early.py has these.
        """
        start = self.known[begin]
        self.world.set_spec(**{name: getattr(start, name) for name in start.__struct_fields__ if name not in FREE})
        self.statistics["taken back unseen"] += 1
        self._note("an edit is taken back that no controller has seen")

    def plan(self, snapshot: Snapshot) -> Plan:
        edit = snapshot.edit
        if snapshot.is_unwritten and edit is not None and not edit.is_start_known and self.world.is_there:
            made = plan(snapshot)
            assert not made.creations, "a workflow that is held makes no job"
            assert not made.deletions or edit.spec.shutdown is not None, "a workflow that is held deletes no job"
            self._take_back_unseen(records.record_of(snapshot.workflow.status).spec_hash)
            return made
        if snapshot.workflow.metadata.uid != self.world.uid or not self.world.is_there:
            self._note("a pass over a workflow that is gone")
            return plan(snapshot)
        spec = snapshot.workflow.spec if snapshot.edit is None else snapshot.edit.spec
        if snapshot.workflow.status.phase is None and spec.flows != self.reference.spec.flows:
            self.reference = Reference(spec, self.story.services, self.peers)
        if snapshot.progress is None:
            self.reference.lose_memory(snapshot.since)
        recorded = snapshot.workflow.status
        if snapshot.graph is not None:
            is_edited = records.record_of(recorded).spec_hash not in ("", spec_hash(spec))
            assert (snapshot.edit is not None) == is_edited, "an edit is not noticed, or there is none"
        if recorded.phase is None or not recorded.phase.is_final:
            self.reference.follow(self._start(records.record_of(recorded).spec_hash, spec))
        return super().plan(snapshot)

    def _observe(self, snapshot: Snapshot, graph: Graph, progress: Progress) -> Observation:
        seen = super()._observe(snapshot, graph, progress)
        recorded = snapshot.workflow.status
        return replace(
            seen,
            pod_ips=frozenset((key.flow, key.index) for key in snapshot.pod_ips),
            spec=self._start(records.record_of(recorded).spec_hash, snapshot.workflow.spec),
            is_held=snapshot.is_held,
            is_deferred=snapshot.edit is not None and not snapshot.edit.is_start_known,
            asked=self.in_force,
        )

    def _hidden(self, snapshot: Snapshot) -> frozenset[str]:
        recorded = {name for name, memory in records.by_flow(snapshot.workflow.status).items() if memory.gvr}
        return frozenset(
            flow.name
            for flow in snapshot.workflow.spec.flows
            if flow.template not in (*APPLYING, *DELETING)
            and (flow.template_name in snapshot.templates or flow.name in recorded)
            and (WIDGETS if flow.name in self.story.widgets else JOBS) in snapshot.awaited
        )

    def _judge_claim(self, snapshot: Snapshot, at: At, claim: Claim) -> None:
        if claim.reason == "RenderError":
            flow = next(flow for flow in snapshot.workflow.spec.flows if flow.name == at[0])
            assert flow.name in self.peers, f"{at}: {claim.reason}, but nothing in it can fail to be rendered"
            return
        super()._judge_claim(snapshot, at, claim)
        if claim.reason in ("Refused", "NameConflict"):
            tried = max(self.world.tried.get((*at, claim.attempt + more), -1) for more in (0, 1))
            assert tried >= self.born.get(at, 0), f"{at}: {claim.reason} since a restart, but it was not tried since"

    def _judge_after_the_end(self, snapshot: Snapshot, made: Plan) -> None:
        spec, status = snapshot.workflow.spec, snapshot.workflow.status
        restart = spec.restart
        is_asked = (
            restart is not None and restart.at != records.record_of(status).restarted_at and spec.shutdown is None
        )
        is_news = status.observed_generation != snapshot.workflow.metadata.generation
        assert is_asked or is_news or made.patch is None, "a status is written after the end, and nobody asked for it"
        assert not (made.is_new_run and made.workflow_deletion), "a workflow is restarted and deleted at once"
        if snapshot.edit is not None:
            spec = snapshot.edit.spec
        if made.patch is not None:
            assert not (made.is_new_run and snapshot.unseen), "a restart while it is not known which objects are there"
            jobs = {(key.flow, key.index): tuple(map(_seen, jobs)) for key, jobs in snapshot.jobs.items()}
            self.asked = (spec, jobs, self._hidden(snapshot), snapshot.since)

    def _takes_up_again(self, status: WorkflowStatus) -> bool:
        before = self.world.log[WORKFLOWS][-2].obj.status  # the last is this very write
        token = records.record_of(status).restarted_at
        if token == records.record_of(before).restarted_at:
            return False
        assert self._is_over(), "a restart before the end"
        assert self.asked is not None
        spec, jobs, hidden, since = self.asked
        assert spec.restart is not None
        assert token == spec.restart.at
        assert token not in self.used, f"the token {token} acts twice"
        self.used.add(token)
        assert spec.shutdown is None, "a restart with shutdown"
        self.statistics["restarted"] += 1
        self._note(f"restarted: {token}")
        self.reference.lose_memory(since)
        unknown = {at for at, task in self.reference.tasks.items() if task.is_service and task.state == "Succeeded"}
        assert not hidden & {name for name, _ in unknown}, (
            f"a restart while the jobs of {sorted(hidden)} are not known: a living service may be taken for gone"
        )
        old = set(self.reference.tasks)
        again = self.reference.restart(spec, str(self.phase), jobs)
        if status.phase is before.phase:
            assert not again, f"{again} should run again"
            assert records.record_of(status).job_retain_policy == spec.job_retain_policy
            assert old == set(self.reference.tasks), "tasks that are gone are still in status"
            self.statistics["idle"] += 1
            self.reference.lose_memory(since)
            self.reference.follow(spec)
            return True
        if spec_hash(spec) != before.spec_hash:
            self.statistics["adopted"] += 1
        assert records.record_of(status).spec_hash == spec_hash(spec), "the spec is adopted in another write"
        fresh = self.reference.fresh
        to_run = {at[0] for at in fresh if not self.reference.tasks[at].is_final}  # a flow without replicas has none
        self.in_force = (*spec.restart.flows, *sorted(to_run if before.phase == "Succeeded" else ()))
        self.reference.run_on()
        self._forget_lives_of(fresh | old - set(self.reference.tasks))
        assert status.phase is WorkflowPhase.RUNNING
        assert not status.completion_time
        shown = {one.type: one.status for one in status.conditions if one.type in ("Decided", "Finished", "Succeeded")}
        assert shown == {"Finished": "False"}
        assert abs(seconds(status.start_time) - self.world.now) < 1e-3, "the clocks do not start anew"
        firsts = {name: memory.record.first_attempt for name, memory in records.by_flow(status).items()}
        for at in again:
            self.finals.pop(at, None)
            self.born[at] = self.world.calls
            first = self.reference.firsts[at[0]] = firsts[at[0]]
            self.reference.tasks[at].attempt = first
            older = [
                life.attempt
                for life in self.world.lives
                if life.flow == at[0]
                and (at not in fresh or (life.index == at[1] and not life.gone))
                and not (life.gone and life.recorded is None)
            ]
            # Of a job that was gone, or an object that was applied, before status recorded it nobody can tell.
            acted = {((one.flow, one.index), one.attempt) for one in self.world.things.touches} & self.shown
            older += [attempt for shown, attempt in acted if shown[0] == at[0] and at not in fresh]
            assert first > max(older, default=-1), f"{at} begins at attempt {first} though {max(older)} was made"
        for at in [at for at, _ in self.released_at if at in again]:
            self.released_at = {key: when for key, when in self.released_at.items() if key[0] != at}
        return True

    def _forget_lives_of(self, tasks: set[At]) -> None:
        """Jobs that are gone, of tasks that were dropped or are new: a later job of the same name is another one."""
        for life in self.world.lives:
            if life.gone and (life.flow, life.index) in tasks:
                life.flow = f"{life.flow}@dropped{self.world.version}"
        self.world.things.forget(tasks)
        self.shown = {(at, attempt) for at, attempt in self.shown if at not in tasks}
        for at in tasks:
            self.recorded.pop(at, None)
            self.finals.pop(at, None)

    def on_status(self, status: WorkflowStatus) -> None:
        assert not self.world.workflow.metadata.is_deleting, "a status of a workflow that is being deleted"
        before = self.world.log[WORKFLOWS][-2].obj.status
        if before.phase is None:
            begin = begin_of(self.world.workflow, self.controller.ledger.jobs(WorkflowId.of(self.world.workflow)))
            assert begin is None or records.record_of(status).spec_hash == begin.spec_hash, (
                "the first status is of another spec than the first job that the controller knows"
            )
            self.statistics["begun of another spec"] += begin is not None and begin.spec_hash != spec_hash(self._spec())
        if self._is_over() and status.phase is self.phase:
            record = records.record_of(status)
            seen = msgspec.structs.replace(
                records.moved(
                    before,
                    restarted_at=record.restarted_at,
                    spec_hash=record.spec_hash,
                    job_retain_policy=record.job_retain_policy,
                ),
                observed_generation=status.observed_generation,
            )
            assert msgspec.to_builtins(status) == msgspec.to_builtins(seen), "after the end nothing else changes"
            self._takes_up_again(status)
            return
        super().on_status(status)
        if self._is_over():
            self.statistics["ended"] += 1
            self.statistics[f"{status.phase} {status.reason}"] += 1

    # Every write

    def _may_create(self, uid: str) -> None:
        known = self.controller.workflows.get(KEY)
        assert known is not None, "a job is made for a workflow that is known to be gone"
        assert known.metadata.uid == uid, "a job is made for an earlier workflow"
        assert not known.metadata.is_deleting, "a job is made for a workflow that is being deleted"
        status = known.status
        assert status.phase is None or not status.phase.is_final, "a job is made after the end"

    def _may_delete(self, life: Life) -> None:
        """Whether there is a reason to delete this job at all."""
        what = f"deletion of {life.name}"
        known = self.controller.workflows.get(KEY)
        if "@" in life.flow or known is None or known.metadata.is_deleting:
            return
        phase = known.status.phase
        spec = self._start(records.record_of(known.status).spec_hash, known.spec)
        assert self.phase is phase or self._is_over(), f"{what} with a status that the API server does not hold"
        if phase is not None and phase.is_final:
            policy = spec.job_retain_policy
            if policy == "delete" or (policy == "delete-on-success" and phase is WorkflowPhase.SUCCEEDED):
                return
        task = self.reference.tasks.get((life.flow, life.index))
        # The Skipped task of a flow without replicas has no job.
        is_empty = any(flow.name == life.flow and not flow.replicas for flow in spec.flows)
        if task is None or is_empty or life.indexed != self._is_indexed(life.flow):
            assert life.ended not in ("ok", "fail"), f"{what}, of a task that the spec has not any more, but it ended"
            return
        if life.attempt < task.attempt:
            return
        state, _ = self.recorded.get((life.flow, life.index), ("", 0))
        is_timed_out = task.reason in ("DeadlineExceeded", "PendingTimeout") and state in ("Failed", "Backoff")
        is_service = task.is_service and task.state == "Succeeded" and bool(self.reference.decided)
        assert is_timed_out or is_service or state == "Cancelled", f"{what}, which is {task.state} ({task.reason})"

    # The end

    def _quiet(self) -> None:
        """Nothing goes wrong any more: the workflow ends, also after restarts, and leaves nothing once deleted."""
        self._calm_down()
        self._until_rest()
        for _ in range(3):
            match self.ends.below(8):
                case 1 | 2:
                    self._ask_restart(())
                case 3:
                    names = sorted(flow.name for flow in self._spec().flows) if self.world.is_there else ["f0"]
                    self._ask_restart((names[self.ends.below(len(names))],))
                case 4 | 5 if self.world.is_there:
                    self.world.delete_workflow(foreground=self.ends.one_in(2))
                case 6 if self.world.is_there:
                    self.world.set_spec(ttl_seconds_after_finished=self.ends.below(60))
                case 7 if not self.world.is_there:
                    self._make_again()
                case _:
                    break
            self._until_rest()

    def _calm_down(self) -> None:
        self.world.traps.clear()
        self.world.forbidden_until = 0.0
        if self.world.is_there and self._spec().suspend:
            self.world.set_spec(suspend=False)
        if self.world.is_there and self.phase is None:
            # Of an edit before the first status only the controller knows, once it has seen it.
            self.controller.deliver_all()
            while self.controller.is_due() and self.phase is None:
                self._settle()
        if self.world.is_there and not self._is_over() and records.record_of(self.world.workflow.status).spec_hash:
            if self.tape.one_in(2) or self.ends.one_in(2):
                self._take_back()
            elif spec_hash(self._spec()) != records.record_of(self.world.workflow.status).spec_hash:
                self.world.set_spec(shutdown=self.ends.pick(Shutdown.STOP, Shutdown.TERMINATE))
        for name in ("job", "widget"):
            if (WORKTEMPLATES, name) not in self.world.objects:
                self._restore(name, edit="last")
        self._note("the world is quiet")

    def _until_rest(self) -> None:
        for _ in range(STEPS):
            self.controller.deliver_all()
            if not self.controller.is_due() and self.controller.next_due() is None:
                break
            self._settle()
        else:
            raise AssertionError("the controller finds no rest")
        if not self.world.is_there:
            self.statistics["gone"] += 1
            left = [life.name for life in self.world.jobs()]
            assert not left, f"the workflow is gone, and its jobs are not: {left}"
            return
        assert not self.world.workflow.metadata.is_deleting, "the workflow does not go"
        assert not any("@" in life.flow for life in self.world.jobs()), "jobs of an earlier workflow are left"
        assert self._is_over(), f"nothing more will happen, and the workflow is {self.phase}: {self._open_tasks()}"
        spec, status = self._spec(), self.world.workflow.status
        assert spec.ttl_seconds_after_finished is None, "the ttl has passed, and the workflow is there"
        is_valid = validation.validate_workflow(spec) == ()
        if spec.restart is not None and spec.shutdown is None and is_valid:
            assert records.record_of(status).restarted_at == spec.restart.at, "the restart is not carried out"
        self._judge_the_end()

    def _judge_the_end(self) -> None:
        assert self.reference.phase == self.phase, f"the reference says {self.reference.phase}, status {self.phase}"
        spec = self._start(records.record_of(self.world.workflow.status).spec_hash, self._spec())
        for life in self.world.jobs():
            if life.deleted is not None:
                continue
            policy = spec.job_retain_policy
            is_kept = policy == "retain" or (policy != "delete" and self.phase is WorkflowPhase.FAILED)
            assert is_kept, f"jobRetainPolicy {policy} leaves {life.name}"
            task = self.reference.tasks.get((life.flow, life.index))
            is_service = task is not None and task.is_service and task.state == "Succeeded"
            is_current = task is not None and life.attempt == task.attempt
            assert life.ended in ("ok", "fail") or (is_service and is_current), f"{life.name} still runs after the end"


def _wider(flow: Any) -> Any:
    """One replica more, for a flow with `for`."""
    if flow.for_ is None or flow.items_from:
        return flow
    return msgspec.structs.replace(flow, for_=msgspec.structs.replace(flow.for_, replicas=flow.replicas + 1))


def live(scenario: Lifecycle) -> LifecycleSimulation:
    """Runs it; raises AssertionError for whatever the contract forbids."""
    simulation = LifecycleSimulation(scenario)
    simulation.run()
    simulation.judge_history()
    return simulation
