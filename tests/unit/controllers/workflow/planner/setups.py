"""Benches on which something holds a workflow up, for the tables of waits and blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pkg.controllers.workflow.planner.actions import CreateJob
from pkg.controllers.workflow.planner.snapshot import Barred, CreateFault, Trouble
from tests.builders import NOW, WIDGETS, Bench, wf

Setup = Callable[[], Bench]


def bench_of(
    spec: dict[str, Any] | None = None, /, then: Callable[[Bench], object] = lambda _: None, **flows: Any
) -> Setup:
    """A bench of these flows on which something happened."""

    def make() -> Bench:
        bench = Bench(wf(spec or {}, **flows))
        then(bench)
        return bench

    return make


def refused(reason: str, message: str, tries: int = 1) -> Callable[[CreateJob], CreateFault]:
    """A creation that fails for now."""
    return lambda made: CreateFault(
        Trouble.RETRY, made.attempt, made.name, reason, message, NOW, tries, NOW + 5.0, said_at=NOW
    )


def refusing(reason: str, message: str, tries: int = 1) -> Setup:
    """A bench whose creations fail for this reason."""

    def make() -> Bench:
        bench = Bench(wf(a=""), settle=False)
        bench.refuse = refused(reason, message, tries)
        bench.settle()
        return bench

    return make


def barring(reason: str, message: str) -> Setup:
    """A bench of whose template `job` no job may be created, for this reason."""

    def make() -> Bench:
        bench = Bench(wf(a=""), settle=False)
        bench.barred["job"] = Barred(reason, message)
        bench.settle()
        return bench

    return make


def without_kind() -> Bench:
    """A bench with a flow of a kind that is not served."""
    bench = Bench(wf(a={"template": "widget"}), settle=False)
    bench.kinds[WIDGETS] = None
    bench.settle()
    return bench
