"""The names of locks: what they are called in messages and in Leases, and in which order several are taken."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final, NamedTuple

from pkg.apis.flow.v1alpha1.types import Flow, WorkflowSpec

#: All Leases that stand for a place of a lock are called so, plus 16 hex digits.
LEASE_PREFIX: Final = "workflow-lock-"
#: Label of these Leases; its value is the kind of the lock.
LOCK_LABEL: Final = "flow.workflow.sh/lock"
#: Annotation of a Workflow that a flow with locks, or a workflow with locks, made: who holds locks above it.
UNDER_LOCKS: Final = "flow.workflow.sh/under-locks"


class LockKind(StrEnum):
    """What kind of lock it is. Locks of the two kinds are different locks, whatever their names."""

    MUTEX = "mutex"
    SEMAPHORE = "semaphore"


class LockName(NamedTuple):
    """A lock of a namespace. Several are taken in the order of these values.

    name: of a semaphore `CONFIGMAP/KEY`.
    """

    kind: LockKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def config_map(self) -> str:
        """The ConfigMap of a semaphore."""
        return self.name.partition("/")[0]

    @property
    def key(self) -> str:
        """The key of a semaphore in its ConfigMap."""
        return self.name.partition("/")[2]


def names_of(owner: Flow | WorkflowSpec) -> tuple[LockName, ...]:
    """The locks that a flow, or a workflow as a whole, takes, each once, in the order in which they are taken."""
    if not owner.mutexes and not owner.semaphores:
        return ()
    found = {LockName(LockKind.MUTEX, name) for name in owner.mutexes}
    for semaphore in owner.semaphores:
        ref = semaphore.config_map_key_ref
        found.add(LockName(LockKind.SEMAPHORE, f"{ref.name}/{ref.key}"))
    return tuple(sorted(found))


def lease_name(lock: LockName, place: int) -> str:
    """The name of the Lease that stands for one place of a lock; a mutex has place 0 alone."""
    text = f"{lock.kind}/{lock.name}/{place}"
    return f"{LEASE_PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}"
