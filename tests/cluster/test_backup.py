"""A backup that is restored the way Velero does it: new UIDs, no owners, and a status only where it is asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.cluster.conftest import StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.audit import Audit
from tests.cluster.support.history import Object
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice

pytestmark = pytest.mark.cluster

#: What Velero takes off the metadata of everything.
_DROPPED = (
    "generateName",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "managedFields",
)
_UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
_COLLECTIONS = (
    "batch/v1/namespaces/{}/jobs",
    "flow.workflow.sh/v1alpha1/namespaces/{}/workflows",
    "flow.workflow.sh/v1alpha1/namespaces/{}/worktemplates",
)


def back_up(world: World) -> list[Object]:
    """All objects of the namespace that concern us, in the order in which Velero restores them."""
    found: list[Object] = []
    for collection in _COLLECTIONS:
        listed = world.api.get(f"/apis/{collection.format(world.namespace)}")
        kind = listed["kind"].removesuffix("List")
        found += [{"apiVersion": listed["apiVersion"], "kind": kind, **item} for item in listed["items"]]
    return found


def restore(world: World, backup: list[Object], *, status_of: tuple[str, ...] = ()) -> None:
    """Makes the objects again, in another namespace. status_of: the kinds whose status is restored, too."""
    for saved in backup:
        made = copy.deepcopy(saved)
        status = made.pop("status", {})
        if made["kind"] == "Job":
            if status.get("completionTime"):
                continue  # Velero leaves out Jobs that are complete
            for labels in (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]):
                for label in _UID_LABELS:
                    labels.pop(label, None)
            made["spec"].pop("selector", None)
        for name in _DROPPED:
            made["metadata"].pop(name, None)
        made["metadata"].setdefault("labels", {}).update({"velero.io/backup-name": "b", "velero.io/restore-name": "r"})
        created = world.create(made)
        if made["kind"] in status_of:
            path = f"{world.path(made, made['metadata']['name'])}/status"
            world.api.request("PUT", path, {**created, "status": status})


def saved_in_the_middle(world: World) -> list[Object]:
    """The backup of a workflow that has ended, and of one whose second job runs."""
    world.create_all([m.template("step", run_for="0.2s"), m.template("long", run_for="forever")])
    world.create(m.workflow("ended", *m.chain("a", "b")))
    world.create(m.workflow("running", m.flow("a"), m.flow("b", "a", of="long"), m.flow("c", "b")))
    world.wait_phase("ended")
    world.wait_flow("running", "b", "Running")
    return back_up(world)


def test_with_its_status_no_finished_task_runs_again_and_a_restart_goes_on(
    new_world: Callable[[], World], audit: Audit, start_controller: StartController
) -> None:
    before, after = new_world(), new_world()
    first = start_controller(namespace=before.namespace)
    backup = saved_in_the_middle(before)
    first.kill()
    start_controller(namespace=after.namespace)
    restore(after, backup, status_of=("Workflow",))

    assert after.wait_phase("running")["phase"] == "Failed"
    lost = after.flow("running", "b")
    assert (lost["phase"], lost["reason"]) == ("Failed", "JobDeleted"), "its job was that of another Workflow"
    assert after.phases("running") == {"a": "Succeeded", "b": "Failed", "c": "Skipped"}
    assert after.status("ended")["phase"] == "Succeeded"
    assert audit.creations(after.namespace) == []

    short = m.template("long", run_for="0.2s")
    after.patch(after.path(short, "long"), {"spec": short["spec"]})
    after.patch(after.workflow_path("running"), {"spec": {"restart": {"at": "after the restore"}}})
    assert after.wait_phase("running", ("Succeeded",))["phase"] == "Succeeded"
    made = {call.name for call in audit.creations(after.namespace)}
    assert made == {"running-b-r1", "running-c"}, "of what had succeeded nothing ran again"
    assert after.status("ended")["phase"] == "Succeeded"


def test_without_its_status_nothing_runs_until_a_person_says_so(
    new_world: Callable[[], World], audit: Audit, start_controller: StartController
) -> None:
    before, after = new_world(), new_world()
    first = start_controller(namespace=before.namespace)
    backup = [item for item in saved_in_the_middle(before) if item["kind"] != "Job"]
    first.kill()
    start_controller(namespace=after.namespace)
    restore(after, backup)

    for name in ("ended", "running"):
        after.history.wait(
            lambda name=name: after.status(name).get("reason") == "RestoredWithoutStatus",  # type: ignore[misc]
            PATIENCE,
            f"{name} says that its status is missing",
        )
        assert "phase" not in after.status(name)
    assert audit.creations(after.namespace) == []

    meta = {"labels": {"velero.io/restore-name": None}}
    after.patch(after.workflow_path("ended"), {"metadata": meta})
    assert after.wait_phase("ended")["phase"] == "Succeeded"
    assert len(no_attempt_twice(after)) == 2
    assert "phase" not in after.status("running")
