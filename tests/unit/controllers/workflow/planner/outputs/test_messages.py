"""A task whose output is in a termination message stays Running until the message is known."""

from __future__ import annotations

from pkg.controllers.workflow.planner.actions import AwaitedMessages
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import PodMessages
from tests.builders import COMPLETE, WORKFLOW, Bench, wf

OUTPUT = {"name": "x", "from": {"terminationMessage": {"container": "main"}}}
ASKED = ("", "main")


def waiting(**fields: object) -> Bench:
    bench = Bench(wf(a={"outputs": [OUTPUT], **fields}, b="a"))
    bench.say(COMPLETE, "a")
    return bench


def answer(bench: Bench, made: PodMessages) -> None:
    bench.messages[TaskKey("a", 0)] = made
    bench.ledger.mark_task_dirty(WORKFLOW, TaskKey("a", 0))
    bench.settle()


def test_it_is_running_meanwhile_and_the_message_is_asked_for() -> None:
    bench = waiting()
    made = bench.settle()
    assert bench.phases() == {"a": "Running", "b": "Waiting"}
    assert made.messages == (AwaitedMessages(TaskKey("a", 0), 0, "jobs.v1.batch", (ASKED,)),)
    said = (bench.flow("a").reason, bench.flow("a").message)
    assert said == ("WaitingForOutput", "job w-a succeeded; waits for the termination message with output x")


def test_the_message_ends_the_wait() -> None:
    bench = waiting()
    bench.settle()
    answer(bench, PodMessages(0, {ASKED: "0.93"}))
    assert (bench.phases()["a"], bench.flow("a").outputs[0].value) == ("Succeeded", "0.93")
    assert (bench.flow("a").reason, bench.flow("a").message) == ("", "")
    assert bench.settle().messages == ()


def test_no_message_fails_the_attempt() -> None:
    bench = waiting()
    bench.settle()
    answer(bench, PodMessages(0, {}, {ASKED: "it did not show its end within 30s"}))
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Failed", "OutputMissing")
    assert "within 30s" in bench.flow("a").message


def test_no_timeout_comes_while_the_message_is_awaited() -> None:
    bench = waiting(timeout="1m")
    bench.settle()
    bench.wait(100)
    assert bench.phases()["a"] == "Running"


def test_another_controller_asks_again() -> None:
    bench = waiting()
    bench.settle()
    bench.crash()
    assert len(bench.settle().messages) == 1
    answer(bench, PodMessages(0, {ASKED: "1"}))
    assert bench.phases()["a"] == "Succeeded"


def test_a_workflow_without_such_outputs_asks_for_nothing() -> None:
    bench = Bench(wf(a=""))
    bench.say(COMPLETE, "a")
    assert bench.settle().messages == ()
