"""A controller that is started twice by mistake: the second one stays out and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import CRDS, StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.controller import Controller
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
STAYS_OUT = "another controller acts on these workflows, so this one does not"
ELSEWHERE = "--leader-elect-resource-namespace=default"
UNELECTED = "--leader-elect=false"


def own_lease(world: World) -> str:
    """The flag for a Lease in namespace `default` that no other test uses."""
    return f"--leader-elect-resource-name=wc-{world.namespace}"


def works(world: World, name: str) -> None:
    """A workflow runs."""
    world.create(m.workflow(name, m.flow("a")))
    world.wait_phase(name, ["Succeeded"])


def claim(world: World) -> str:
    crd = world.api.get(f"{CRDS}/workflows.flow.workflow.sh")
    return str(crd["metadata"]["annotations"].get(f"namespace.flow.workflow.sh/{world.namespace}", ""))


def reported(controller: Controller) -> dict[str, str]:
    (line,) = [line for line in controller.log() if line["event"] == STAYS_OUT]
    return line


SECOND = {"with a Lease in another namespace": [ELSEWHERE], "without an election": [UNELECTED]}


@pytest.mark.parametrize("flags", SECOND.values(), ids=SECOND.keys())
def test_a_second_controller_stays_out_until_the_first_is_gone(
    world: World, start_controller: StartController, flags: list[str]
) -> None:
    world.create(m.template("step", run_for="0.1s"))
    first = start_controller("--leader-elect-identity=first")
    second = start_controller(*flags, *([own_lease(world)] if ELSEWHERE in flags else []), acting=False)
    second.wait_log(STAYS_OUT)
    works(world, "before")
    found = reported(second)
    assert (found["other_lease"], found["other_holder"]) == (f"{world.namespace}/workflow-controller", "first")
    assert "--leader-elect-resource-namespace" in found["advice"]
    assert not second.is_acting
    first.kill()
    second.wait_acting()
    works(world, "after")
    # And the first, started again, is the second now.
    again = start_controller(acting=False)
    again.wait_log(STAYS_OUT)
    assert second.terminate() == 0
    again.wait_acting()
    works(world, "again")


def test_a_second_controller_stays_out_where_the_first_has_no_election(
    world: World, start_controller: StartController
) -> None:
    world.create(m.template("step", run_for="0.1s"))
    start_controller(UNELECTED)
    others = [start_controller(*flags, acting=False) for flags in ([], [ELSEWHERE, own_lease(world)], [UNELECTED])]
    others[0].wait_log(STAYS_OUT)
    others[1].wait_log(STAYS_OUT)
    others[2].wait_log("the Lease is held by another process")
    works(world, "w")
    assert [other.is_acting for other in others] == [False] * 3


def test_a_controller_that_is_told_to_takes_no_notice_of_others(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    start_controller(ELSEWHERE, own_lease(world), "--exclusive=false")
    before = claim(world)
    assert before.startswith(f"{world.namespace}/workflow-controller/")
    start_controller(UNELECTED, "--exclusive=false")
    assert claim(world) == before


def test_a_rolling_restart_and_a_moved_lease_keep_nobody_out(world: World, start_controller: StartController) -> None:
    world.create(m.template("step", run_for="0.1s"))

    def spare(*flags: str) -> Controller:
        made = start_controller(*flags, acting=False)
        made.wait_log("caches complete")
        return made

    old = [start_controller(), spare()]
    # The Deployment replaces the pods one by one: the same Lease at first, then another one.
    new = [spare(), spare()]
    for process in old:
        assert process.terminate() == 0
    new[0].wait(lambda: new[0].is_acting or new[1].is_acting, 30, "one of the new ones acts")
    works(world, "restarted")
    moved = [spare(ELSEWHERE, own_lease(world)) for _ in range(2)]
    for process in new:
        assert process.terminate() == 0
    moved[0].wait(lambda: moved[0].is_acting or moved[1].is_acting, 30, "one of the moved ones acts")
    works(world, "moved")
    assert claim(world).startswith(f"default/wc-{world.namespace}/")


def test_a_claim_from_a_backup_keeps_nobody_out(world: World, start_controller: StartController) -> None:
    """The CRD and an old Lease come back as they were: the Lease has another uid, and nobody renews it."""
    world.create(m.template("step", run_for="0.1s"))
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "restored"},
        "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 6, "renewTime": "2026-01-01T00:00:00.000000Z"},
    }
    uid = world.create(lease)["metadata"]["uid"]
    key = f"namespace.flow.workflow.sh/{world.namespace}"
    for text in (
        f"{world.namespace}/restored/another",
        f"{world.namespace}/gone/x",
        f"{world.namespace}/restored/{uid}",
    ):
        world.patch(f"{CRDS}/workflows.flow.workflow.sh", {"metadata": {"annotations": {key: text}}})
        controller = start_controller()
        assert not controller.has_logged(STAYS_OUT)
        assert claim(world).startswith(f"{world.namespace}/workflow-controller/")
        assert controller.terminate() == 0


def test_the_installed_roles_suffice_to_notice_and_to_be_noticed(
    world: World, start_controller: StartController, installed_kubeconfig: Path
) -> None:
    """With the Lease of the Deployment: the roles let the controller write no other one."""
    system = ("--leader-elect-resource-namespace=workflow-system",)
    first = start_controller(*system, kubeconfig=installed_kubeconfig)
    assert claim(world).startswith("workflow-system/workflow-controller/")
    second = start_controller(acting=False)
    second.wait_log(STAYS_OUT)
    assert first.terminate() == 0
    second.wait_acting()
    third = start_controller(*system, kubeconfig=installed_kubeconfig, acting=False)
    third.wait_log(STAYS_OUT)
    assert not any("permission" in line for line in (*first.log(), *third.log()))
