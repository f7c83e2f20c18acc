"""What a thread says that it is doing."""

from __future__ import annotations

import threading

import pytest

from pkg.controllers.engine.activity import Activity, Task


def test_a_task_is_known_while_it_runs_and_not_after_it_failed() -> None:
    now = [10.0]
    activity = Activity(threading.current_thread(), clock=lambda: now[0])
    assert (activity.task, activity.busy_seconds()) == (None, 0.0)

    def fail() -> None:
        with activity.of("team/a"):
            now[0] += 5
            assert activity.task == Task("team/a", 10.0)
            assert activity.busy_seconds() == 5
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert (activity.task, activity.busy_seconds()) == (None, 0.0)
