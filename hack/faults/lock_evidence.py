"""Evidence of locks: from when to when the jobs under each lock lived, and which Leases are left at the end.

A resourceVersion orders the changes of all objects. So two lives overlap, or do not, whatever the clocks say.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from hack.cluster.api import Api, ApiStatusError
from hack.faults.following import Object
from hack.faults.load import PLACES, Attempt, locks_of
from pkg.apis.flow.v1alpha1.locks import LOCK_LABEL

_ENDED = ("Succeeded", "Failed")


@dataclass(slots=True)
class _Life:
    """end: None while it lives."""

    attempt: Attempt
    begin: int
    end: int | None = None


class LockEvidence:
    """What was seen of the jobs that are made under locks. The caller has a lock of its own."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}

    def see(self, event: str, attempt: Attempt, job: Object) -> None:
        """One watch event, or an object of a list. A job lives until it has ended or is gone."""
        if not locks_of(attempt.workflow, attempt.flow):
            return
        meta = job["metadata"]
        version = int(meta["resourceVersion"])
        life = self._lives.setdefault(meta["uid"], _Life(attempt, version))
        life.begin = min(life.begin, version)
        is_over = event == "DELETED" or (job.get("status") or {}).get("phase") in _ENDED
        if is_over and (life.end is None or version < life.end):
            life.end = version

    @property
    def seen(self) -> int:
        """How many jobs were made under locks."""
        return len(self._lives)

    def faults(self) -> list[str]:
        """Locks that more held at once than may."""
        by_lock: dict[str, list[tuple[int, int, Attempt]]] = {}
        for life in self._lives.values():
            # What the watch missed of an end cannot accuse anybody.
            end = life.end if life.end is not None else life.begin
            for lock in locks_of(life.attempt.workflow, life.attempt.flow):
                by_lock.setdefault(lock, []).append((life.begin, end, life.attempt))
        return [fault for lock, lives in sorted(by_lock.items()) for fault in _overlaps(lock, lives)]


def _overlaps(lock: str, lives: list[tuple[int, int, Attempt]]) -> list[str]:
    places = PLACES.get(lock, 1)
    found: list[str] = []
    living: list[tuple[int, Attempt]] = []
    for begin, end, attempt in sorted(lives, key=lambda life: life[0]):
        living = [(until, one) for until, one in living if until > begin]
        living.append((end, attempt))
        if len(living) > places:
            names = ", ".join(f"{one.workflow}/{one.flow} attempt {one.number}" for _, one in living)
            found.append(f"lock {lock} is held by {len(living)} at once, {places} may: {names}")
    return found


def leaked(api: Api, namespace: str, wait: Callable[[Callable[[], bool], float], bool], seconds: float) -> list[str]:
    """The Leases of locks that are still there after so many seconds."""

    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases?labelSelector={LOCK_LABEL}"
    held: list[str] = ["nobody knows whom: its Leases could not be listed"]

    def is_free() -> bool:
        try:
            found = json.loads(api.request("GET", path))["items"]
        except (ApiStatusError, OSError):
            return False  # a busy API server
        held[:] = [lease["spec"]["holderIdentity"] for lease in found]
        return not held

    return [] if wait(is_free, seconds) else [f"a place of a lock is still held by {name}" for name in held]
