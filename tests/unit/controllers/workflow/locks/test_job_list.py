"""Which jobs a list asks for before a Lease is deleted, and what it makes of the answers."""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import msgspec
import pytest

from pkg.apis.meta import GVR, ObjectMeta, PartialObject
from pkg.controllers.workflow.locks.job_list import list_jobs
from pkg.controllers.workflow.planner.locks.calls import Failed, JobsFound, LookForJobs
from pkg.controllers.workflow.planner.locks.holders import Holder
from pkg.kube.client import Page
from pkg.kube.discovery import CRDS
from pkg.kube.errors import KubeError, NotServed, Stopped, Transient, Unrecognized

JOBS = "jobs.v1.batch"
THINGS = "things.v1.example.org"
NOT_SERVED = NotServed("the server could not find the requested resource", status=404)
NO_PAGE = Unrecognized("404 page not found", status=404)

T = TypeVar("T")


class Lister:
    """Pages of one job each, by the continue token before it."""

    connection_lost_at = -math.inf

    def __init__(self, *uids: str, error: KubeError | None = None, served: str = "") -> None:
        self.uids = uids
        self.served = served
        self.error = error
        self.selectors: set[str] = set()

    def get_path(self, path: str, type: type[T]) -> T:  # noqa: A002
        """The documents of discovery."""
        if path == "/apis":
            return msgspec.convert({"kind": "APIGroupList"}, type)
        if not self.served:
            raise NO_PAGE
        return msgspec.convert({"kind": "APIResourceList", "resources": [{"name": self.served}]}, type)

    def list_page(self, gvr: GVR, namespace: str | None, _type: Any, **options: Any) -> Page[Any]:
        if gvr == CRDS:
            return Page([], "1", "")
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


@pytest.mark.parametrize("error", [NOT_SERVED, NO_PAGE], ids=["a Status", "a page"])
def test_a_kind_that_is_certainly_not_served_any_more_has_no_jobs(error: KubeError) -> None:
    assert asked(Lister(error=error), Holder("team/w", "u"), THINGS) == JobsFound()


@pytest.mark.parametrize(
    ("kind", "served"),
    [
        pytest.param(THINGS, "things", id="discovery has it"),
        pytest.param(JOBS, "", id="every API server has it"),
    ],
)
def test_that_a_kind_is_not_served_alone_is_no_proof_that_there_are_no_jobs(kind: str, served: str) -> None:
    """A proxy in front of the API server may say so, or the API server itself, as it starts."""
    assert isinstance(asked(Lister(error=NOT_SERVED, served=served), Holder("team/w", "u"), kind), Failed)


def test_a_list_that_fails_says_nothing_about_jobs() -> None:
    assert isinstance(asked(Lister(error=Transient("no answer")), Holder("team/w", "u"), JOBS), Failed)


def test_a_process_that_stops_asks_no_further() -> None:
    with pytest.raises(Stopped):
        asked(Lister(error=Stopped("stopping")), Holder("team/w", "u"), JOBS)
