"""Which reconciles the watchdog logs, and what the line says."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import LogCapture

from pkg.controllers.engine.activity import Activity
from pkg.controllers.engine.watchdog import Watchdog, stack_of


@pytest.fixture
def logs() -> Iterator[LogCapture]:
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture], wrapper_class=structlog.BoundLogger, cache_logger_on_first_use=False)
    yield capture
    structlog.configure(**before)


class Setup:
    def __init__(self) -> None:
        self.now = 0.0
        self.activity = Activity(threading.current_thread(), clock=lambda: self.now)
        self.watchdog = Watchdog([self.activity], limit=1.0)

    def look_at(self, *times: float) -> None:
        for self.now in times:
            self.watchdog.look()


def test_a_task_is_logged_once_it_is_too_long_and_each_time_it_has_doubled(logs: LogCapture) -> None:
    setup = Setup()
    with setup.activity.of("team/a"):
        setup.look_at(0.0, 0.9, 1.0, 1.5, 1.9, 2.0, 3.0, 4.0)
    assert [(entry["key"], entry["seconds"]) for entry in logs.entries] == [
        ("team/a", 1.0),
        ("team/a", 2.0),
        ("team/a", 4.0),
    ]


def test_the_next_task_is_judged_anew(logs: LogCapture) -> None:
    setup = Setup()
    with setup.activity.of("team/a"):
        setup.look_at(1.0)
    with setup.activity.of("team/b"):
        setup.look_at(1.5, 2.0)
    assert [entry["key"] for entry in logs.entries] == ["team/a", "team/b"]


def test_a_thread_that_waits_for_work_is_not_logged(logs: LogCapture) -> None:
    setup = Setup()
    setup.look_at(0.0, 100.0)
    assert logs.entries == []


def test_the_line_says_where_the_thread_is(logs: LogCapture) -> None:
    setup = Setup()
    with setup.activity.of("team/a"):
        setup.look_at(1.0)
    assert "test_the_line_says_where_the_thread_is" in logs.entries[0]["stack"]


def test_a_thread_that_does_not_run_has_no_stack() -> None:
    assert stack_of(threading.Thread(target=lambda: None)) == ""
