"""A world with one workflow, for tests that say themselves what happens in it."""

from __future__ import annotations

import msgspec

from pkg.apis.flow.v1alpha1.types import WORKFLOWS, WORKTEMPLATES, Workflow
from tests.builders import TEMPLATES
from tests.property.controller import Controller
from tests.property.world import JOBS, UID, Fate, World


def world_with(workflow: Workflow, fate: Fate) -> World:
    """The world, with the usual templates. fate: how each job goes."""
    world = World(lambda _flow, _index, _attempt: fate)
    for one in TEMPLATES.values():
        world.add(WORKTEMPLATES, one)
    world.log.setdefault(JOBS, [])
    meta = msgspec.structs.replace(workflow.metadata, uid=UID)
    world.add(WORKFLOWS, msgspec.structs.replace(workflow, metadata=meta))
    return world


def settle(controller: Controller) -> None:
    """Everything is told, and looked at until nothing more is due now."""
    for _ in range(50):
        controller.deliver_all()
        if not controller.is_due():
            return
        controller.reconcile()
    raise AssertionError("no rest")
