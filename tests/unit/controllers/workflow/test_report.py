"""What the log and the counts say of the statuses that are written: each fact once."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog

from pkg.controllers.workflow.report import Report
from pkg.telemetry.metrics import Metrics
from tests.builders import COMPLETE, Bench, template, wf

Lines = list[MutableMapping[str, Any]]


class Watched:
    """A bench whose statuses are reported; `info` and `debug` are the lines since they were last read."""

    def __init__(self, bench: Bench, lines: Lines) -> None:
        self.bench = bench
        self.metrics = Metrics()
        self._lines = lines
        bench.on_written = Report(self.metrics).written
        bench.settle()

    def take(self, level: str = "info") -> list[str]:
        found = [_words(line) for line in self._lines if line["log_level"] == level]
        self._lines[:] = [line for line in self._lines if line["log_level"] != level]
        return found

    def count(self, sample: str, /, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(sample, labels) or 0.0


def _words(line: MutableMapping[str, Any]) -> str:
    fields = [f"{key}={line[key]}" for key in line if key not in ("event", "log_level", "message")]
    return " ".join([str(line["event"]), *fields])


@pytest.fixture
def lines() -> Iterator[Lines]:
    with structlog.testing.capture_logs() as found:
        yield found


def test_a_healthy_workflow_is_two_lines_on_info(lines: Lines) -> None:
    w = Watched(Bench(wf(a={}, b="a"), settle=False), lines)
    assert w.take() == ["workflow started tasks=2"]
    w.bench.runs("a")
    w.bench.wait(60)
    w.bench.succeeds("a")
    w.bench.succeeds("b")
    assert w.take() == ["workflow ended phase=Succeeded reason=AllSucceeded seconds=60.0 succeeded=2"]
    assert w.take("debug") == [
        "task started flow=a attempt=0 job=w-a",
        "task succeeded flow=a attempt=0",
        "task started flow=b attempt=0 job=w-b",
        "task succeeded flow=b attempt=0",
    ]
    assert w.count("workflow_workflows_finished_total", phase="Succeeded", reason="AllSucceeded") == 1
    assert w.count("workflow_duration_seconds_sum", phase="Succeeded") == 60
    assert w.count("workflow_tasks_finished_total", phase="Succeeded") == 2


def test_a_failure_that_is_tried_again_and_one_that_is_not(lines: Lines) -> None:
    w = Watched(Bench(wf(a={"for": {"replicas": 2}, "retry": {"maxRetries": 1}}), settle=False), lines)
    w.take()
    w.bench.fails("a/1")
    assert w.take() == ["task is retried flow=a attempt=0 index=1 reason=Failed seconds=10.0"]
    assert w.count("workflow_task_retries_total", reason="Failed") == 1
    w.bench.wait(10)
    w.bench.fails("a/1")
    assert w.take() == ["task failed flow=a attempt=1 index=1 reason=Failed", "workflow decided reason=TaskFailed"]
    w.bench.succeeds("a/0")
    assert w.take() == ["workflow ended phase=Failed reason=TaskFailed seconds=10.0 succeeded=1 failed=1"]
    assert w.count("workflow_tasks_finished_total", phase="Failed") == 1


def test_retries_that_no_status_said_are_told_with_the_next_status(lines: Lines) -> None:
    """A status is written by time: the delay of a retry may be over before that."""
    w = Watched(Bench(wf(a={"retry": {"maxRetries": 2, "interval": "1s", "multiplier": 1}}), settle=False), lines)
    w.take()
    w.bench.loses_writes = True
    for _ in range(2):
        w.bench.say({"conditions": [{"type": "Failed", "status": "True", "message": "no"}]}, "a")
        w.bench.step()
        w.bench.now += 2
        w.bench.step()
    assert w.take() == []
    w.bench.loses_writes = False
    w.bench.settle()
    told = [f"task is retried flow=a attempt={attempt} reason=Failed seconds=0.0" for attempt in (0, 1)]
    assert w.take() == told
    assert w.count("workflow_task_retries_total", reason="Failed") == 2
    w.bench.fails("a")
    assert w.take()[0] == "task failed flow=a attempt=2 reason=Failed"
    assert w.count("workflow_task_retries_total", reason="Failed") == 2


def test_suspend_is_a_line_and_so_is_its_end(lines: Lines) -> None:
    w = Watched(Bench(wf(a={}, b="a")), lines)
    lines.clear()
    w.bench.set_spec(suspend=True)
    w.bench.wait(60)
    assert [line.split(" reason")[0] for line in w.take()] == ["workflow suspended"]
    w.bench.set_spec(suspend=None)
    assert w.take() == ["workflow resumed"]


def test_a_restart_is_a_line_and_the_tasks_of_the_run_before_are_none(lines: Lines) -> None:
    w = Watched(Bench(wf(a={})), lines)
    w.bench.fails("a")
    lines.clear()
    w.bench.set_spec(restart={"at": "once more"})
    assert w.take() == ["workflow restarted tasks=1 token=once more"]
    w.bench.succeeds("a")
    assert w.take() == ["workflow ended phase=Succeeded reason=AllSucceeded seconds=0.0 succeeded=1"]


def test_a_controller_that_takes_over_repeats_nothing(lines: Lines) -> None:
    w = Watched(Bench(wf(a={}, b={"retry": {"maxRetries": 1}}, c="a")), lines)
    w.bench.runs("a")
    w.bench.fails("b")
    lines.clear()
    w.bench.crash()
    w.bench.settle()
    w.bench.wait(1)
    assert w.take() == []
    assert w.take("debug") == []


def test_a_status_write_that_is_refused_reports_nothing(lines: Lines) -> None:
    w = Watched(Bench(wf(a={}), settle=False), lines)
    lines.clear()
    w.bench.loses_writes = True
    w.bench.say({"conditions": [{"type": "Complete", "status": "True"}]}, "a")
    w.bench.step()
    assert lines == []
    w.bench.loses_writes = False
    w.bench.settle()
    assert len(w.take()) == 1


def test_a_flow_that_waits_says_why_on_debug(lines: Lines) -> None:
    w = Watched(Bench(wf(a={"template": "missing"}), settle=False), lines)
    [line] = w.take("debug")
    assert line.startswith("flow waits flow=a reason=TemplateNotFound")


def test_what_blocks_a_workflow_is_a_line_for_each_cause(lines: Lines) -> None:
    w = Watched(Bench(wf(a={"template": "missing"}, b={"template": "gone"}), settle=False), lines)
    w.bench.wait(60)
    assert w.take() == ["workflow started tasks=2", "workflow blocked reason=TemplateNotFound"]
    w.bench.templates |= {name: template(name) for name in ("missing", "gone")}
    w.bench.settle()
    assert w.take() == ["workflow no longer blocked"]


def test_outputs_are_counted_when_they_are_recorded_and_when_they_are_missing(lines: Lines) -> None:
    output = {"name": "x", "from": {"path": "status.x"}}
    other = {"name": "y", "from": {"path": "status.y"}, "default": "0"}
    retry = {"maxRetries": 1, "interval": "0s"}
    w = Watched(Bench(wf(a={"outputs": [output, other], "retry": retry}), settle=False), lines)
    w.bench.succeeds("a")
    assert w.count("workflow_outputs_total", result="OutputMissing") == 1
    w.bench.say({**COMPLETE, "x": "hush-hush"}, "a")
    w.bench.settle()
    assert w.count("workflow_outputs_total", result="read") == 2
    assert "hush-hush" not in str(w.take() + w.take("debug"))
