"""Early words of the webhook about rights, and objects that are older than the webhook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.cluster.errors import ClusterError
from pkg.apis.flow.v1alpha1.people import CREATED_BY, EDITED_BY
from tests.cluster.conftest import StartController
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.town import ENFORCE, Town, serve
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster


@pytest.fixture
def enforcing(start_controller: StartController, installed_kubeconfig: Path) -> None:
    """The controller with its own account, which enforces rights."""
    start_controller(*ENFORCE, kubeconfig=installed_kubeconfig)


def test_an_object_that_is_older_than_the_webhook_waits_until_somebody_takes_it_over(
    cluster: Cluster, world: World, enforcing: None, tmp_path: Path
) -> None:
    world.create_all([template("step", run_for="0.1s"), workflow("w", flow("a"))])
    message = world.wait_flow("w", "a", "Waiting", reason="NotAllowed")["message"]
    assert "nobody is responsible for Workflow w yet" in message
    for _ in serve(cluster, tmp_path / "webhook.log", "--authorize=off"):
        town = Town(cluster, world)
        town.run("label", "wkf/w", "team=a", user="bob")
        assert town.notes("wkf/w") == {}
        [command] = [part for part in message.split(": ") if part.startswith("kubectl annotate")]
        town.run(*command.split()[1:], user="bob")
        assert town.notes("wkf/w") == {CREATED_BY: "bob", EDITED_BY: "bob"}
        message = world.wait_message("w", "a", "nobody is responsible for WorkTemplate step yet")
        town.run("annotate", "wkt", "step", f"{EDITED_BY}=me", user="bob")
        assert world.wait_phase("w")["phase"] == "Succeeded"


@pytest.fixture
def strict(cluster: Cluster, world: World, tmp_path: Path) -> Iterator[Town]:
    """The webhook says missing rights at admission."""
    for _ in serve(cluster, tmp_path / "webhook.log", "--authorize=enforce"):
        yield Town(cluster, world)


def test_a_missing_right_is_said_at_admission(strict: Town) -> None:
    strict.apply("bob", template("step"))
    said = "alice may not create jobs.batch in namespace"
    with pytest.raises(ClusterError, match=said):
        strict.apply("alice", workflow("w", flow("a")))
    with pytest.raises(ClusterError, match=said):
        strict.apply("alice", template("other"))
    with pytest.raises(ClusterError, match=said):
        strict.patch("alice", "wkt/step", {"spec": {"jobSpec": {"backoffLimit": 3}}})
    strict.apply("bob", workflow("w", flow("a")))
    with pytest.raises(ClusterError, match=said):
        strict.patch("alice", "wkf/w", {"spec": {"restart": {"at": "1"}}})
    strict.patch("alice", "wkf/w", {"spec": {"suspend": True}})
    strict.run("label", "wkf/w", "team=a", user="alice")
    strict.apply("alice", workflow("unknown", flow("a", of="not-yet")))
