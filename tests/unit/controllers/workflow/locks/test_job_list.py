"""Which jobs a list asks for before a Lease is deleted, and what it makes of the answers."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pkg.apis.meta import ObjectMeta, PartialObject
from pkg.controllers.workflow.locks.job_list import list_jobs
from pkg.controllers.workflow.planner.locks.calls import Failed, JobsFound, LookForJobs
from pkg.controllers.workflow.planner.locks.holders import Holder
from pkg.kube.client import Page
from pkg.kube.errors import KubeError, NotFound, Stopped, Transient

JOBS = "jobs.v1.batch"


class Lister:
    """Pages of one job each, by the continue token before it."""

    def __init__(self, *uids: str, error: KubeError | None = None) -> None:
        self.uids = uids
        self.error = error
        self.selectors: set[str] = set()

    def list_page(self, _gvr: Any, namespace: str, _type: Any, **options: Any) -> Page[PartialObject]:
        assert namespace == "team"
        assert options["metadata_only"]
        self.selectors.add(options["label_selector"])
        if self.error is not None:
            raise self.error
        number = int(options["continue_"] or 0)
        found = [PartialObject(ObjectMeta(name=uid, uid=uid)) for uid in self.uids[number : number + 1]]
        rest = str(number + 1) if number + 1 < len(self.uids) else ""
        return Page(found, "1", rest)


def asked(lister: Lister, holder: Holder, *kinds: str) -> JobsFound | Failed:
    return list_jobs(cast(Any, lister), "team", LookForJobs(holder, kinds))


@pytest.mark.parametrize(
    ("holder", "selector"),
    [
        pytest.param(
            Holder("team/w", "u", "f"), "flow.workflow.sh/workflow-uid=u,flow.workflow.sh/flow=f", id="a task"
        ),
        pytest.param(
            Holder("team/w", "u", "f", 3, is_indexed=True),
            "flow.workflow.sh/workflow-uid=u,flow.workflow.sh/flow=f,flow.workflow.sh/index=3",
            id="one of many tasks of a flow",
        ),
        pytest.param(Holder("team/w", "u"), "flow.workflow.sh/workflow-uid=u", id="a workflow"),
    ],
)
def test_the_jobs_of_a_holder_are_found_by_their_labels(holder: Holder, selector: str) -> None:
    lister = Lister("one", "two")
    assert asked(lister, holder, JOBS) == JobsFound(frozenset({"one", "two"}))
    assert lister.selectors == {selector}


def test_a_kind_that_is_not_served_has_no_jobs() -> None:
    assert asked(Lister(error=NotFound("no such kind", status=404)), Holder("team/w", "u"), JOBS) == JobsFound()


def test_a_list_that_fails_says_nothing_about_jobs() -> None:
    assert isinstance(asked(Lister(error=Transient("no answer")), Holder("team/w", "u"), JOBS), Failed)


def test_a_process_that_stops_asks_no_further() -> None:
    with pytest.raises(Stopped):
        asked(Lister(error=Stopped("stopping")), Holder("team/w", "u"), JOBS)
