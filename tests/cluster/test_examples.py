"""The main examples end as they state, at the same time, with one controller that has the installer's rights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import StartController
from tests.cluster.support.audit import Audit
from tests.cluster.support.examples import EXAMPLES, apply, verify
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster

# The kinds that the examples need. The controller sees all namespaces, also what other tests left there.
GROUPS = frozenset(
    {"", "apiextensions.k8s.io", "apps", "batch", "coordination.k8s.io", "events.k8s.io", "flow.workflow.sh"}
)


def test_the_main_examples_end_as_they_announce(
    world: World, audit: Audit, start_controller: StartController, installed_kubeconfig: Path
) -> None:
    controller = start_controller(
        "--leader-elect-resource-namespace=workflow-system",
        "--workers=8",
        namespace="",
        kubeconfig=installed_kubeconfig,
    )
    applied = {name: apply(world, name) for name in EXAMPLES}
    for name, example in applied.items():
        verify(world, name, example)
    assert len(audit.creations(world.namespace)) + len(audit.creations(world.namespace, "deployments")) == len(
        world.made()
    )
    assert [line for line in controller.log() if line.get("level") == "error"] == []
    forbidden = [call for call in audit.calls() if call.code == 403 and call.group in GROUPS]
    assert forbidden == [], "the installer's roles are enough"
