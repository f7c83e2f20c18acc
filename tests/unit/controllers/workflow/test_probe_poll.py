"""Requests that share a poll: how often it is made, and which answers count for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import HTTPGet, PodChoice, TCPSocket
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.progress import ProbeKey
from pkg.controllers.workflow.probe_poll import Answer, Poll, Question
from tests.builders import task

PASSED, FAILED, SILENT = Answer(True, 0.1), Answer(False, 0.1), Answer(False, 5.0, is_timeout=True)


def request(number: int = 0, **fields: Any) -> ProbeRequest:
    plain = ProbeRequest(
        key=ProbeKey("b", f"dependsOn.probe.x[{number}]", 0),
        asked=task("a"),
        attempt=0,
        what=HTTPGet(task_name="a", port=80),
        period=10.0,
        timeout=5.0,
        threshold=1,
        role="",
        pods=PodChoice.LEAD,
    )
    return replace(plain, **fields)


def poll_of(*requests: ProbeRequest, addresses: tuple[str, ...] = ("127.0.0.1",)) -> Poll:
    poll = Poll()
    for one in requests:
        assert not poll.add(one, 0.0)
    poll.look_at(addresses)
    return poll


OTHERS: dict[str, dict[str, Any]] = {
    "another replica": {"asked": task("a/1")},
    "another attempt": {"attempt": 1},
    "another port": {"what": HTTPGet(task_name="a", port=81)},
    "another path": {"what": HTTPGet(task_name="a", port=80, path="/x")},
    "another protocol": {"what": TCPSocket("a", 80)},
    "another role": {"role": "worker"},
    "other pods": {"pods": PodChoice.ALL},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_question_is_another_for(other: dict[str, Any]) -> None:
    assert Question.of(request(**other)) != Question.of(request())


def test_flow_period_timeout_and_threshold_make_no_other_question() -> None:
    other = request(7, period=1.0, timeout=1.0, threshold=3)
    assert Question.of(other) == Question.of(request())


def test_new_addresses_are_asked_at_once_and_then_once_per_shortest_period() -> None:
    poll = poll_of(request(), request(1, period=3.0))
    assert poll.due_at(100.0) == 100.0
    poll.take([FAILED], 100.0, 5.0)
    assert poll.due_at(100.0) == 103.0
    poll.look_at(("127.0.0.2",))
    assert poll.due_at(101.0) == 101.0


def test_a_request_counts_one_answer_per_period_of_its_own() -> None:
    slow, quick = request(0, period=10.0, threshold=2), request(1, period=3.0, threshold=2)
    poll = poll_of(slow, quick)
    assert poll.take([PASSED], 0.0, 5.0) == []
    assert poll.take([PASSED], 3.0, 5.0) == [quick]
    del poll.requests[quick]
    assert poll.due_at(3.0) == 13.0
    assert poll.take([PASSED], 13.0, 5.0) == [slow]


def test_a_failure_in_between_begins_the_count_anew() -> None:
    one = request(threshold=2)
    poll = poll_of(one)
    came = [poll.take([answer], 10.0 * at, 5.0) for at, answer in enumerate((PASSED, FAILED, PASSED, PASSED))]
    assert came == [[], [], [], [one]]


def test_answers_of_other_addresses_do_not_count() -> None:
    one = request(threshold=2)
    poll = poll_of(one)
    assert poll.take([PASSED], 0.0, 5.0) == []
    poll.look_at(("127.0.0.2",))
    assert poll.take([PASSED], 10.0, 5.0) == []


def test_an_answer_that_comes_too_late_for_a_request_has_failed_for_it_alone() -> None:
    patient, hasty = request(0, timeout=5.0), request(1, timeout=1.0)
    poll = poll_of(patient, hasty)
    assert poll.timeout == 5.0
    assert poll.take([Answer(True, 2.0)], 0.0, 5.0) == [patient]


CHOICES: dict[str, tuple[PodChoice, list[Answer], bool]] = {
    "all pods, and all answer": (PodChoice.ALL, [PASSED, PASSED], True),
    "all pods, and one does not answer": (PodChoice.ALL, [PASSED, FAILED], False),
    "any pod, and one answers": (PodChoice.ANY, [FAILED, PASSED], True),
    "any pod, and none answers": (PodChoice.ANY, [FAILED, SILENT], False),
}


@pytest.mark.parametrize(("pods", "answers", "passes"), CHOICES.values(), ids=CHOICES)
def test_what_several_pods_answer(pods: PodChoice, answers: list[Answer], passes: bool) -> None:
    one = request(pods=pods)
    poll = poll_of(one, addresses=("127.0.0.1", "127.0.0.2"))
    assert poll.take(answers, 0.0, 5.0) == ([one] if passes else [])


def test_a_request_that_comes_later_counts_the_last_answer_while_it_is_fresh() -> None:
    poll = poll_of(request(0, threshold=9))
    poll.take([PASSED], 0.0, 5.0)
    assert poll.add(request(1, period=10.0), 4.0)
    assert not poll.add(request(2, period=3.0), 4.0)
    assert not poll.add(request(3, threshold=2), 4.0)
    assert poll.take([PASSED], 10.0, 5.0) == [request(1, period=10.0), request(2, period=3.0), request(3, threshold=2)]


def test_a_request_that_waits_longer_does_not_count_a_timeout_of_others() -> None:
    poll = poll_of(request(0, threshold=9, timeout=1.0))
    poll.take([SILENT], 0.0, 1.0)
    assert poll.is_silent
    late = request(1, threshold=1, timeout=5.0)
    assert not poll.add(late, 4.0)
    assert poll.requests[late].counted_at is None
