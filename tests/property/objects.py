"""Objects that tasks apply or delete, in the simulated world: those in the cluster, and what a controller knows.

A flow means one by its template, whose name is a key of `TEMPLATES`. Nothing on an object says which task applied it,
so the world is told the attempt by whoever makes its call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from pkg.apis.flow.v1alpha1.types import Action, WorkflowStatus
from pkg.apis.meta import GVR, ForeignObject, Job, ObjectMeta
from pkg.controllers.engine.deltas import Deleted
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.workflow.object_calls import MANAGER, Done, ObjectCalls
from pkg.controllers.workflow.objects import Keeps, Objects, OnDeltas
from pkg.controllers.workflow.planner.actions import CreateJob, ForeignAction
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.kube.errors import ApplyConflict, Conflict, Denied, NotFound, Refused
from tests.object_bench import Informers as StoresByHand

if TYPE_CHECKING:
    from tests.property.world import Fate, World

SERVERS: Final = GVR("example.com", "v1", "servers")
MAPS: Final = GVR("", "v1", "configmaps")
#: As if it were a kind: the objects that a controller reads by their names after its start.
READS: Final = GVR("", "", "reads")
#: What flows with these templates do. Those that delete make no object, and are done when there is none.
APPLYING: Final = ("server", "map", "batch")
DELETING: Final = ("drop-server", "drop-map")
#: Of these the objects are done before they end: once they are ready, or there.
SERVING: Final = ("server", "map")
WHILE_DELETED: Final = 2.5


def _template(name: str, gvr: GVR, object_name: str, **fields: Any) -> dict[str, Any]:
    kind = {"group": gvr.group, "version": gvr.version, "resource": gvr.resource}
    metadata = {"name": f"{object_name}-{{{{params.object}}}}-{{{{index}}}}"}
    parameters = [{"name": "object", "value": "a"}]
    spec = {"gvr": kind, "metadata": metadata, "parameters": parameters, **fields}
    return {"metadata": {"name": name}, "spec": spec}


_SERVER: Final = {"action": "Apply", "jobSpec": {"attempt": "{{attempt}}"}}
TEMPLATES: Final = (
    _template("server", SERVERS, "server", completion="Ready", **_SERVER),
    _template("batch", SERVERS, "batch", **_SERVER),
    _template("map", MAPS, "map", action="Apply", jobSpec={"data": {"mode": "fast"}}),
    _template("drop-server", SERVERS, "server", action="Delete"),
    _template("drop-map", MAPS, "map", action="Delete"),
)


# In the cluster


@dataclass(slots=True)
class Thing:
    """The history of one object. life: how often it has begun anew, because somebody applied something else."""

    gvr: GVR
    name: str
    uid: str
    body: dict[str, Any]
    lingers: float = 0.0
    life: int = 0
    ran: float | None = None
    deleted: float | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Touch:
    """An attempt applied the object with this uid, or found it; empty: there was none."""

    flow: str
    index: int
    attempt: int
    action: Action
    uid: str
    at: float


@dataclass(slots=True)
class Things:
    """All such objects. acting: the attempt whose call is being made; touches: of all attempts, in order."""

    world: World
    all: list[Thing] = field(default_factory=list)
    touches: list[Touch] = field(default_factory=list)
    acting: tuple[str, int, int] = ("", 0, 0)
    _refusals: set[tuple[str, int, int]] = field(default_factory=set)

    def there(self) -> list[Thing]:
        return [thing for thing in self.all if not thing.gone]

    def of(self, gvr: GVR, name: str) -> Thing | None:
        return next((thing for thing in self.there() if (thing.gvr, thing.name) == (gvr, name)), None)

    def is_gone(self, uid: str) -> bool:
        """Whether the object is gone or on its way."""
        return all(thing.gone or thing.deleted is not None for thing in self.all if thing.uid == uid)

    def touched(self, flow: str, index: int, attempt: int) -> list[Touch]:
        return [one for one in self.touches if (one.flow, one.index, one.attempt) == (flow, index, attempt)]

    def is_running(self, flow: str, index: int, attempt: int) -> float | None:
        """Since when the object of that attempt has run; None if it does not run now."""
        uids = {touch.uid for touch in self.touched(flow, index, attempt)}
        for thing in self.there():
            if thing.uid in uids and thing.deleted is None:
                status = self.world.objects[thing.gvr, thing.name].status
                return thing.ran if status.get("sim") in ("Running", "Ready") else None
        return None

    def forget(self, tasks: Collection[tuple[str, int]]) -> None:
        """What these tasks did is of no task any more."""
        self.touches = [one for one in self.touches if (one.flow, one.index) not in tasks]

    def make(self, gvr: GVR, name: str, body: dict[str, Any]) -> Thing:
        thing = Thing(gvr, name, f"thing-{len(self.all)}", body)
        self.all.append(thing)
        meta = ObjectMeta(name=name, uid=thing.uid, generation=1, annotations=body["metadata"].get("annotations", {}))
        self.world.add(gvr, ForeignObject(meta))
        return thing

    def apply(self, gvr: GVR, name: str, body: bytes) -> ForeignObject:
        """Server-side apply by the attempt that acts; applying the same again changes nothing."""
        raw, at, world = msgspec.json.decode(body), self.acting, self.world
        _judge_body(raw, name)
        world.judge_outputs(msgspec.convert({"metadata": raw["metadata"]}, Job))
        fate = world.fate_of(*at)
        if fate.refused == "for good":
            raise Refused("data: Invalid value", status=422)
        if fate.refused == "at first" and at not in self._refusals:
            self._refusals.add(at)
            raise Denied("admission webhook says no", status=422)
        if fate.taken:
            raise ApplyConflict('conflict with "kubectl": .data.mode', status=409)
        thing = self.of(gvr, name)
        if thing is None:
            thing = self.make(gvr, name, raw)
            self._begin(thing, fate)
        elif raw != thing.body and thing.deleted is None:
            thing.body = raw
            notes = raw["metadata"].get("annotations", {})
            metadata = msgspec.structs.replace(world.objects[gvr, name].metadata, annotations=notes)
            world.update(gvr, name, generation=True, metadata=metadata, status={})
            self._begin(thing, fate)
        if thing.deleted is None:
            self._touch(Action.APPLY, thing.uid)
        found: ForeignObject = world.objects[gvr, name]
        return found

    def find(self, gvr: GVR, name: str) -> None:
        """The look of the attempt that acts, for the object that it deletes."""
        thing = self.of(gvr, name)
        self._touch(Action.DELETE, thing.uid if thing is not None else "")
        if thing is not None:
            thing.lingers = self.world.fate_of(*self.acting).lingers

    def _touch(self, action: Action, uid: str) -> None:
        flow, index, attempt = self.acting
        self.touches.append(Touch(flow, index, attempt, action, uid, self.world.now))
        self.world.note(f"{action} by {flow}-{index} attempt {attempt}: {uid or 'nothing there'}")

    def _begin(self, thing: Thing, fate: Fate) -> None:
        world = self.world
        thing.life += 1
        thing.ran, thing.lingers, life = None, fate.lingers, thing.life

        def show(sim: str, status: dict[str, Any]) -> Callable[[], None]:
            def act() -> None:
                if thing.gone or thing.deleted is not None or thing.life != life:
                    return
                if sim in ("Running", "Ready") and thing.ran is None:
                    thing.ran = world.now
                world.note(f"object {thing.name} is {sim}")
                gives = {"x": f"{thing.uid} {life}"} if sim in ("Succeeded", "Ready") and fate.gives else {}
                world.update(thing.gvr, thing.name, status={"sim": sim, **status, **gives})

            return act

        end = world.now + fate.pends + fate.runs
        if fate.ends == "vanish":
            world.at(end, lambda: self.delete(thing, "somebody") if thing.life == life else None)
        if thing.gvr == MAPS:
            return
        if fate.runs > 0:
            world.at(world.now + fate.pends, show("Running", {"phase": "Running"}))
        if fate.ends == "ready":
            world.at(end, show("Ready", {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}))
        elif fate.ends == "ok":
            world.at(end, show("Succeeded", {"phase": "Succeeded"}))
        elif fate.ends != "vanish":
            world.at(end + 86_400 * (fate.ends == "hang"), show("Failed", {"phase": "Failed"}))

    def delete_by_uid(self, gvr: GVR, name: str, uid: str | None) -> None:
        """A deletion by the controller: of the object that status records for a task of action Delete, and no other."""
        thing = self.of(gvr, name)
        if thing is None:
            raise NotFound(f"{name} not found", status=404)
        if thing.uid != uid:
            raise Conflict("the uid in the precondition is another", status=409)
        record = self.world.workflow.status.record
        found = [(of.action, one.uid) for of in (record.objects if record is not None else ()) for one in of.objects]
        assert (Action.DELETE, uid) in found, f"{name} ({uid}) is deleted, and status records {found}"
        self.delete(thing, "controller")

    def delete(self, thing: Thing, by: str) -> None:
        """Deletes an object now, or after it existed for a while with a deletionTimestamp."""
        if thing.gone or thing.deleted is not None:
            return
        world = self.world
        thing.deleted = world.now
        world.note(f"object {thing.name} deleted by {by}")
        if thing.lingers <= 0:
            self._remove(thing)
            return
        stamp = datetime.fromtimestamp(int(world.now), UTC)
        old = world.objects[thing.gvr, thing.name].metadata
        meta = msgspec.structs.replace(old, deletion_timestamp=stamp, finalizers=("x/hold",))
        world.update(thing.gvr, thing.name, metadata=meta)
        world.at(world.now + thing.lingers, lambda: self._remove(thing))

    def _remove(self, thing: Thing) -> None:
        if thing.gone:
            return
        thing.gone = True
        self.world.note(f"object {thing.name} is gone")
        old = self.world.objects.pop((thing.gvr, thing.name))
        meta = msgspec.structs.replace(old.metadata, resource_version=self.world.next_version())
        self.world.log[thing.gvr].append(Deleted(msgspec.structs.replace(old, metadata=meta)))


def _judge_body(raw: Mapping[str, Any], name: str) -> None:
    """Nothing of the run is on an object that outlives it."""
    meta = raw["metadata"]
    assert meta["name"] == name
    assert "ownerReferences" not in meta, f"{name} has an owner"
    ours = [
        key for key in (*meta.get("labels", {}), *meta.get("annotations", {})) if key.startswith("flow.workflow.sh/")
    ]
    assert not ours, f"{name} has {ours}"


def judge_recorded_objects(status: WorkflowStatus, things: Things, succeeded: Collection[tuple[str, int]]) -> None:
    """Each object in the status was applied or found by the attempt that status names; what a task applied that has
    succeeded is there while it lives. succeeded: tasks of flows that apply.
    """
    recorded = set()
    for record in status.record.objects if status.record is not None else ():
        flow = status.flows[record.flow].name
        for one in record.objects:
            touches = [touch.uid for touch in things.touched(flow, one.index, one.attempt)]
            assert one.uid in touches, f"{flow}-{one.index} attempt {one.attempt} has {one.uid}, it touched {touches}"
            recorded.add((flow, one.index))
    for at in succeeded:
        last = [touch.uid for touch in things.touches if (touch.flow, touch.index) == at][-1]
        assert at in recorded or things.is_gone(last), f"status does not say what {at} applied"


# In the controller


class Informers(StoresByHand):
    """As InformerSet, but the simulation decides when a store is synced and which events it gets."""

    def __init__(self, keeps: Keeps, on_deltas: OnDeltas) -> None:
        super().__init__(keeps, on_deltas)
        self.cursors: dict[GVR, int] = {}

    def release(self, gvr: GVR) -> None:
        super().release(gvr)
        self.cursors.pop(gvr, None)

    def list(self, gvr: GVR, there: Sequence[ForeignObject], version: int) -> None:
        kept = [found for found in there if self._keeps(gvr, found.metadata.key)]
        self._on_deltas(gvr, self.ensure(gvr).replace(kept, version))


class Following:
    """What one controller knows of objects: the real `Objects` between informers that the simulation feeds and the
    ledger.
    """

    def __init__(self, world: World, make: Callable[..., Objects]) -> None:
        self._world = world
        self.informers: Informers

        def informers(keeps: Keeps, on_deltas: OnDeltas) -> InformerSet[ForeignObject]:
            self.informers = Informers(keeps, on_deltas)
            return cast("InformerSet[ForeignObject]", self.informers)

        self.objects = make(informers, world.read)

    def behind(self) -> list[GVR]:
        """The kinds whose stores lack events, and READS if an object is to be read."""
        kinds = [gvr for gvr in self.informers.stores if self._is_behind(gvr)]
        due = self.next_read()
        return kinds + ([READS] if due is not None and due <= self._world.now else [])

    def _is_behind(self, gvr: GVR) -> bool:
        return self.informers.cursors.get(gvr, -1) < len(self._world.log.get(gvr, ()))

    def next_read(self) -> float | None:
        """When an object is to be read by its name."""
        queue = self.objects._queue
        return queue[0].due if queue else None

    def deliver(self, gvr: GVR, count: int) -> None:
        """The next events of a kind, its list first; or the next reads."""
        if gvr == READS:
            for _ in range(count):
                due = self.next_read()
                if due is None or due > self._world.now:
                    return
                self.objects._read(self.objects._queue.popleft())
            return
        log = self._world.log.setdefault(gvr, [])
        start = self.informers.cursors.get(gvr)
        if start is None:
            there = [obj for (of, _), obj in self._world.objects.items() if of == gvr]
            self.informers.list(gvr, there, self._world.version)
            self.informers.cursors[gvr] = len(log)
            return
        events = log[start : start + count]
        self.informers.cursors[gvr] = start + len(events)
        for event in events:
            self.informers.tell(gvr, event)


class Calls(ObjectCalls):
    """Tells the world whose call is being made, because no object says it."""

    def __init__(self, world: World, objects: Objects) -> None:
        super().__init__(cast(Any, _Client(world)), objects)
        self._world = world

    def act(self, workflow: WorkflowId, action: CreateJob, foreign: ForeignAction) -> Done:
        self._world.may_create(workflow.uid)
        self._world.things.acting = (action.task.flow, action.task.index, action.attempt)
        return super().act(workflow, action, foreign)


class _Client:
    """The calls of attempts, as the API server sees them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def apply(
        self,
        gvr: GVR,
        namespace: str,
        name: str,
        body: bytes,
        _type: type[ForeignObject],
        *,
        field_manager: str,
        force: bool,
        field_validation: str,
        on_warnings: Callable[[tuple[str, ...]], None],
    ) -> ForeignObject:
        assert (field_manager, force, field_validation) == (MANAGER, False, "Warn")
        return self._world.apply(gvr, namespace, name, body)

    def get(self, gvr: GVR, namespace: str, name: str, _type: type[ForeignObject]) -> ForeignObject:
        return self._world.find(gvr, namespace, name)


def object_fates(fates: Sequence[Fate], template: str) -> list[Fate]:
    """How objects of this template live, from the fates of jobs: no queue holds them, and services do not end."""
    ends = {"server": {"ok": "ready"}, "map": {"fail": "ok", "hang": "ok"}}.get(template, {"ready": "ok"})
    return [replace(fate, held=0.0, ends=ends.get(fate.ends, fate.ends)) for fate in fates]
