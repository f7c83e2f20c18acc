"""A bench with objects that tasks apply or delete: the real `Objects` between a store per kind and the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from pkg.apis.flow.v1alpha1.types import Action, Workflow
from pkg.apis.meta import GVR, ForeignObject, ObjectMeta
from pkg.controllers.engine.deltas import Added, Deleted, Modified
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.objects import Attempted, Keeps, Objects, OnDeltas
from pkg.controllers.workflow.planner.actions import CreateJob, DeleteJob
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.needed_objects import needed_objects
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.kinds.kind import Kind
from pkg.workloads import rules_for
from tests.builders import KINDS, Bench

MAPS = GVR(version="v1", resource="configmaps")
SERVERS = GVR("apps", "v1", "deployments")
ALL_KINDS = {
    **KINDS,
    MAPS: Kind("ConfigMap", rules_for(MAPS), has_spec=False),
    SERVERS: Kind("Deployment", rules_for(SERVERS)),
}


class Informers:
    """Stores by kind; `tell` is what a watch would."""

    def __init__(self, keeps: Keeps, on_deltas: OnDeltas) -> None:
        self.stores: dict[GVR, Store[ForeignObject]] = {}
        self._keeps = keeps
        self._on_deltas = on_deltas

    def ensure(self, gvr: GVR) -> Store[ForeignObject]:
        return self.stores.setdefault(gvr, Store())

    def get(self, gvr: GVR) -> Store[ForeignObject] | None:
        return self.stores.get(gvr)

    def gvrs(self) -> tuple[GVR, ...]:
        return tuple(self.stores)

    def release(self, gvr: GVR) -> None:
        self.stores.pop(gvr, None)

    def trouble(self, _gvr: GVR) -> str:
        return ""

    def stop(self) -> None:
        """Nothing runs."""

    def tell(self, gvr: GVR, event: Added[ForeignObject] | Modified[ForeignObject] | Deleted[ForeignObject]) -> None:
        if gvr in self.stores and self._keeps(gvr, event.obj.metadata.key):
            delta = self.stores[gvr].apply(event)
            if delta is not None:
                self._on_deltas(gvr, [delta])


class ObjectBench(Bench):
    """`objects`: what is in the cluster, by kind and name. `calls`: applies, looks and deletions, in order."""

    def __init__(self, workflow: Workflow, **fields: Any) -> None:
        self.objects: dict[tuple[GVR, str], ForeignObject] = {}
        self.calls: list[str] = []
        self._version = 1_000
        super().__init__(workflow, settle=False, **fields)
        self.kinds = dict(ALL_KINDS)
        self._follow()

    def _follow(self) -> None:
        """A controller that knows no object yet."""
        self.informers: Informers

        def make(keeps: Keeps, on_deltas: OnDeltas) -> InformerSet[ForeignObject]:
            self.informers = Informers(keeps, on_deltas)
            return cast("InformerSet[ForeignObject]", self.informers)

        self.follows = Objects(make, self._get, self.ledger, lambda _key: None, lambda: self.now)

    def _get(self, gvr: GVR, _namespace: str, name: str) -> ForeignObject | None:
        self.calls.append(f"get {name}")
        return self.objects.get((gvr, name))

    def observe(self, **changes: Any) -> Snapshot:
        self._compile()
        this = WorkflowId.of(self.workflow)
        if self.progress is None and isinstance(self._graph, Graph):
            for one in needed_objects(self.workflow, self._graph):
                self.follows.adopt(
                    this, one.flow, one.record, one.indexes, is_indexed=one.is_indexed, needs_watch=one.needs_watch
                )
        return super().observe(unseen=self.follows.unseen(this), **changes)

    def read(self) -> None:
        """The threads read what was adopted."""
        while self.follows._queue:
            self.follows._read(self.follows._queue.popleft())

    def crash(self) -> None:
        super().crash()
        self._follow()

    def _create(self, creation: CreateJob) -> None:
        foreign = creation.foreign
        if foreign is None:
            super()._create(creation)
            return
        if fault := self.refuse(creation):
            self.faults[creation.task] = fault
            return
        self.faults.pop(creation.task, None)
        this, gvr, name = WorkflowId.of(self.workflow), creation.gvr, creation.name
        attempted = Attempted(creation.attempt, foreign.action, foreign.is_indexed)
        self.follows.expect(this, gvr, name, creation.task, attempted, needs_watch=foreign.needs_watch)
        if foreign.action is Action.APPLY:
            self.calls.append(f"apply {name}")
            self.make(gvr, name)
            self.follows.took(this, gvr, creation.task, self.objects[gvr, name])
            return
        self.calls.append(f"find {name}")
        found = self.objects.get((gvr, name))
        if found is None:
            self.follows.absent(this, gvr, name, creation.task)
        else:
            self.follows.took(this, gvr, creation.task, found)

    def _delete(self, deletion: DeleteJob) -> None:
        found = self.objects.get((deletion.gvr, deletion.name))
        if found is None or found.metadata.uid != deletion.uid:
            super()._delete(deletion)
            return
        self.calls.append(f"delete {deletion.name}")
        if self.lingers:
            stamp = datetime.fromtimestamp(int(self.now), UTC)
            self.change(deletion.gvr, deletion.name, deletion_timestamp=stamp, finalizers=("x/hold",))
        else:
            self.drop(deletion.gvr, deletion.name)

    # What the cluster says

    def make(self, gvr: GVR, name: str) -> None:
        """The object is there: the same one if it was."""
        self._version += 1
        old = self.objects.get((gvr, name))
        uid = old.metadata.uid if old is not None else f"o-{self._version}"
        meta = ObjectMeta(name=name, namespace="team", uid=uid, resource_version=str(self._version), generation=1)
        self._put_object(gvr, ForeignObject(metadata=meta, status=old.status if old is not None else {}))

    def change(self, gvr: GVR, name: str, **metadata: Any) -> None:
        found = self.objects[gvr, name]
        meta = msgspec.structs.replace(found.metadata, **metadata)
        self._put_object(gvr, msgspec.structs.replace(found, metadata=meta))

    def state(self, gvr: GVR, name: str, status: dict[str, Any]) -> None:
        self._put_object(gvr, msgspec.structs.replace(self.objects[gvr, name], status=status))

    def drop(self, gvr: GVR, name: str) -> None:
        self._version += 1
        gone = self.objects.pop((gvr, name))
        meta = msgspec.structs.replace(gone.metadata, resource_version=str(self._version))
        self.informers.tell(gvr, Deleted(msgspec.structs.replace(gone, metadata=meta)))

    def _put_object(self, gvr: GVR, found: ForeignObject) -> None:
        self._version += 1
        meta = msgspec.structs.replace(found.metadata, resource_version=str(self._version))
        found = msgspec.structs.replace(found, metadata=meta)
        is_new = (gvr, meta.name) not in self.objects
        self.objects[gvr, meta.name] = found
        self.informers.tell(gvr, Added(found) if is_new else Modified(found))
