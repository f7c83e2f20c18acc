"""What becomes of the jobs of a Workflow that is deleted: `kubectl delete --cascade=orphan` leaves them alone."""

from __future__ import annotations

import pytest

from hack.cluster import Cluster
from pkg.apis.flow.v1alpha1 import labels
from tests.cluster.conftest import StartController
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster


def service() -> Object:
    """A WorkTemplate of a Deployment."""
    found = template("service")
    pod = {"spec": {"containers": [{"name": "main", "image": "busybox:1.36"}]}}
    found["spec"] = {
        "gvr": {"group": "apps", "version": "v1", "resource": "deployments"},
        "jobSpec": {"replicas": 1, "template": pod},
    }
    return found


def templates(world: World) -> None:
    world.create_all([template("step", run_for="120s"), template("short", run_for="0.1s"), service()])


def there(world: World) -> dict[str, Object]:
    """The jobs in the namespace that were made for a workflow, by name."""
    found = [*world.history.now("jobs"), *world.history.now("deployments")]
    return {job["metadata"]["name"]: job for job in found if labels.WORKFLOW_UID in job["metadata"].get("labels", {})}


def uids(world: World) -> dict[str, str]:
    return {name: job["metadata"]["uid"] for name, job in there(world).items()}


def is_free(job: Object) -> bool:
    return not job["metadata"].get("ownerReferences")


def wait_orphaned(world: World, name: str) -> None:
    world.history.wait(
        lambda: world.history.get("workflows", name) is None and all(map(is_free, there(world).values())),
        60,
        lambda: f"workflow {name} gone, jobs without owner; there are {there(world)}",
    )


def assert_left_alone(world: World, before: dict[str, str]) -> None:
    """The jobs of before are still there, and nobody has asked to delete them."""
    world.history.catch_up("jobs")
    world.history.catch_up("deployments")
    assert before.items() <= uids(world).items()
    assert [name for name, job in there(world).items() if job["metadata"].get("deletionTimestamp")] == []


def running(world: World, name: str, **spec: object) -> dict[str, str]:
    """Starts a workflow of a Deployment, a Job that runs and a Job that has ended; the uids of its jobs."""
    world.create(workflow(name, flow("serve", of="service"), flow("work"), flow("done", of="short"), **spec))
    world.wait_flow(name, "serve", "Succeeded")
    world.wait_flow(name, "work", "Running")
    world.wait_flow(name, "done", "Succeeded")
    return uids(world)


@pytest.mark.parametrize("retain", ["retain", "delete"])
def test_orphaned_jobs_live_on_and_a_new_workflow_of_the_name_does_not_adopt_them(
    world: World, start_controller: StartController, retain: str
) -> None:
    start_controller()
    templates(world)
    before = running(world, "c15", jobRetainPolicy=retain)
    world.delete(world.workflow_path("c15"), "Orphan")
    wait_orphaned(world, "c15")
    world.create(workflow("c15", flow("serve", of="service"), flow("work", of="short")))
    world.wait_phase("c15", ["Succeeded"])
    assert_left_alone(world, before)
    new = {name: job for name, job in there(world).items() if name not in before}
    suffix = world.history.get("workflows", "c15")["metadata"]["uid"].replace("-", "")[:8]  # type: ignore[index]
    assert set(new) == {f"c15-serve-{suffix}", f"c15-work-{suffix}"}
    world.delete(world.workflow_path("c15"))
    world.history.wait(lambda: uids(world) == before, 60, lambda: f"only {before}; there are {uids(world)}")


