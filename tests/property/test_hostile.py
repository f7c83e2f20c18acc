"""Forged jobs with our labels, owner references, attempts and UIDs: in another namespace under any name, in the
workflow's own under names that the controller never gives. The workflow runs as if nothing had happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1.types import API_VERSION
from pkg.apis.meta import Job, ObjectMeta, OwnerReference
from pkg.controllers.engine.store import Added, Deleted, Modified
from tests.property.controller import Controller
from tests.property.world import JOBS, KEY, NAME, NAMESPACE, UID, Fate, World
from tests.unit.controllers.workflow.test_reconciler import controller_of, world_of

OURS = ("w-a", "w-a-r1", "w-a-r7", "w-b", "w-b-0", "w-b-1-r1", "w-c")


@dataclass(frozen=True)
class Forged:
    """One object, and what is done with it: 0 created, 1 changed, 2 deleted."""

    namespace: str
    name: str
    labels: dict[str, str]
    owner: OwnerReference
    status: dict[str, Any]
    deed: int


@st.composite
def forged(draw: st.DrawFn) -> Forged:
    namespace = draw(st.sampled_from(("evil", NAMESPACE)))
    uid = draw(st.sampled_from((UID, "another")))
    tags = {
        "workflow": draw(st.sampled_from((NAME, "x"))),
        "workflow-uid": uid,
        "flow": draw(st.sampled_from(("a", "b", "c", "x"))),
        "attempt": draw(st.sampled_from(("0", "1", "7", "999999999", "-1", "x"))),
    }
    if draw(st.booleans()):
        tags["index"] = draw(st.sampled_from(("0", "1", "99")))
    ended = draw(st.sampled_from(("Complete", "Failed", "")))
    return Forged(
        namespace,
        draw(st.sampled_from(OURS if namespace == "evil" else ("mine", "w-a-999", "w-a-deadbeef"))),
        {f"flow.workflow.sh/{key}": value for key, value in tags.items()},
        OwnerReference(API_VERSION, "Workflow", tags["workflow"], uid, controller=draw(st.booleans())),
        {"conditions": [{"type": ended, "status": "True"}]} if ended else {},
        draw(st.integers(0, 2)),
    )


@dataclass
class _Recorder:
    """The world's API server; deletions in another namespace are only written down."""

    world: World
    deleted: list[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)

    def delete(self, gvr: Any, namespace: str, name: str, **how: Any) -> None:
        if namespace == NAMESPACE:
            self.world.delete(gvr, namespace, name, **how)
        else:
            self.deleted.append(f"{namespace}/{name}")


@dataclass
class Run:
    """One life of the workflow team/w; `deeds` are done between its reconciles."""

    deeds: list[Forged]
    world: World = field(init=False)
    controller: Controller = field(init=False)
    deleted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = world_of(
            a={"retry": {"maxRetries": 2, "interval": "1s"}},
            b={"for": {"replicas": 2}, "retry": {"maxRetries": 1, "interval": "1s"}},
            c="a",
        )
        self.world.fate_of = lambda flow, index, attempt: Fate(
            ends="fail" if attempt == 0 and index == 0 and flow != "c" else "ok"
        )
        self.controller = controller_of(self.world)
        executor: Any = self.controller.reconciler._executor
        executor._client = _Recorder(self.world, self.deleted)

    def live(self) -> list[Any]:
        """Everything that happened in the workflow's namespace."""
        for step in range(40):
            self._forge(self.deeds[step : step + 1])
            for _ in range(20):
                self.controller.deliver_all()
                if not self.controller.is_due():
                    break
                self.controller.reconcile()
            due = self.controller.next_due()
            if due is not None:
                self.world.advance(max(due, self.world.now))
        flows = [msgspec.structs.replace(flow, message="") for flow in self.world.workflow.status.flows]
        lives = [(life.name, life.created, life.ended, life.deleted, life.deleted_by) for life in self.world.lives]
        return [self.world.workflow.status.phase, flows, lives]

    def _forge(self, deeds: list[Forged]) -> None:
        for deed in deeds:
            meta = ObjectMeta(
                name=deed.name,
                namespace=deed.namespace,
                uid=f"forged-{deed.namespace}-{deed.name}",  # the API server gives it
                resource_version=str(self.world.version),
                labels=deed.labels,
                owner_references=(deed.owner,),
            )
            job = Job(meta, status=deed.status, kind="Job")
            event = (Added, Modified, Deleted)[deed.deed](job)
            store = self.controller.informers.ensure(JOBS)
            delta = store.apply(event)
            woken = self.controller.ledger.apply(JOBS, [delta] if delta is not None else [])
            assert KEY not in woken
            for key in woken:
                assert self.controller.reconciler.reconcile(key) is not None


UNDISTURBED = Run([]).live()


@settings(max_examples=150)
@given(st.lists(forged(), min_size=1, max_size=40))
def test_forged_jobs_change_nothing_of_a_workflow(deeds: list[Forged]) -> None:
    run = Run(deeds)
    assert run.live() == UNDISTURBED
    assert all(name.startswith("evil/") for name in run.deleted)
    assert UNDISTURBED[0] == "Succeeded"
