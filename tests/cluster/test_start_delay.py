"""`startDelay` on a real control plane: when a task starts, and what neither a controller nor a retry begins anew."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import pytest

from tests.cluster.conftest import StartController
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice

pytestmark = pytest.mark.cluster
# A controller that follows one which was killed need not wait for its Lease.
ALONE: Final = ("--leader-elect=false", "--exclusive=false")
DELAY: Final = 6


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def made_at(world: World, job: str) -> float:
    return seconds(world.wait_job(job)["metadata"]["creationTimestamp"])


def due(world: World, name: str, flow_name: str) -> float:
    """When a task starts, as status has it for people."""
    message = world.wait_flow(name, flow_name, "Waiting", reason="StartDelayed")["message"]
    assert message.endswith(f"startDelay ({DELAY}s) runs since its dependencies were met"), message
    return seconds(message.split()[2].rstrip(":"))


def test_a_task_starts_so_long_after_its_dependencies_however_often_the_controller_is_killed(
    world: World, start_controller: StartController
) -> None:
    controller = start_controller(*ALONE)
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("w", flow("a"), flow("b", "a", startDelay=f"{DELAY}s")))
    at = due(world, "w", "b")
    ended = seconds(world.flow("w", "a")["completionTime"])
    assert ended + DELAY - 1 <= at
    (start,) = [start for one in world.status("w")["record"]["flows"] for start in one.get("starts", ())]
    assert abs(seconds(start["due"]) - at) < 1
    for _ in range(2):
        controller.kill()
        controller = start_controller(*ALONE)
    # Jobs have whole seconds. A delay that began anew with each controller would end later than the job is waited for.
    assert made_at(world, "w-b") >= int(at)
    assert world.wait_phase("w")["phase"] == "Succeeded"
    no_attempt_twice(world)


def test_a_retry_does_not_wait_again_and_a_restart_does(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(template("broken", exit_code="1", run_for="0.1s"))
    retry = {"maxRetries": 1, "interval": "0s"}
    world.create(workflow("w", flow("a", of="broken", startDelay=f"{DELAY}s", retry=retry)))
    at = due(world, "w", "a")
    assert made_at(world, "w-a") >= int(at)
    assert world.wait_phase("w")["phase"] == "Failed"
    delayed = [seen for seen in reasons(world, "w", "a") if seen == "StartDelayed"]
    assert len(delayed) == 1
    assert world.attempts("w") == {"a": 2}
    world.patch(world.workflow_path("w"), {"spec": {"restart": {"at": "1"}}})
    world.history.wait(lambda: world.status("w").get("phase") != "Failed", PATIENCE, "the restart to act")
    again = due(world, "w", "a")
    assert again >= at + DELAY
    assert made_at(world, "w-a-r2") >= int(again)


def reasons(world: World, name: str, flow_name: str) -> list[str]:
    """The reasons that a flow has had, each as often as it began."""
    found: list[str] = []
    for seen in world.history.sightings("workflows"):
        if seen.object["metadata"]["name"] != name:
            continue
        flows = seen.object.get("status", {}).get("flows", ())
        reason = next((one.get("reason", "") for one in flows if one["name"] == flow_name), "")
        if found[-1:] != [reason]:
            found.append(reason)
    return found


def test_pending_timeout_counts_after_the_delay(world: World, start_controller: StartController) -> None:
    """The template is missing, so the task is not made once its delay is over."""
    start_controller()
    world.create(workflow("w", flow("a", of="nowhere", startDelay=f"{DELAY}s", pendingTimeout="2s")))
    at = due(world, "w", "a")
    world.wait_flow("w", "a", "Waiting", reason="TemplateNotFound")
    assert world.wait_flow("w", "a", "Failed")["reason"] == "PendingTimeout"
    assert seconds(world.wait_phase("w")["completionTime"]) >= int(at) + 2


def test_a_lock_is_taken_after_the_delay_and_not_for_it(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("late", flow("a", startDelay=f"{DELAY}s", mutexes=["db"])))
    at = due(world, "late", "a")
    world.create(workflow("other", flow("a", mutexes=["db"])))
    assert world.wait_phase("other")["phase"] == "Succeeded"
    assert made_at(world, "other-a") <= at
    assert made_at(world, "late-a") >= int(at)
    assert world.wait_phase("late")["phase"] == "Succeeded"


def test_stop_skips_a_task_that_waits_for_its_delay(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("w", flow("a", startDelay="1h")))
    world.wait_flow("w", "a", "Waiting", reason="StartDelayed")
    world.patch(world.workflow_path("w"), {"spec": {"shutdown": "Stop"}})
    status = world.wait_phase("w")
    assert (status["phase"], status["reason"]) == ("Failed", "Stopped")
    assert world.phases("w") == {"a": "Skipped"}
    assert not world.latest_jobs("w")