def test_jobs_of_a_workflow_in_any_state_are_orphaned(world: World, start_controller: StartController) -> None:
    start_controller()
    templates(world)
    missing = flow("missing", of="nowhere")
    world.create(workflow("pending", missing))
    world.create(workflow("paused", flow("a"), suspend=True))
    world.create(workflow("part", flow("a"), missing))
    world.create(workflow("ended", flow("a", of="short"), flow("b", of="service")))
    wide = flow("a") | {"for": {"replicas": 60}}
    world.wait_flow("pending", "missing", "Waiting", reason="TemplateNotFound")
    world.wait_flow("paused", "a", "Waiting", reason="WorkflowSuspended")
    world.wait_flow("part", "a", "Running")
    world.wait_phase("ended", ["Succeeded"])
    # Terminating: the running job is drained, and the deletion of another one waits for its finalizer.
    world.create(workflow("stopped", flow("a"), flow("b", "a")))
    world.wait_flow("stopped", "a", "Running")
    world.patch(world.workflow_path("stopped"), {"spec": {"shutdown": "Stop"}})
    world.wait_phase("stopped", ["Terminating"])
    world.create(workflow("wide", wide))
    world.wait_job("wide-a-0")  # and the others are being created
    names = ("pending", "paused", "part", "ended", "stopped", "wide")
    for name in names:
        world.delete(world.workflow_path(name), "Orphan")
    world.history.wait(lambda: not world.history.now("workflows"), 60, "all workflows gone")
    # A job that was created after the garbage collector had looked has a dangling owner: it removes such jobs itself.
    world.history.wait(
        lambda: all(is_free(job) for job in there(world).values()),
        90,
        lambda: f"jobs without owner: {[name for name, job in there(world).items() if not is_free(job)]}",
    )
    expected = {"part-a", "ended-a", "ended-b", "stopped-a", "wide-a-0"}
    assert expected <= there(world).keys()
    assert not any(job["metadata"].get("deletionTimestamp") for job in there(world).values())


def test_jobs_orphaned_while_no_controller_runs_are_nobody_s(world: World, start_controller: StartController) -> None:
    first = start_controller()
    templates(world)
    before = running(world, "away")
    first.kill()
    world.delete(world.workflow_path("away"), "Orphan")
    wait_orphaned(world, "away")
    world.create(workflow("away", flow("work", of="short")))
    start_controller()
    world.wait_phase("away", ["Succeeded"])
    assert_left_alone(world, before)
    assert world.flow("away", "work")["attempts"] == 1


def test_orphaning_that_waits_for_another_finalizer_leaves_the_jobs_alone(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    templates(world)
    document = workflow("kept", flow("work"), flow("serve", of="service"))
    document["metadata"]["finalizers"] = ["example.com/slow"]
    world.create(document)
    world.wait_flow("kept", "work", "Running")
    world.wait_flow("kept", "serve", "Succeeded")
    before = uids(world)
    cluster.kubectl("delete", "wkf", "kept", "--cascade=orphan", "--wait=false", "-n", world.namespace)
    world.history.wait(
        lambda: (
            all(map(is_free, there(world).values()))
            and "orphan" not in world.history.get("workflows", "kept")["metadata"]["finalizers"]  # type: ignore[index]
        ),
        60,
        "jobs without owner while the workflow is still there",
    )
    # A change brings the workflow back to a worker: it is under deletion, and nothing is to be deleted.
    world.patch(world.workflow_path("kept"), {"metadata": {"annotations": {"x": "y"}}})
    world.patch(world.workflow_path("kept"), {"metadata": {"finalizers": None}})
    world.history.wait(lambda: world.history.get("workflows", "kept") is None, 60, "the workflow gone")
    assert_left_alone(world, before)


@pytest.mark.parametrize("how", ["Background", "Foreground"])
def test_without_orphan_the_jobs_go_with_their_workflow(
    world: World, start_controller: StartController, how: str
) -> None:
    start_controller()
    templates(world)
    running(world, "going")
    world.delete(world.workflow_path("going"), how)
    world.history.wait(
        lambda: world.history.get("workflows", "going") is None and not there(world),
        60,
        lambda: f"workflow and jobs gone; there are {uids(world)}",
    )


def test_a_ttl_takes_the_jobs_along(world: World, start_controller: StartController) -> None:
    start_controller()
    templates(world)
    world.create(workflow("brief", flow("a", of="short"), flow("b", of="service"), ttlSecondsAfterFinished=0))
    world.history.wait(
        lambda: bool(world.made()) and world.history.get("workflows", "brief") is None and not there(world),
        60,
        "workflow and jobs gone",
    )
