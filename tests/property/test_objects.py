"""Objects that tasks apply or delete, while controllers die, writes get lost and somebody else changes the objects.

Whatever happens, nothing is deleted but the object that status records for a task of action Delete, no applied object
is deleted, and the workflow ends once its objects let it.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Action
from pkg.controllers.workflow.planner.actions import DeleteJob
from tests.builders import wf
from tests.object_bench import MAPS, SERVERS, ObjectBench

pytestmark = pytest.mark.timeout(600)
UP = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
DOWN = {
    "observedGeneration": 1,
    "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
}
RETRY = {"maxRetries": 2, "interval": "10s"}


def acts(action: str, name: str, gvr: Any, *targets: str) -> dict[str, Any]:
    kind = {"group": gvr.group, "version": gvr.version, "resource": gvr.resource}
    template = {"gvr": kind, "action": action, "metadata": {"name": name}}
    return {"template": "", "templateSpec": template, "retry": RETRY, "dependsOn": {"targets": list(targets)}}


class Watched(ObjectBench):
    """Judges every deletion at the moment of its call."""

    def _delete(self, deletion: DeleteJob) -> None:
        records = [(record.action, one) for record in self.record.objects for one in record.objects]
        recorded = [action for action, one in records if one.uid == deletion.uid]
        assert recorded == [Action.DELETE], f"{deletion.name} is deleted, and status has {records}"
        found = self.objects.get((deletion.gvr, deletion.name))
        if found is not None and found.metadata.uid == deletion.uid:
            super()._delete(deletion)


def happen(bench: Watched, event: str) -> None:
    """One event; those about an object that is not there do nothing."""
    has_server, has_map = (SERVERS, "web") in bench.objects, (MAPS, "old") in bench.objects
    match event:
        case "step":
            bench.step()
        case "crash":
            bench.crash()
        case "read":
            bench.read()
        case "writes get lost":
            bench.loses_writes = True
        case "writes work":
            bench.loses_writes = False
        case "10 seconds":
            bench.now += 10
        case "linger":
            bench.lingers = not bench.lingers
        case "up" | "down" if has_server:
            bench.state(SERVERS, "web", UP if event == "up" else DOWN)
        case "drop web" if has_server:
            bench.drop(SERVERS, "web")
        case "drop old" if has_map:
            bench.drop(MAPS, "old")
        case "make old" if not has_map:
            bench.make(MAPS, "old")


EVENTS = (
    "step",
    "crash",
    "read",
    "writes get lost",
    "writes work",
    "10 seconds",
    "linger",
    "up",
    "down",
    "drop web",
    "drop old",
    "make old",
)


@settings(max_examples=60, deadline=None)
@given(events=st.lists(st.sampled_from(EVENTS), max_size=40), terminate=st.booleans())
def test_only_what_status_records_for_a_deletion_is_deleted_and_the_workflow_ends(
    events: list[str], terminate: bool
) -> None:
    flows = {
        "a": acts("Apply", "web", SERVERS),
        "b": acts("Delete", "old", MAPS),
        "c": acts("Apply", "late-{{flow.name}}", MAPS, "a", "b"),
    }
    bench = Watched(wf({"jobRetainPolicy": "delete"}, **flows))
    bench.make(MAPS, "old")
    for event in events:
        happen(bench, event)
    bench.loses_writes, bench.lingers = False, False
    if terminate and not WorkflowPhase(bench.phase if bench.status.phase else "Pending").is_final:
        bench.edit_spec(shutdown="Terminate")
    for _ in range(12):
        bench.read()
        bench.settle()
        for event in ("up", "drop old" if bench.objects.get((MAPS, "old")) is not None else "step", "10 seconds"):
            is_lingering = (MAPS, "old") in bench.objects and bench.objects[MAPS, "old"].metadata.is_deleting
            if event != "drop old" or is_lingering:
                happen(bench, event)
    assert bench.phase in ("Succeeded", "Failed")
    assert [call for call in bench.calls if call.startswith("delete") and call != "delete old"] == []
    if bench.phase == "Succeeded":
        assert (MAPS, "late-c") in bench.objects
