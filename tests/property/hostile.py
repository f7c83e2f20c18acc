"""Forged jobs in the simulated world: by labels, owner, name and attempt they claim to belong to the workflow.

In another namespace they may have any name, also that of a job of the workflow. In the workflow's own namespace they
have our labels and our owner reference, but a name that the controller would not give.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import API_VERSION
from pkg.apis.meta import GVR, Job, ObjectMeta, OwnerReference
from pkg.controllers.engine.deltas import Added, Deleted, Modified
from tests.property.scenarios import Scenario, Tape, story_of
from tests.property.simulation import Simulation
from tests.property.world import JOBS, KEY, NAME, NAMESPACE, UID, WIDGETS

ELSEWHERE: Final = "evil"
"""Sorts before the namespace of the workflow, so that a list has its jobs first."""
malice = st.binary(max_size=300)


class HostileSimulation(Simulation):
    """A simulation in which forged jobs are created, changed and deleted.

    data: bytes that choose them; inside: in the namespace of the workflow, not in another one.
    """

    def __init__(self, scenario: Scenario, data: bytes, *, inside: bool, calm: bool = False) -> None:
        self.forge = Tape(data)
        self.inside = inside
        self.count = 0
        super().__init__(
            story_of(scenario, calm=calm, with_people=True, with_objects=True), scenario.schedule, calm=calm
        )

    def _act(self, choice: int) -> None:
        while not self.forge.is_over and not self.forge.one_in(3):
            self._forge_one()
        super()._act(choice)

    def _forge_one(self) -> None:
        there = sorted(self.world.strangers, key=str)
        how = self.forge.below(4)
        if how < 2 or not there:
            gvr = self.forge.pick(JOBS, JOBS, WIDGETS)
            job = self._job()
            if (gvr, job.metadata.key) not in self.world.strangers:
                self.world.strangers[gvr, job.metadata.key] = job
                self._see(gvr, Added(job))
            return
        gvr, key = there[self.forge.below(len(there))]
        old = self.world.strangers[gvr, key]
        if how == 2:
            made = self._job()
            meta = msgspec.structs.replace(
                made.metadata, name=old.metadata.name, namespace=old.metadata.namespace, uid=old.metadata.uid
            )
            job = msgspec.structs.replace(made, metadata=meta)
            self.world.strangers[gvr, key] = job
            self._see(gvr, Modified(job))
        else:
            del self.world.strangers[gvr, key]
            meta = msgspec.structs.replace(old.metadata, resource_version=self.world.next_version())
            self._see(gvr, Deleted(msgspec.structs.replace(old, metadata=meta)))

    def _job(self) -> Job:
        """A job that claims something; each claim may be true, nearly true, or another's."""
        forge = self.forge
        self.count += 1
        flows = [flow.name for flow in self.story.spec.flows]
        flow = forge.pick(*flows, "unknown")
        index, attempt = forge.pick(None, "0", "1", "2", "9"), forge.pick("0", "1", "2", "99", "999999999", "-1", "x")
        tags = {
            labels.WORKFLOW: forge.pick(NAME, NAME, "other"),
            labels.WORKFLOW_UID: forge.pick(UID, UID, "other"),
            labels.FLOW: flow,
            labels.ATTEMPT: attempt,
        }
        if index is not None:
            tags[labels.INDEX] = index
        owner = OwnerReference(
            forge.pick(API_VERSION, API_VERSION, "flow.workflow.sh/v9", "batch/v1"),
            forge.pick("Workflow", "Workflow", "Job"),
            forge.pick(NAME, NAME, "other"),
            forge.pick(UID, UID, UID, "other"),
            controller=not forge.one_in(4),
        )
        ours = f"{NAME}-{flow}" + ("" if index is None else f"-{index}") + ("" if attempt == "0" else f"-r{attempt}")
        near = f"{NAME}-{flow}-{forge.pick('999', 'deadbeef', 'r')}{self.count}"
        name = forge.pick(near, f"forged-{self.count}", *(() if self.inside else (ours, ours)))
        meta = ObjectMeta(
            name=name,
            namespace=NAMESPACE if self.inside else ELSEWHERE,
            uid=f"forged-{self.count}",
            resource_version=self.world.next_version(),
            labels=tags,
            owner_references=() if forge.one_in(6) else (owner,),
        )
        return Job(meta, api_version="batch/v1", kind="Job", status=forge.pick(*_STATUSES))

    def _see(self, gvr: GVR, event: Any) -> None:
        """The controller's watch shows it at once, if it watches that kind."""
        controller = self.controller
        if not controller.informers.is_synced(gvr):
            return
        delta = controller.informers.ensure(gvr).apply(event)
        if delta is None:
            return
        assert KEY not in controller.ledger.apply(gvr, [delta]), f"a forged job wakes {KEY}: {event}"


_STATUSES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"active": 1, "ready": 1, "phase": "Running"},
    {"conditions": [{"type": "Complete", "status": "True"}], "phase": "Succeeded"},
    {"conditions": [{"type": "Failed", "status": "True"}], "phase": "Failed"},
    {"conditions": [{"type": "Suspended", "status": "True"}]},
)


def simulate_hostile(scenario: Scenario, data: bytes, *, inside: bool, calm: bool = False) -> HostileSimulation:
    """Runs it; raises AssertionError for whatever the contract forbids."""
    simulation = HostileSimulation(scenario, data, inside=inside, calm=calm)
    simulation.run()
    simulation.judge_history()
    return simulation
