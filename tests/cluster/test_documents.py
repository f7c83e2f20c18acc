"""The manifests in the documents are taken by the API server, and those that have all they need run to their end."""

from __future__ import annotations

import pytest

from hack.cluster import Cluster
from tests.cluster.conftest import StartController
from tests.cluster.support.world import World
from tests.documents import MANIFESTS, Block

pytestmark = pytest.mark.cluster


def apply(cluster: Cluster, namespace: str, block: Block, *flags: str) -> str:
    """What `kubectl apply` prints."""
    return cluster.kubectl("apply", f"--namespace={namespace}", *flags, "--filename=-", input=block.text)


@pytest.mark.parametrize("block", [block for block in MANIFESTS if not block.is_faulty], ids=lambda block: block.where)
def test_the_api_server_takes_a_manifest(cluster: Cluster, world: World, block: Block) -> None:
    # kubectl apply needs a name; the document says to use kubectl create.
    verb = "create" if any("generateName" in item["metadata"] for item in block.objects) else "apply"
    flags = (f"--namespace={world.namespace}", "--dry-run=server", "--filename=-")
    said = cluster.kubectl(verb, *flags, input=block.text)
    assert said.count("created (server dry run)") == block.number_of_objects


def test_what_can_run_succeeds(cluster: Cluster, world: World, start_controller: StartController) -> None:
    """All in one namespace, as a reader would do it."""
    start_controller()
    blocks = [block for block in MANIFESTS if block.can_run]
    for block in blocks:
        apply(cluster, world.namespace, block)
    for block in blocks:
        for item in block.objects:
            if item["kind"] == "Workflow":
                status = world.wait_phase(item["metadata"]["name"])
                assert status["phase"] == "Succeeded", (block.where, status)
