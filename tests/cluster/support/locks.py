"""Leases of locks in a namespace of the test cluster, and whether two tasks ever had jobs under one lock at once."""

from __future__ import annotations

from collections.abc import Callable

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.locks import LOCK_LABEL
from tests.cluster.support.history import Object, Sighting
from tests.cluster.support.world import PATIENCE, World

LEASES = "apis/coordination.k8s.io/v1/leases"
_ENDS = ("Complete", "Failed")


def leases_path(world: World, name: str = "") -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases"
    return f"{path}/{name}" if name else path


def leases(world: World) -> list[Object]:
    """The Leases of locks, by name."""
    found = world.api.get(f"{leases_path(world)}?labelSelector={LOCK_LABEL}")["items"]
    return sorted(found, key=lambda lease: str(lease["metadata"]["name"]))


def holders(world: World) -> list[str]:
    """Who holds a place of a lock."""
    return sorted(str(lease["spec"]["holderIdentity"]) for lease in leases(world))


def wait_holders(world: World, *expected: str) -> None:
    """Waits until these hold places, and nobody else."""
    world.history.wait(
        lambda: holders(world) == sorted(expected), PATIENCE, lambda: f"{expected}, not {holders(world)}"
    )


def lives(world: World, is_meant: Callable[[Object], bool] = lambda _job: True) -> list[tuple[int, int, str]]:
    """From which resourceVersion to which the jobs lived: from their creation until they had finished or were gone.

    A resourceVersion orders the changes of all objects. Those that live now have an end that is far away.
    """
    world.history.catch_up("jobs")
    found: dict[str, tuple[int, int, str]] = {}
    for sighting in world.history.sightings("jobs"):
        meta = sighting.object["metadata"]
        if labels.WORKFLOW_UID not in meta["labels"] or not is_meant(sighting.object):
            continue
        version = int(meta["resourceVersion"])
        begin, end, name = found.get(meta["uid"], (version, 1 << 62, meta["name"]))
        if _is_over(sighting):
            end = min(end, version)
        found[meta["uid"]] = (min(begin, version), end, name)
    return sorted(found.values())


def most_at_once(lived: list[tuple[int, int, str]]) -> int:
    """How many of them lived at the same time, at most."""
    changes = sorted([(begin, 1) for begin, _, _ in lived] + [(end, -1) for _, end, _ in lived])
    count = most = 0
    for _, change in changes:
        count += change
        most = max(most, count)
    return most


def _is_over(sighting: Sighting) -> bool:
    conditions = sighting.object.get("status", {}).get("conditions", ())
    ended = any(one["type"] in _ENDS and one["status"] == "True" for one in conditions)
    return sighting.event == "DELETED" or ended
