"""The objects that flows have applied or deleted, as status records them."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import (
    Action,
    Flow,
    FlowStatus,
    ObjectOfTask,
    ObjectRecord,
    Record,
    Workflow,
    WorkflowSpec,
    WorkflowStatus,
)
from pkg.apis.meta import GVR, ObjectMeta
from pkg.views.applied import ObjectOf, objects_of

DEPLOYMENTS = GVR("apps", "v1", "deployments")
FLOWS = ("settings", "web")
WORKFLOW = Workflow(
    metadata=ObjectMeta(name="w", namespace="a"),
    spec=WorkflowSpec(flows=tuple(Flow(name) for name in FLOWS)),
    status=WorkflowStatus(
        flows=tuple(FlowStatus(name, Phase.SUCCEEDED) for name in FLOWS),
        record=Record(
            objects=(
                ObjectRecord(0, "configmaps.v1", Action.DELETE, (ObjectOfTask("old"),)),
                ObjectRecord(
                    1, str(DEPLOYMENTS), Action.APPLY, (ObjectOfTask("web-0", "u0"), ObjectOfTask("web-1", "u1", 1, 2))
                ),
            )
        ),
    ),
)


def test_each_object_has_its_flow_index_and_attempt() -> None:
    assert objects_of(WORKFLOW) == (
        ObjectOf("settings", 0, 0, GVR("", "v1", "configmaps"), "old", "", Action.DELETE),
        ObjectOf("web", 0, 0, DEPLOYMENTS, "web-0", "u0", Action.APPLY),
        ObjectOf("web", 1, 2, DEPLOYMENTS, "web-1", "u1", Action.APPLY),
    )
    assert [one.title for one in objects_of(WORKFLOW, "web")] == ["deployments.apps/web-0", "deployments.apps/web-1"]
    assert objects_of(WORKFLOW, "other") == ()
