"""Jobs that cannot be attempts of their task, though owner, labels and name agree: somebody else created them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import labels
from pkg.controllers.workflow.planner.job_identity import identify
from tests.builders import COMPLETE, FAILED, JOBS, RUNNING, UID, Bench, wf

NINE_DIGITS = 999_999_999


def forge(bench: Bench, attempt: int, status: dict[str, Any] | None = None) -> None:
    """A job of this attempt of flow `a`: under our name, with our labels and our owner reference."""
    meta = bench.observed("a").job.metadata
    tags = {**meta.labels, labels.ATTEMPT: str(attempt)}
    meta = msgspec.structs.replace(meta, name=f"w-a-r{attempt}", uid=f"forged-{attempt}", labels=tags)
    job = msgspec.structs.replace(bench.observed("a").job, metadata=meta, status=status or {})
    assert identify(job) is not None
    bench.forge(JOBS, job)
    bench.settle()


def retried(retries: int, **flow: Any) -> Bench:
    bench = Bench(wf(a={"retry": {"maxRetries": retries, "interval": "0s"}, **flow}))
    bench.runs("a")
    return bench


@pytest.mark.parametrize("status", [{}, RUNNING, COMPLETE, FAILED], ids=["new", "running", "complete", "failed"])
@pytest.mark.parametrize(
    ("retries", "attempt"),
    [
        pytest.param(0, 1, id="a retry of a flow that has none"),
        pytest.param(3, 4, id="one above the last retry"),
        pytest.param(1_000, NINE_DIGITS, id="nine digits, where the CRD allows no more retries"),
    ],
)
def test_a_job_of_an_attempt_that_cannot_be_changes_nothing(retries: int, attempt: int, status: dict[str, Any]) -> None:
    bench = retried(retries)
    forge(bench, attempt, status)
    for seen in (bench, bench.restarted()):
        assert (seen.phases()["a"], seen.flow("a").attempts, "w-a" in seen.living) == ("Running", 1, True)


def test_the_last_retry_of_the_spec_counts_though_status_does_not_know_it() -> None:
    """The controller was killed after the creation, before it wrote status."""
    bench = retried(3)
    forge(bench, 3, RUNNING)
    assert (bench.phases()["a"], bench.flow("a").attempts) == ("Running", 4)


def test_the_workflow_ends_though_a_job_of_an_impossible_attempt_runs_on() -> None:
    bench = retried(0)
    forge(bench, NINE_DIGITS, RUNNING)
    bench.say_of("w-a", COMPLETE)
    bench.settle()
    assert (bench.phase, sorted(bench.living)) == ("Succeeded", ["w-a", f"w-a-r{NINE_DIGITS}"])


def test_a_restart_begins_above_the_attempts_that_can_be() -> None:
    bench = retried(1)
    forge(bench, NINE_DIGITS)
    forge(bench, 1, FAILED)
    assert bench.phase == "Failed"
    bench.set_spec(restart={"at": "again"})
    assert "w-a-r2" in bench.names
    assert bench.memory("a").first_attempt == 2


def test_a_flow_that_comes_back_does_not_begin_above_an_attempt_that_cannot_be() -> None:
    bench = Bench(wf(a="", b=""))
    bench.fails("a", "b")
    forge(bench, NINE_DIGITS, FAILED)
    flow_b = {"name": "b", "template": "job"}
    bench.set_spec(flows=[flow_b], restart={"at": "without a"})
    bench.fails("b")
    bench.set_spec(flows=[{"name": "a", "template": "job"}, flow_b], restart={"at": "with a"})
    assert "w-a-r1" in bench.names


OTHER_NAMES: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    "with an index that the flow does not have": ({}, "w-a-0", {labels.INDEX: "0"}),
    "with the fallback name, which was not taken": ({}, f"w-a-{UID[:8]}", {}),
    "without the index that the flow has": ({"for": {"replicas": 1}}, "w-a", {labels.INDEX: ""}),
}


@pytest.mark.parametrize("is_first", [True, False], ids=["listed first", "listed last"])
@pytest.mark.parametrize("status", [RUNNING, COMPLETE, FAILED], ids=["running", "complete", "failed"])
@pytest.mark.parametrize(("flow", "name", "tags"), OTHER_NAMES.values(), ids=OTHER_NAMES)
def test_a_second_job_of_an_attempt_under_another_of_its_names_changes_nothing(
    flow: dict[str, Any], name: str, tags: dict[str, str], status: dict[str, Any], is_first: bool
) -> None:
    bench = Bench(wf(a=flow))
    bench.runs("a")
    real = bench.observed("a").job
    bench.now += 10
    both = {tag: value for tag, value in {**real.metadata.labels, **tags}.items() if value}
    created = datetime.fromtimestamp(bench.now, UTC)
    meta = msgspec.structs.replace(real.metadata, name=name, uid="forged", labels=both, creation_timestamp=created)
    forged = msgspec.structs.replace(real, metadata=meta, status=status)
    assert identify(forged) is not None
    bench.forge(JOBS, forged)
    if is_first:  # the older resource version comes first
        bench.say_of(real.metadata.name, RUNNING)
    bench.settle()
    forgets: tuple[Callable[[], Any], ...] = (bench.settle, bench.crash, bench.lose_status)
    for forget in forgets:
        forget()
        bench.settle()
        assert (bench.phase, bench.phases(), bench.flow("a").attempts) == ("Running", {"a": "Running"}, 1)
    bench.say_of(real.metadata.name, COMPLETE)
    bench.settle()
    assert (bench.phase, bench.living) == ("Succeeded", {real.metadata.name, name})
