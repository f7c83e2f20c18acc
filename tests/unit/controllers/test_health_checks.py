"""What /healthz and /readyz find wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pkg.apis.meta import GVR
from pkg.controllers.engine.activity import Activity
from pkg.controllers.health_checks import STUCK_SECONDS, HealthChecks

JOBS = GVR("batch", "v1", "jobs")


class Informers:
    def __init__(self, *dead: GVR) -> None:
        self._dead = dead

    def dead(self) -> tuple[GVR, ...]:
        return self._dead


def ended(name: str) -> threading.Thread:
    thread = threading.Thread(target=lambda: None, name=name)
    thread.start()
    thread.join(5)
    return thread


@pytest.fixture
def running() -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="worker-0")
    thread.start()
    yield thread
    stop.set()
    thread.join(5)


def test_all_is_well(running: threading.Thread) -> None:
    checks = HealthChecks([Informers()], {"prober": [running]}, {"workers": [Activity(running)]})
    assert checks.healthz().run() == {"informers": None, "prober": None, "workers": None}


def test_threads_that_were_not_started_are_no_fault() -> None:
    thread = threading.Thread(target=lambda: None)
    assert HealthChecks([], {"prober": [thread]}, {}).healthz().run()["prober"] is None


def test_what_has_ended_is_named() -> None:
    checks = HealthChecks([Informers(JOBS)], {"prober": [ended("prober")]}, {"workers": [Activity(ended("worker-1"))]})
    assert checks.healthz().run() == {
        "informers": "informers have ended: jobs.v1.batch",
        "prober": "threads have ended: prober",
        "workers": "threads have ended: worker-1",
    }
    checks.is_stopping = True
    assert checks.healthz().run()["workers"] is None, "they are to end now"


@pytest.mark.parametrize(
    ("seconds", "fault"),
    [
        pytest.param(STUCK_SECONDS, None, id="a minute is not too long"),
        pytest.param(STUCK_SECONDS + 5, "thread worker-0 has been at team/a for 65 s", id="longer is"),
    ],
)
def test_a_worker_that_is_stuck_is_named(running: threading.Thread, seconds: float, fault: str | None) -> None:
    now = [0.0]
    activity = Activity(running, clock=lambda: now[0])
    checks = HealthChecks([], {}, {"workers": [activity]}).healthz()
    with activity.of("team/a"):
        now[0] = seconds
        assert checks.run()["workers"] == fault
    assert checks.run()["workers"] is None


def test_the_process_is_ready_once_its_caches_are_complete() -> None:
    checks = HealthChecks([], {}, {})
    assert checks.readyz().run() == {"caches": "the caches are not complete yet"}
    checks.has_started = True
    assert checks.readyz().run() == {"caches": None}
