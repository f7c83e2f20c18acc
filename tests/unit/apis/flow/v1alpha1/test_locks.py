"""Names of locks: their order, their Leases, and what a spec means by them."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName, lease_name, names_of
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import Flow, WorkflowSpec
from tests.manifests import decoded

MUTEX = LockName(LockKind.MUTEX, "database")
SEMAPHORE = LockName(LockKind.SEMAPHORE, "gpus/licences")


def semaphore(name: str = "gpus", key: str = "licences") -> dict[str, Any]:
    return {"configMapKeyRef": {"name": name, "key": key}}


def flow(**fields: Any) -> Flow:
    return decoded({"name": "a", **fields}, Flow)


def test_locks_are_taken_in_one_order_however_they_are_written() -> None:
    given = flow(mutexes=["b", "a"], semaphores=[semaphore("z", "k"), semaphore("c", "k")])
    assert [str(lock) for lock in names_of(given)] == ["mutex a", "mutex b", "semaphore c/k", "semaphore z/k"]


def test_a_flow_without_locks_takes_none() -> None:
    assert names_of(flow()) == ()


def test_a_semaphore_names_its_config_map_and_key() -> None:
    (lock,) = names_of(flow(semaphores=[semaphore("my.map", "a_key.x")]))
    assert (lock.config_map, lock.key) == ("my.map", "a_key.x")


def test_the_name_of_a_lease_never_changes() -> None:
    # Another name would let two hold a lock while an older controller is being replaced.
    assert lease_name(MUTEX, 0) == "workflow-lock-c9dd89e2af6ef5c3"
    assert lease_name(SEMAPHORE, 3) == "workflow-lock-aff76820c77ea8d8"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((LockName(LockKind.SEMAPHORE, "database"), 0), id="a semaphore of the same name"),
        pytest.param((LockName(LockKind.MUTEX, "databases"), 0), id="another name"),
        pytest.param((MUTEX, 1), id="another place"),
    ],
)
def test_another_lock_has_another_lease(other: tuple[LockName, int]) -> None:
    assert lease_name(*other) != lease_name(MUTEX, 0)


def spec(**fields: Any) -> WorkflowSpec:
    return decoded({"flows": [{"name": "a", **fields}]}, WorkflowSpec)


def test_the_order_of_locks_means_nothing() -> None:
    one = spec(mutexes=["a", "b"], semaphores=[semaphore("x"), semaphore("y")])
    other = spec(mutexes=["b", "a"], semaphores=[semaphore("y"), semaphore("x")])
    assert spec_hash(one) == spec_hash(other)


def test_another_lock_is_another_spec() -> None:
    assert spec_hash(spec(mutexes=["a"])) != spec_hash(spec(mutexes=["b"]))
    assert spec_hash(spec(mutexes=["a"])) != spec_hash(spec())


def test_locks_that_are_written_out_as_none_change_nothing() -> None:
    assert spec_hash(spec(mutexes=[], semaphores=[])) == spec_hash(spec())
