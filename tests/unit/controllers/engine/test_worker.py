"""Workers, stepped by hand where possible, in their thread where starting and stopping is the question."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import pytest
import structlog
from structlog.testing import LogCapture

from pkg.controllers.engine import workqueue
from pkg.controllers.engine.result import Again, Done, Later, Result
from pkg.controllers.engine.worker import Relief, Worker
from pkg.controllers.engine.workqueue import WorkQueue
from pkg.kube.log_context import add_reconcile
from tests.waiting import until


@pytest.fixture
def logs() -> Iterator[LogCapture]:
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[add_reconcile, capture])
    yield capture
    structlog.configure(**before)


def test_a_step_runs_one_key_and_settles_it() -> None:
    queue = WorkQueue("3", clock=lambda: 0.0)
    ran: list[str] = []

    def reconcile(key: str) -> Result:
        ran.append(key)
        return Later(0, "more to do") if len(ran) == 1 else Done()

    worker = Worker(queue, reconcile)
    assert not worker.step(0)
    queue.add("ns/a")
    assert worker.step(0)
    assert worker.step(0)
    assert not worker.step(0)
    assert ran == ["ns/a", "ns/a"]


def test_a_pass_logs_its_workflow_and_a_pass_id_of_its_own(logs: LogCapture) -> None:
    queue = WorkQueue("3", clock=lambda: 0.0)
    log = structlog.get_logger()

    def reconcile(key: str) -> Result:
        log.info("looking")
        return Done()

    worker = Worker(queue, reconcile)
    for key in ("ns/a", "ns/b"):
        queue.add(key)
        worker.step(0)
    log.info("outside")
    assert [(entry.get("workflow"), entry.get("reconcile")) for entry in logs.entries] == [
        ("ns/a", "3-1"),
        ("ns/b", "3-2"),
        (None, None),
    ]


def test_a_pass_that_raises_is_logged_and_tried_again(logs: LogCapture) -> None:
    queue = WorkQueue("0", clock=lambda: 0.0)

    def reconcile(key: str) -> Result:
        raise KeyError("flows")

    worker = Worker(queue, reconcile)
    queue.add("ns/a")
    assert worker.step(0)
    assert queue.num_requeues("ns/a") == 1
    assert queue.delayed == 1
    assert queue.longest_running_seconds() == 0
    (entry,) = logs.entries
    assert (entry["log_level"], entry["exc_info"], entry["workflow"]) == ("error", True, "ns/a")


def test_again_is_logged_with_its_reason(logs: LogCapture) -> None:
    queue = WorkQueue("0", clock=lambda: 0.0)
    worker = Worker(queue, lambda key: Again("conflict"))
    queue.add("ns/a")
    worker.step(0)
    (entry,) = logs.entries
    assert (entry["log_level"], entry["reason"]) == ("debug", "conflict")


def test_stopping_lets_the_running_pass_finish_and_starts_no_other() -> None:
    queue = WorkQueue("0")
    entered, leave = threading.Event(), threading.Event()
    finished: list[str] = []

    def reconcile(key: str) -> Result:
        entered.set()
        leave.wait(5)
        finished.append(key)
        return Done()

    worker = Worker(queue, reconcile)
    worker.start()
    queue.add("ns/a")
    queue.add("ns/b")
    assert entered.wait(5)
    worker.stop()
    assert not worker.join(0.01)
    assert worker.is_alive
    leave.set()
    assert worker.join(5)
    assert finished == ["ns/a"]


def test_a_worker_with_nothing_to_do_stops_at_once() -> None:
    worker = Worker(WorkQueue("0"), lambda key: Done())
    worker.start()
    worker.stop()
    assert worker.join(5)


def test_draining_the_queue_ends_the_worker() -> None:
    queue = WorkQueue("0")
    ran: list[str] = []

    def reconcile(key: str) -> Result:
        ran.append(key)
        return Done()

    for key in "abc":
        queue.add(key)
    worker = Worker(queue, reconcile)
    worker.start()
    assert queue.shut_down_with_drain(5)
    assert worker.join(5)
    assert ran == ["a", "b", "c"]


def test_a_result_that_is_none_does_not_end_the_worker(logs: LogCapture) -> None:
    queue = WorkQueue("0")
    ran: list[str] = []

    def reconcile(key: str) -> Result:
        ran.append(key)
        return cast(Result, "nothing known")

    worker = Worker(queue, reconcile)
    queue.add("a")
    queue.add("b")
    worker.start()
    assert queue.shut_down_with_drain(5)
    assert worker.join(5)
    assert ran == ["a", "b"]
    assert [entry["log_level"] for entry in logs.entries] == ["error", "error"]


class Stuck:
    """A reconcile that hangs for the keys of one namespace."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.ran: list[str] = []
        self.began = threading.Event()

    def __call__(self, key: str) -> Result:
        if key.startswith("hangs/"):
            self.began.set()
            assert self.may_end.wait(10)
        self.ran.append(key)
        return Done()


def test_another_thread_serves_the_shard_while_one_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "STUCK_SECONDS", 0.05)
    queue, reconcile = WorkQueue("0"), Stuck()
    worker = Worker(queue, reconcile)
    relief = Relief([worker], interval=0.01)
    worker.start()
    relief.start()
    for key in ("hangs/1", "hangs/2", "other/1", "other/2"):
        queue.add(key)
    until(lambda: len(reconcile.ran) == 2)
    assert reconcile.ran == ["other/1", "other/2"]
    reconcile.may_end.set()
    until(lambda: len(reconcile.ran) == 4)
    relief.stop()
    worker.stop()
    assert worker.join(10)


def test_no_thread_is_added_while_one_is_free_or_nothing_waits() -> None:
    clock = [0.0]
    queue = WorkQueue("0", clock=lambda: clock[0])
    worker = Worker(queue, lambda key: Done())
    queue.add("a/1")
    assert not worker.relieve(), "its own thread is free"
    assert queue.get(0) == "a/1"
    clock[0] = 10.0
    assert not worker.relieve(), "nothing waits"
    queue.add("a/2")
    assert not worker.relieve(), "what waits is of the same namespace"
    queue.add("b/1")
    assert worker.relieve()
    worker.stop()
