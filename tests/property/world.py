"""A cluster in memory: objects with versions, a log for watches, jobs with a planned fate, and a virtual clock.

Everything is deterministic and single-threaded. The simulation decides which events the controller gets, and when. The
world has the true state and its whole history, by which the invariants are judged.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow, WorkflowSpec, WorkflowStatus
from pkg.apis.meta import GVR, ForeignObject, Job, ObjectMeta
from pkg.controllers.engine.deltas import Added, Deleted, Modified
from pkg.controllers.workflow.planner.actions import Plan
from pkg.controllers.workflow.planner.plan import plan as real_plan
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.kube.errors import Conflict, Denied, Exists, KubeError, NotFound, NotServed, Refused, Throttled, Transient
from tests.property.objects import MAPS, SERVERS, Things

JOBS: Final = GVR("batch", "v1", "jobs")
WIDGETS: Final = GVR("example.com", "v1", "widgets")
NAMESPACE: Final = "team"
NAME: Final = "w"
KEY: Final = f"{NAMESPACE}/{NAME}"
UID: Final = "6a3ef3c2-0000-4000-8000-000000000001"
EPOCH: Final = 1_800_000_000.0
T = TypeVar("T")


class Died(BaseException):
    """The controller was killed in the middle of a call."""


@dataclass(frozen=True, slots=True)
class Fate:
    """How one attempt's job lives: seconds until it runs and until it ends, how it ends (ok, fail, vanish, hang), how
    long a queue holds it, and how long it lingers with a deletionTimestamp when deleted. One that hangs ends after a
    day. refused: by the API server, "for good" or "at first"; taken: its name belongs to a stranger; gives: its status
    has the output x when it succeeds. A second later it has another value, which nobody may read any more.
    """

    pends: float = 1.0
    runs: float = 5.0
    ends: str = "ok"
    held: float = 0.0
    lingers: float = 0.0
    refused: str = ""
    taken: bool = False
    gives: bool = True


@dataclass(slots=True)
class Life:
    """The history of one job object, for the invariants."""

    gvr: GVR
    name: str
    uid: str
    flow: str
    index: int
    attempt: int
    created: float
    #: Whether its flow had `for` in the spec that it was made from.
    indexed: bool
    ran: float | None = None
    ended: str = ""
    deleted: float | None = None
    deleted_by: str = ""
    gone: bool = False
    version: int = 0
    recorded: int | None = None


@dataclass(slots=True)
class Trap:
    """The n-th call from now on kills the caller or fails, before or after it had its effect."""

    countdown: int
    kind: str
    after: bool


@dataclass(slots=True)
class World:
    fate_of: Callable[[str, int, int], Fate]
    now: float = EPOCH
    version: int = 100
    objects: dict[tuple[GVR, str], Any] = field(default_factory=dict)
    log: dict[GVR, list[Any]] = field(default_factory=dict)
    strangers: dict[tuple[GVR, str], Job] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)
    on_status: Callable[[WorkflowStatus], None] = lambda _status: None
    note: Callable[[str], None] = lambda _text: None
    #: The list that the job of an attempt hands out when it succeeds, and the one that it says later.
    list_of: Callable[[str, int, int], tuple[str, str]] = lambda *_: ("", "")
    calls: int = 0
    #: The planner of every controller.
    plan: Callable[[Snapshot], Plan] = real_plan
    #: Keys of other workflows that count as load.
    backlog: int = 0
    warnings: tuple[str, ...] = ()
    #: Called with the UID of the workflow for which a job is made, or an object applied or looked for.
    may_create: Callable[[str], None] = lambda _uid: None
    #: The objects that tasks apply or delete.
    things: Things = field(init=False)
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _serial: int = 0
    _refusals: set[tuple[str, int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.things = Things(self)

    # The true state

    @property
    def workflow(self) -> Workflow:
        found: Workflow = self.objects[WORKFLOWS, NAME]
        return found

    def add(self, gvr: GVR, obj: Any) -> Any:
        meta = msgspec.structs.replace(
            obj.metadata,
            namespace=NAMESPACE,
            resource_version=self.next_version(),
            creation_timestamp=datetime.fromtimestamp(int(self.now), UTC),
        )
        obj = msgspec.structs.replace(obj, metadata=meta)
        self.objects[gvr, meta.name] = obj
        self.log.setdefault(gvr, []).append(Added(obj))
        return obj

    def update(self, gvr: GVR, name: str, *, generation: bool = False, **changes: Any) -> Any:
        old = self.objects[gvr, name]
        meta = msgspec.structs.replace(
            changes.pop("metadata", old.metadata),
            resource_version=self.next_version(),
            generation=old.metadata.generation + generation,
        )
        obj = msgspec.structs.replace(old, metadata=meta, **changes)
        self.objects[gvr, name] = obj
        self.log[gvr].append(Modified(obj))
        return obj

    def set_spec(self, **changes: Any) -> None:
        spec: WorkflowSpec = msgspec.structs.replace(self.workflow.spec, **changes)
        self.update(WORKFLOWS, NAME, generation=True, spec=spec)

    def next_version(self) -> str:
        self.version += 1
        return str(self.version)

    # Time

    def at(self, when: float, act: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._due, (when, self._serial, act))

    @property
    def next_due(self) -> float | None:
        return self._due[0][0] if self._due else None

    def advance(self, until: float) -> None:
        """Moves the clock, and does everything that is due until then."""
        while self._due and self._due[0][0] <= until:
            when, _, act = heapq.heappop(self._due)
            self.now = max(self.now, when)
            act()
        self.now = max(self.now, until)

    # Jobs

    def jobs(self) -> list[Life]:
        """Those that exist now, whether or not they are being deleted."""
        return [life for life in self.lives if not life.gone]

    def is_running(self, flow: str, index: int, attempt: int) -> float | None:
        """Since when that attempt's job, or the object that it applied, has run; None if it does not run now."""
        for life in self.lives:
            is_asked = (life.flow, life.index, life.attempt) == (flow, index, attempt)
            if is_asked and not life.gone and life.deleted is None and life.ended in ("", "ready"):
                return life.ran
        return self.things.is_running(flow, index, attempt)

    def _begin(self, life: Life, fate: Fate) -> None:
        def show(sim: str, status: dict[str, Any]) -> Callable[[], None]:
            def act() -> None:
                if life.gone or life.deleted is not None:
                    return
                if sim in ("Running", "Ready") and life.ran is None:
                    life.ran = self.now
                if sim in ("Succeeded", "Failed", "Ready"):
                    life.ended = {"Succeeded": "ok", "Failed": "fail", "Ready": "ready"}[sim]
                self.note(f"job {life.name} is {sim}")
                gives = {"x": f"{life.uid} first"} if sim in ("Succeeded", "Ready") and fate.gives else {}
                self.update(life.gvr, life.name, status={"sim": sim, **status, **gives})
                if gives:
                    later = {"sim": sim, **status, "x": f"{life.uid} later"}
                    self.at(self.now + 1.0, lambda: self._say_again(life, later))

            return act

        is_widget = life.gvr == WIDGETS
        running: dict[str, Any] = {"phase": "Running"} if is_widget else {"active": 1, "ready": 1}
        begin = life.created
        if fate.held and not is_widget:
            held = {"conditions": [{"type": "Suspended", "status": "True"}]}
            self.at(begin + 0.1, show("Suspended", held))
            begin += fate.held
        if fate.runs > 0:
            self.at(begin + fate.pends, show("Running", running))
        end = begin + fate.pends + max(fate.runs, 0.0)
        ok: dict[str, Any] = {"phase": "Succeeded"} if is_widget else _condition("Complete")
        bad: dict[str, Any] = {"phase": "Failed"} if is_widget else _condition("Failed")
        if fate.ends == "ready":
            self.at(end, show("Ready", {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}))
        elif fate.ends == "vanish":
            self.at(end, lambda: self.delete_job(life, "somebody"))
        elif fate.ends == "hang":
            self.at(begin + 86_400, show("Failed", bad))
        else:
            first, later = self.list_of(life.flow, life.index, life.attempt)
            ok |= {"list": first} if first else {}
            self.at(end, show("Succeeded", ok) if fate.ends == "ok" else show("Failed", bad))
            if later and fate.ends == "ok":
                self.at(end + 1.5, show("Succeeded", {**ok, "list": later}))

    def _say_again(self, life: Life, status: dict[str, Any]) -> None:
        if not life.gone and life.deleted is None:
            self.update(life.gvr, life.name, status=status)

    def delete_job(self, life: Life, by: str) -> None:
        """Deletes a job now, or after it existed for a while with a deletionTimestamp."""
        if life.gone or life.deleted is not None:
            return
        life.deleted, life.deleted_by = self.now, by
        self.note(f"job {life.name} deleted by {by}")
        lingers = self.fate_of(life.flow, life.index, life.attempt).lingers
        if lingers <= 0:
            self._remove(life)
            return
        old = self.objects[life.gvr, life.name]
        stamp = datetime.fromtimestamp(int(self.now), UTC)
        self.update(life.gvr, life.name, metadata=msgspec.structs.replace(old.metadata, deletion_timestamp=stamp))
        self.at(self.now + lingers, lambda: self._remove(life))

    def _remove(self, life: Life) -> None:
        if life.gone:
            return
        life.gone = True
        self.note(f"job {life.name} is gone")
        obj = self.objects.pop((life.gvr, life.name))
        meta = msgspec.structs.replace(obj.metadata, resource_version=self.next_version())
        self.log[life.gvr].append(Deleted(msgspec.structs.replace(obj, metadata=meta)))

    # The API as the controller's client sees it

    def call(self, act: Callable[[], T]) -> T:
        self.calls += 1
        for trap in self.traps:
            trap.countdown -= 1
        sprung = next((trap for trap in self.traps if trap.countdown <= 0), None)
        if sprung is None:
            return act()
        self.traps.remove(sprung)
        self.note(f"trap: {sprung}")
        if sprung.after:
            act()
        if sprung.kind == "die":
            raise Died
        raise _ERRORS[sprung.kind]

    def create(
        self,
        gvr: GVR,
        namespace: str,
        body: bytes,
        _type: type[Job],
        *,
        field_validation: str,
        on_warnings: Callable[[tuple[str, ...]], None],
    ) -> Job:
        assert field_validation == "Warn"
        if self.warnings:
            on_warnings(self.warnings)
        return self.call(lambda: self._create(gvr, namespace, body))

    def _create(self, gvr: GVR, namespace: str, body: bytes) -> Job:
        raw = msgspec.json.decode(body)
        raw.pop("spec", None)
        job = msgspec.convert(raw, Job)
        assert namespace == job.metadata.namespace == NAMESPACE
        name, tags = job.metadata.name, job.metadata.labels
        flow, index, attempt = tags[labels.FLOW], int(tags.get(labels.INDEX, "0")), int(tags[labels.ATTEMPT])
        self.judge_outputs(job)
        fate = self.fate_of(flow, index, attempt)
        if fate.refused == "for good":
            raise Refused("spec.x: Invalid value", status=422)
        if fate.refused == "at first" and (flow, index, attempt) not in self._refusals:
            self._refusals.add((flow, index, attempt))
            raise Denied("admission webhook says no", status=422)
        if fate.taken and name == f"{NAME}-{flow}" and (gvr, name) not in self.objects:
            self.add(gvr, Job(ObjectMeta(name=name, uid=f"stranger-{name}"), api_version="v1", kind="Job"))
            self.log[gvr].pop()  # foreign objects have no label of ours, so our watches do not show them
        if (gvr, name) in self.objects:
            raise Exists(f"{name} already exists", status=409)
        uid = f"job-{len(self.lives)}"
        meta = msgspec.structs.replace(job.metadata, uid=uid)
        made: Job = self.add(gvr, msgspec.structs.replace(job, metadata=meta))
        life = Life(gvr, name, uid, flow, index, attempt, self.now, indexed=labels.INDEX in tags, version=self.version)
        self.note(f"job {name} made")
        self.lives.append(life)
        self._begin(life, fate)
        return made

    def judge_outputs(self, job: Job) -> None:
        """What a job was made from is what status records at this moment."""
        for key, text in job.metadata.annotations.items():
            if not key.startswith("out."):
                continue
            _, name, pick = key.split(".")
            flow = next(flow for flow in self.workflow.status.flows if flow.name == name)
            output = next((one for one in flow.outputs if one.name == "x"), None)
            assert output is not None, f"{job.metadata.name} uses an output of {name} that status does not record"
            indexes = unpack_indexes(output.indexes or flow.succeeded)
            values: dict[int, str | None] = dict(zip(indexes, output.values, strict=True)) or {0: output.value}
            if pick == "all" and output.values:
                size = 1 + max(
                    unpack_indexes(",".join(filter(None, (flow.succeeded, flow.failed, flow.skipped, flow.cancelled))))
                )
                assert msgspec.json.decode(text) == [values.get(at) for at in range(size)], f"{key} is {text}"
            else:
                assert text == values.get(0 if pick == "all" else int(pick)), f"{key} is {text}, status has {values}"

    def get(self, gvr: GVR, namespace: str, name: str, _type: type[T]) -> T:
        assert namespace == NAMESPACE

        def act() -> T:
            if (gvr, name) not in self.objects:
                raise NotFound(f"{name} not found", status=404)
            found: T = self.objects[gvr, name]
            return found

        return self.call(act)

    def apply(self, gvr: GVR, namespace: str, name: str, body: bytes) -> ForeignObject:
        assert namespace == NAMESPACE
        return self.call(lambda: self._apply(gvr, name, body))

    def _apply(self, gvr: GVR, name: str, body: bytes) -> ForeignObject:
        return self.things.apply(gvr, name, body)

    def find(self, gvr: GVR, namespace: str, name: str) -> ForeignObject:
        """The look of an attempt for the object that it deletes."""
        assert namespace == NAMESPACE

        def act() -> None:
            self.things.find(gvr, name)

        self.call(act)
        if (gvr, name) not in self.objects:
            raise NotFound(f"{name} not found", status=404)
        found: ForeignObject = self.objects[gvr, name]
        return found

    def read(self, gvr: GVR, namespace: str, name: str) -> ForeignObject | None:
        """Reads an object after the start of a controller. Whoever dies of it dies a moment later."""
        try:
            return self.get(gvr, namespace, name, ForeignObject)
        except NotFound:
            return None
        except Died:
            raise Transient("connection reset") from None

    def patch(self, gvr: GVR, namespace: str, name: str, body: bytes, **_how: Any) -> Workflow:
        assert (gvr, namespace, name) == (WORKFLOWS, NAMESPACE, NAME)
        return self.call(lambda: self._patch(msgspec.json.decode(body)))

    def _patch(self, operations: list[dict[str, Any]]) -> Workflow:
        guard, *rest = operations
        assert guard["path"] == "/metadata/resourceVersion", (
            "every status write carries the version it was computed from"
        )
        if guard["value"] != self.workflow.metadata.resource_version:
            raise Conflict("the object has been modified", status=409)
        raw = {"status": msgspec.json.decode(msgspec.json.encode(self.workflow.status))}
        for operation in rest:
            apply_operation(raw, operation)
        status = msgspec.convert(msgspec.json.decode(msgspec.json.encode(raw["status"])), WorkflowStatus)
        self.update(WORKFLOWS, NAME, status=status)
        self.on_status(status)
        return self.workflow

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
        assert namespace == NAMESPACE
        assert gvr != WORKFLOWS, f"no scenario has a ttl, yet the workflow is deleted ({propagation})"
        if gvr in (SERVERS, MAPS):
            self.call(lambda: self.things.delete_by_uid(gvr, name, uid))
            return

        def act() -> None:
            found = next((life for life in self.jobs() if (life.gvr, life.name) == (gvr, name)), None)
            if found is None:
                raise NotFound(f"{name} not found", status=404)
            if found.uid != uid:
                raise Conflict("the uid in the precondition is another", status=409)
            if resource_version not in (None, self.objects[gvr, name].metadata.resource_version):
                raise Conflict("the resourceVersion in the precondition is another", status=409)
            self.delete_job(found, "controller")

        self.call(act)


_ERRORS: Mapping[str, KubeError] = {
    "transient": Transient("connection reset"),
    "throttled": Throttled("too many requests", status=429),
    "unserved": NotServed("the server could not find the requested resource", status=404),
}


def _condition(kind: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "True"}]}


def apply_operation(raw: dict[str, Any], operation: dict[str, Any]) -> None:
    """The three JSON Patch operations that status writes use, on maps and on lists by index."""
    *way, last = operation["path"].split("/")[1:]
    place: Any = raw
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    match operation["op"], place:
        case "remove", dict():
            del place[last]
        case "remove", list():
            del place[int(last)]
        case "replace", list():
            place[int(last)] = operation["value"]
        case "add", list():
            place.insert(int(last), operation["value"])
        case "add", dict():
            place[last] = operation["value"]
        case _:
            raise AssertionError(f"an operation that no status write should need: {operation}")
