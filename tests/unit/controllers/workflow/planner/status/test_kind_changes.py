"""A template gets another kind between two attempts: each attempt is looked for among the jobs of its own kind."""

from __future__ import annotations

import msgspec

from pkg.apis.flow.v1alpha1.types import KindRecord
from pkg.apis.meta import GVR
from tests.builders import JOBS, WIDGETS, Bench, as_older, template, wf

RETRY = {"retry": {"maxRetries": 3, "interval": "1s"}}


def changed() -> Bench:
    """Attempt 0 was a Job and failed; attempt 1 is a Widget."""
    bench = Bench(wf(a=RETRY))
    bench.fails("a")
    bench.templates["job"] = template("job", WIDGETS, jobSpec={})
    bench.wait(1)
    assert [(made.name, made.gvr) for made in bench.made] == [("w-a", JOBS), ("w-a-r1", WIDGETS)]
    return bench


def knows(bench: Bench, *gvrs: GVR) -> None:
    """Only the caches of these kinds are complete."""
    bench.synced = frozenset(gvrs)


def test_the_kind_is_recorded_with_the_attempt() -> None:
    bench = changed()
    assert bench.record.kinds == (KindRecord(str(JOBS), "0"), KindRecord(str(WIDGETS), later="0"))
    assert [(item.attempt, item.gvr) for item in bench.memory("a").kept] == [(1, str(WIDGETS))]


def test_it_is_recorded_before_its_first_job_is_made() -> None:
    """A controller that is started later looks for jobs of the recorded kinds only."""
    bench = changed()
    at = bench.log.index("create w-a-r1")
    assert bench.log[at - 1] == "status"


def test_a_kind_is_recorded_once() -> None:
    bench = changed()
    bench.say({"phase": "Failed"}, "a")
    bench.settle()
    bench.templates["job"] = template("job", JOBS)
    bench.wait(2)
    bench.fails("a")
    assert bench.names[2:] == ["w-a-r2"]
    assert bench.record.kinds == (KindRecord(str(JOBS), "0"), KindRecord(str(WIDGETS), later="0"))


def test_after_a_restart_a_job_is_not_missing_while_the_cache_of_its_kind_is_read() -> None:
    bench = changed()
    living = bench.observed("a")
    bench.crash()
    knows(bench, JOBS)
    bench.hide(living)
    bench.settle()
    assert (bench.phases()["a"], bench.flow("a").attempts) == ("Pending", 2)
    bench.show(living)
    knows(bench, JOBS, WIDGETS)
    bench.settle()
    assert bench.names == ["w-a", "w-a-r1"]
    bench.say({"phase": "Succeeded"}, "a")
    bench.settle()
    assert bench.phase == "Succeeded"


def test_it_is_missing_once_the_cache_of_its_kind_is_complete_whatever_the_others_are() -> None:
    bench = changed()
    gone = bench.observed("a")
    bench.crash()
    bench.hide(gone)
    knows(bench, WIDGETS)
    bench.settle()
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Backoff", "JobDeleted")


def test_of_a_status_of_an_older_controller_every_cache_has_to_be_complete() -> None:
    """It recorded the kind of the first job only."""

    bench = changed()
    living = bench.observed("a")
    bench.workflow = msgspec.structs.replace(bench.workflow, status=as_older(bench.status))
    bench.crash()
    bench.hide(living)
    knows(bench, JOBS)
    bench.settle()
    assert bench.phases()["a"] == "Pending"
