"""The message of a flow that waits names the phase of what it waits for, as it is when status is written."""

from __future__ import annotations

import pytest

from tests.builders import RUNNING, Bench, on, wf


@pytest.fixture
def bench() -> Bench:
    """Flow a has a job, and b and c wait for it: b for its end, c for its start."""
    running = {"dependsOn": {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Running"}]}}}
    made = Bench(wf(a={}, b=on("a"), c=running))
    made.settle()
    return made


def test_the_message_follows_what_is_waited_for(bench: Bench) -> None:
    assert bench.flow("b").message == "waits for a to succeed (now Pending)"
    bench.runs("a")
    bench.wait(10)
    assert bench.flow("b").message == "waits for a to succeed (now Running)"


def test_it_is_made_when_status_is_written_and_not_before(bench: Bench) -> None:
    bench.say(RUNNING, "a")
    assert bench.step().patch is None, "the window is not over"
    assert bench.progress is not None
    assert bench.progress.outdated == {1}, "c, which waits for the start, has been evaluated"
    assert bench.names == ["w-a", "w-c"]
    bench.wait(10)
    assert bench.progress.outdated == frozenset()
    assert bench.flow("b").message == "waits for a to succeed (now Running)"
