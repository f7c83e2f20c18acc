"""What a round of housekeeping forgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from msgspec.structs import replace

from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.apis.meta import GVR, Job, ObjectMeta
from pkg.controllers.engine.store import Store
from pkg.controllers.housekeeping import Housekeeping
from tests.builders import template

JOBS = GVR("batch", "v1", "jobs")
BOXES = GVR("example.com", "v1", "boxes")


class Kinds:
    """Kinds and informers of jobs in one: which are known, and what was forgotten."""

    def __init__(self, *known: GVR, jobs: int = 0) -> None:
        self.known = list(known)
        self.store: Store[Job] = Store()
        if jobs:
            self.store.replace([Job(ObjectMeta(name="a", namespace="team", uid="u", resource_version="1"))], 1)
        self.forgotten: list[str] = []

    def gvrs(self) -> tuple[GVR, ...]:
        return tuple(self.known)

    def get(self, gvr: GVR) -> Store[Job]:
        return self.store

    def forget(self, gvr: GVR) -> None:
        self.forgotten.append("kind")

    def release(self, gvr: GVR) -> None:
        self.forgotten.append("informer")


class Ledger:
    def __init__(self) -> None:
        self.aged = 0

    def age_gone(self) -> None:
        self.aged += 1


def housekeeping(
    kinds: Kinds,
    ledger: Ledger,
    *,
    named: GVR = JOBS,
    users: str = "",
    leads: bool = True,
    users_of: Callable[[GVR], Sequence[str]] | None = None,
    requeue_users: Callable[[GVR], None] = lambda _gvr: None,
) -> Housekeeping:
    templates: Store[WorkTemplate] = Store()
    there = template("a", named)
    templates.replace([replace(there, metadata=replace(there.metadata, resource_version="1"))], 1)
    return Housekeeping(
        informers=(),
        jobs=cast(Any, kinds),
        templates=templates,
        kinds=cast(Any, kinds),
        ledger=cast(Any, ledger),
        is_leader=lambda: leads,
        users_of=users_of or (lambda _gvr: tuple(users)),
        requeue_users=requeue_users,
        forget_series=lambda _gvr: kinds.forgotten.append("series"),
    )


@pytest.mark.parametrize(
    ("named", "users", "jobs", "forgotten"),
    [
        pytest.param(JOBS, "", 0, ["informer", "kind", "series"], id="a kind that nobody uses"),
        pytest.param(BOXES, "", 0, [], id="one that a template names"),
        pytest.param(JOBS, "w", 0, [], id="one that a workflow uses"),
        pytest.param(JOBS, "", 1, [], id="one with jobs"),
    ],
)
def test_kinds(named: GVR, users: str, jobs: int, forgotten: list[str]) -> None:
    kinds = Kinds(BOXES, jobs=jobs)
    housekeeping(kinds, Ledger(), named=named, users=users).round()
    assert kinds.forgotten == forgotten


def test_a_workflow_that_begins_to_use_a_kind_while_it_is_forgotten_is_requeued_after_that() -> None:
    kinds = Kinds(BOXES)
    users: list[str] = []
    requeued: list[tuple[str, ...]] = []

    def users_of(_gvr: GVR) -> Sequence[str]:
        found = tuple(users)
        users.append("team/w")  # a worker, right after the look
        return found

    def requeue_users(_gvr: GVR) -> None:
        assert kinds.forgotten == ["informer", "kind", "series"]
        requeued.append(tuple(users))

    housekeeping(kinds, Ledger(), users_of=users_of, requeue_users=requeue_users).round()
    assert requeued == [("team/w",)]


@pytest.mark.parametrize(("leads", "aged"), [(True, 0), (False, 1)], ids=["a leader takes them", "a standby"])
def test_jobs_that_are_gone_are_forgotten_on_a_standby(leads: bool, aged: int) -> None:
    ledger = Ledger()
    housekeeping(Kinds(JOBS), ledger, leads=leads).round()
    assert ledger.aged == aged
